"""Kill the uploader's work at every failpoint, restart it, and check what is left.

    python -m tests.support.uploader_kill --kills 2000 --seed 1

Each life puts back what a crash left, scans, and runs the jobs of a small tree; a file comes by
other failpoints the second time. After some lives that end early one runs to its end, and the
effect check follows.
"""

import mimetypes
import os
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import anyio

from daemons.uploader.job import FileJobs, Found, JobRules
from shared.fswatch.names import SkipRules
from shared.fswatch.scan import scan_tree
from shared.removal import HIDDEN_FOLDER, restore_tree, tidy
from shared.s3.journal import FileJournal
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Mutation, StoredObject
from shared.s3.pinned import crc64nvme, open_folder
from shared.s3.store import NO_OPTIONS, Evidence
from shared.s3.uri import S3Uri
from shared.s3.wire import encode_crc
from tests.support import kill
from tests.support.effects import Digest, Remote, Written, check_effects, digest_of
from tests.support.kill import Counts, Doom

BUCKET = "colony-shots"
PART = 1000
_MOMENTS = ("asked", "done")
_REMOVAL = ("acknowledged", "hide", "compare", "unlink", "unlinked")
_ASK = ("asked head", "done head")
_PUT = ("send", "asked put", "done put")
_PARTS = tuple(f"{moment} {verb}" for verb in ("begin", "part", "complete") for moment in _MOMENTS)
WAYS: Mapping[str, Sequence[str]] = {
    "new.bin": ("pinned", *_PUT, *_REMOVAL),
    "same.bin": ("pinned", *_ASK, *_REMOVAL),
    "stats/other.bin": ("pinned", *_ASK, *_PUT, *_REMOVAL),
    "large.bin": ("pinned", *_ASK, "send", *_PARTS, *_REMOVAL),
}
"""The failpoints that a file comes by: new, in S3 already, to be replaced, sent in parts."""
FAILPOINTS = tuple(sorted({failpoint for way in WAYS.values() for failpoint in way}))
_LIVES_MAX = 8
_SETTLED_AT = 1_700_000_000


class Round(kill.Round):
    """One round's tree and buckets."""

    def __init__(self, base: Path, number: int, chance: random.Random) -> None:
        super().__init__(base, number, chance)
        self.produced: dict[str, list[bytes]] = {}
        self._buckets = MemoryBuckets(BUCKET)
        self._first = FAILPOINTS[number % len(FAILPOINTS)]
        ways = [key for key, way in WAYS.items() if self._first in way]
        self._lay_out(sorted({chance.choice(ways), chance.choice(list(WAYS))}))
        self._seeded = len(self._buckets.history())

    @property
    def buckets(self) -> MemoryBuckets:
        """What the parent holds."""
        return self._buckets

    @property
    def root(self) -> Path:
        """The uploader's root."""
        return self.base / "root"

    def lives(self) -> Iterator[Doom | None]:
        """End lives at what the files that are left come by, until one is not ended."""
        failpoints: Sequence[str] = [self._first]
        for number in range(_LIVES_MAX):
            failpoint = self.chance.choice(failpoints) if number else self._first
            yield Doom(failpoint, self.chance.choice([1, 1, 1, 2]))
            if not self.was_killed:
                return
            failpoints = self._ahead()
            if not failpoints:
                break
        yield None

    async def work(self, buckets: MemoryBuckets, counts: Counts) -> None:
        """Do what the daemon does from its start to an empty tree."""
        kill.one_thread()
        journal = FileJournal(self.base / "state")
        store = MemoryStore(buckets, journal=journal, threshold=2 * PART, part_size=PART)
        for upload in await journal.leftovers():
            await store.abort(upload)
        list(restore_tree(self.root))
        rules = JobRules(Evidence.ETAG_MD5, 2 * PART, NO_OPTIONS)
        jobs = FileJobs(store, self.root, rules, clock=time.monotonic, step=counts.step)
        async with anyio.create_task_group() as tasks:
            for batch in scan_tree(self.root, SkipRules()):
                for file in batch.files:
                    uri = S3Uri(BUCKET, file.path.partition("/")[2])
                    tasks.start_soon(jobs.run, Found(file, uri, ask_first=True))
        for folder in (self.root / BUCKET).rglob(HIDDEN_FOLDER):
            _tidy(folder.parent)

    def _lay_out(self, keys: Sequence[str]) -> None:
        """Write files settled long ago, and what S3 held before."""
        chance = self.chance
        for key in keys:
            content = chance.randbytes(40)
            if key == "large.bin":
                content = chance.randbytes(2 * PART + chance.choice([0, 300]))
            if key == "same.bin":
                self._seed(key, content)
            elif key == "stats/other.bin" or (key == "large.bin" and chance.random() < 0.5):
                self._seed(key, content[::-1])
            self._write(key, content)

    def _ahead(self) -> Sequence[str]:
        """The failpoints that the files still on disk come by in the next life."""
        found: list[str] = []
        for key, series in self.produced.items():
            path = self.root / BUCKET / key
            if path.exists() or (path.parent / HIDDEN_FOLDER / path.name).exists():
                held = self._held(key)
                delivered = held is not None and held.body == series[-1]
                found += WAYS["same.bin"] if delivered else WAYS[key]
        return found

    def unfinished(self) -> Sequence[str]:
        """Check the effects once all is done."""
        history = self._buckets.history()[self._seeded :]
        names = {(encode_crc(crc64nvme(c)), len(c)): c for s in self.produced.values() for c in s}
        remote = Remote(
            {key: held.body for key in self.produced if (held := self._held(key))},
            [_written(mutation, names) for mutation in history],
        )
        found = [f"left on disk: {path}" for path in self.root.rglob("*") if path.is_file()]
        found += [f"left on disk: {path}" for path in self.root.rglob(HIDDEN_FOLDER)]
        found += [
            f"parts left: {upload.upload_id}"
            for upload in self._buckets.uploads(S3Uri(BUCKET))
            if self._buckets._upload(upload).parts
        ]
        try:
            check_effects(self.produced, remote, self.root / BUCKET)
        except AssertionError as error:
            found.append(str(error))
        return found

    def _held(self, key: str) -> StoredObject | None:
        return self._buckets.look(S3Uri(BUCKET, key))

    def _seed(self, key: str, content: bytes) -> None:
        self._buckets.put(S3Uri(BUCKET, key), content)
        self.produced.setdefault(key, []).append(content)

    def _write(self, key: str, content: bytes) -> None:
        path = self.root / BUCKET / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (_SETTLED_AT, _SETTLED_AT))
        series = self.produced.setdefault(key, [])
        if content not in series:
            series.append(content)


def _written(mutation: Mutation, names: Mapping[tuple[str, int], bytes]) -> Written:
    content = names.get((mutation.crc64nvme, mutation.size))
    unknown = Digest(mutation.size, mutation.crc64nvme)
    return Written(mutation.uri.key, unknown if content is None else digest_of(content))


def _tidy(folder: Path) -> None:
    descriptor = open_folder(folder, [])
    try:
        tidy(descriptor)
    finally:
        os.close(descriptor)


def _prepare() -> None:
    SkipRules().skips("")
    mimetypes.guess_type("a.bin")


if __name__ == "__main__":
    sys.exit(kill.main(Round, __doc__ or "", sys.argv[1:], _prepare))
