"""The uploader's service on the in-memory S3 and a real tree, without a watch: scans on demand."""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path

import anyio

from daemons.uploader.job import FileJobs, JobRules
from daemons.uploader.opening import tidy_folders
from daemons.uploader.parked import ParkedFiles
from daemons.uploader.report import PassCounts
from daemons.uploader.service import Limits, Uploader
from shared.fswatch.items import Candidates, FoundBy, Noticed, ScanFinished, WatchItem
from shared.fswatch.names import SkipRules
from shared.fswatch.scan import scan_tree
from shared.s3.errors import ObjectError
from shared.s3.memory import Faults, MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Verb
from shared.s3.store import NO_OPTIONS, Evidence
from shared.s3.uri import S3Uri

BUCKET = "colony-shots"
OTHER = "colony-stats"
_SETTLED_AT = 1_700_000_000


@dataclass
class Requests(Faults):
    """Notes every request, and lets it fail where `fault` says so."""

    fault: Callable[[Verb, S3Uri], ObjectError | None] = lambda _verb, _uri: None
    lost: Callable[[Verb, S3Uri], ObjectError | None] = lambda _verb, _uri: None
    """What is raised after the request was carried out."""
    seen: list[tuple[Verb, S3Uri]] = field(default_factory=list)

    async def before(self, verb: Verb, uri: S3Uri) -> None:
        """Note it, and fail before anything happened."""
        self.seen.append((verb, uri))
        if error := self.fault(verb, uri):
            raise error

    async def after_commit(self, verb: Verb, uri: S3Uri) -> None:
        """Fail when all has happened."""
        if error := self.lost(verb, uri):
            raise error

    def of(self, *verbs: Verb) -> list[str]:
        """The keys that were asked for in these ways."""
        return [uri.key for verb, uri in self.seen if verb in verbs]

    def verbs(self, bucket: str = BUCKET) -> list[Verb]:
        """The requests to one bucket."""
        return [verb for verb, uri in self.seen if uri.bucket == bucket]


@dataclass
class Place:
    """A root, buckets, and the service between them."""

    root: Path
    buckets: MemoryBuckets = field(default_factory=lambda: MemoryBuckets(BUCKET, OTHER))
    requests: Requests = field(default_factory=Requests)
    weakest: Evidence = Evidence.ETAG_MD5
    interval_seconds: float = 1e-6
    files_in_flight: int = 256
    step: Callable[[str], None] = lambda _: None
    _numbers: "count[int]" = field(default_factory=count)

    def write(self, path: str, content: bytes = b"content") -> Path:
        """Make a file below the root, settled long ago."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        moment = _SETTLED_AT + next(self._numbers)
        os.utime(target, (moment, moment))
        return target

    def held(self, key: str, bucket: str = BUCKET) -> bytes | None:
        """What S3 holds."""
        held = self.buckets.look(S3Uri(bucket, key))
        return None if held is None else held.body

    def left(self) -> list[str]:
        """The files that are still on disk, hidden ones included."""
        return sorted(
            path.relative_to(self.root).as_posix()
            for path in self.root.rglob("*")
            if not path.is_dir()
        )

    def jobs(self) -> FileJobs:
        """Make the jobs, as a new process would."""
        store = MemoryStore(self.buckets, faults=self.requests)
        rules = JobRules(self.weakest, 8 * 1024 * 1024, NO_OPTIONS)
        return FileJobs(store, self.root, rules, clock=anyio.current_time, step=self.step)

    def uploader(self, jobs: FileJobs | None = None) -> Uploader:
        """Make the service."""
        return Uploader(
            jobs or self.jobs(),
            MemoryStore(self.buckets, faults=self.requests),
            ParkedFiles(self.root),
            Limits(self.files_in_flight, self.interval_seconds, {}),
            tidy=lambda folders: tidy_folders(self.root, folders),
        )

    async def one_pass(self, service: Uploader, found_by: FoundBy = FoundBy.SCAN) -> PassCounts:
        """Do one pass over what lies there now."""
        with anyio.fail_after(60):
            counts = await service.run_once(self.scan(found_by))
            service.parked.end_pass()
        return counts

    async def scan(self, found_by: FoundBy = FoundBy.SCAN) -> AsyncIterator[WatchItem]:
        """Tell what a watch would tell of a tree in which everything has settled."""
        files = 0
        for batch in list(scan_tree(self.root, SkipRules())):
            files += len(batch.files)
            for oddity in batch.oddities:
                yield Noticed(oddity)
            if batch.files:
                yield Candidates(batch.directory, batch.files, found_by)
        yield finished(files, found_by)


def finished(files: int, found_by: FoundBy = FoundBy.SCAN) -> ScanFinished:
    """The end of a scan."""
    return ScanFinished(1, found_by, 1, files, 0, 0, 0, timedelta(0))


class Script:
    """A source that tells what it is given and then waits to be stopped."""

    def __init__(self, items: Sequence[WatchItem]) -> None:
        self.scans_asked = 0
        self.told = anyio.Event()
        """Everything was taken."""
        self._items = items
        self._stopped = anyio.Event()

    async def __aiter__(self) -> AsyncIterator[WatchItem]:
        """Tell."""
        for item in self._items:
            if self._stopped.is_set():
                return
            yield item
        self.told.set()
        await self._stopped.wait()

    def scan_now(self) -> None:
        """Count what was asked for."""
        self.scans_asked += 1

    def stop(self) -> None:
        """End the iteration."""
        self._stopped.set()
