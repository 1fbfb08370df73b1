"""Takes files of a run to the bucket: as they are finished, and at the end all that there is.

| the object               | what is done                                                |
|--------------------------|-------------------------------------------------------------|
| is not there             | created, under the condition that it still is not           |
| has the same bytes       | left alone                                                  |
| has others               | replaced, under the condition that nobody else was faster   |
| is a combined lineage    | merged by acquisition, under the same condition             |

Rule: a file that could not be stored is counted with its reason and stops no other.
"""

import os
import stat
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

import anyio
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from pipelines.glacier.job_record import UploadedFile
from pipelines.glacier.layout import RUNS
from pipelines.glacier.run.combined_csv import merge_combined
from pipelines.glacier.run.request import Place
from shared.errors import SuiteError
from shared.files import TEMPORARY_SUFFIX, contained
from shared.fswatch.stability import FileIdentity
from shared.handshake.transfer import read_small
from shared.s3.errors import NotFound, PreconditionFailed
from shared.s3.pinned import PinBroken, checksum_of, open_pinned
from shared.s3.store import (
    ABSENT,
    Matches,
    ObjectInfo,
    ObjectStore,
    PinnedFile,
    PutOptions,
    When,
)
from shared.s3.uri import S3Uri

log: FilteringBoundLogger = structlog.get_logger()

AT_ONCE = 8
LARGE_BYTES = 8 << 20
"""From here on a file goes in parts, and is asked for before it is sent."""
_COMBINED_FOLDER = "combined_csv"
_COMBINED_BYTES_MAX = 64 << 20
_TRIES = 4
_CHECKSUMS = ("crc64nvme", "md5", "crc32c", "crc32", "sha256", "sha1")
_CONTENT_TYPES = {
    ".tif": "image/tiff",
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".log": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(slots=True)
class Delivery:
    """The files of one run on their way."""

    store: ObjectStore
    place: Place
    output: Path
    in_bucket: frozenset[str] = frozenset()
    """What is known to be there, by the path below the output folder."""
    sent: dict[str, UploadedFile] = field(default_factory=dict)
    """What this run stored, by path."""
    failures: dict[str, str] = field(default_factory=dict)
    """Why a file is not stored, by path."""
    _done: dict[str, FileIdentity] = field(default_factory=dict)
    _locks: dict[str, anyio.Lock] = field(default_factory=dict)
    _slots: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(AT_ONCE))

    def leave_alone(self, files: Mapping[str, FileIdentity]) -> None:
        """Take files for delivered as long as they stay as they are: they came from the bucket."""
        self._done.update(files)

    @property
    def failures_by_key(self) -> Mapping[str, str]:
        """Why a file is not stored, by its key."""
        return {self.place.key(path): reason for path, reason in sorted(self.failures.items())}

    async def send_in_order(self, paths: Iterable[str]) -> str:
        """Deliver files one after another; returns why the first one failed that did."""
        for path in paths:
            if reason := await self.send(path):
                return reason
        return ""

    async def send_all(self, *, settled_before_ns: int | None = None) -> None:
        """Deliver everything below the output folder, logs last.

        With `settled_before_ns` a file that was written later is left out, if nobody has vouched
        for it: whoever wrote it was stopped, and it may be half a file.
        """
        files = await to_thread.run_sync(_list_files, self.output)
        settled = [
            path
            for path, changed_ns in files
            if settled_before_ns is None or changed_ns < settled_before_ns or path in self._done
        ]
        last = [path for path in settled if PurePosixPath(path).parts[0] == str(RUNS)]
        for phase in (sorted(set(settled) - set(last)), last):
            async with anyio.create_task_group() as tasks:
                for path in phase:
                    tasks.start_soon(partial(self.send, path, may_be_gone=True))

    async def send(self, path: str, *, may_be_gone: bool = False) -> str:
        """Deliver a file unless it is there already; returns why it could not be, or nothing."""
        async with self._locks.setdefault(path, anyio.Lock()), self._slots:
            try:
                await self._send(path)
            except FileNotFoundError:
                # A file that was seen in its folder, and nobody has named, may be cleared away.
                if may_be_gone:
                    return ""
                self.failures[path] = "it is named by the step and is not there"
                return self.failures[path]
            except (SuiteError, OSError, PinBroken, ValueError) as error:
                reason = " ".join(str(error).split())
                self.failures[path] = reason
                # The reason is all that whoever reads it can act on; the traceback is our own.
                log.warning("file_not_stored", key=self.place.key(path), reason=reason)
                return reason
        self.failures.pop(path, None)
        return ""

    async def _send(self, path: str) -> None:
        local = contained(self.output, path)
        source = await to_thread.run_sync(open_pinned, str(local))
        try:
            if self._done.get(path) == source.identity or not self._is_ours(path):
                return
            uri = S3Uri(self.place.bucket, self.place.key(path))
            if PurePosixPath(path).parent.name == _COMBINED_FOLDER:
                size = await self._merge(uri, local)
            else:
                size = await self._store_file(uri, path, source)
            if size is not None:
                self.sent[path] = UploadedFile(uri.key, size)
                log.info("file_stored", bucket=uri.bucket, key=uri.key, size_bytes=size)
            self._done[path] = source.identity
        finally:
            os.close(source.descriptor)

    def _is_ours(self, path: str) -> bool:
        """Tell whether a file may be stored: beside the results lie the records of all jobs."""
        parts = PurePosixPath(path).parts
        name = self.place.job_name
        return parts[0] != str(RUNS) or (
            parts[-1].startswith((f"{name}.", f"{name}_")) and not parts[-1].endswith(".json")
        )

    async def _store_file(self, uri: S3Uri, path: str, source: PinnedFile) -> int | None:
        """Store the bytes; None where they are there already."""

        async def once(attempt: int) -> int | None:
            known = path in self.in_bucket or source.identity.size >= LARGE_BYTES
            there = await self._look(uri) if known or attempt > 1 else None
            if there is not None and await to_thread.run_sync(partial(_is_same, source, there)):
                return None
            when: When = Matches(there.etag) if there else ABSENT
            options = _options(path)
            await self.store.put_file(uri, source, when=when, options=options, emulate=True)
            _tell_replaced(there)
            return source.identity.size

        return await _insisting(once)

    async def _merge(self, uri: S3Uri, local: Path) -> int | None:
        """Store the rows of both; None where the bucket has them all."""
        ours = await to_thread.run_sync(partial(local.read_text, encoding="utf-8"))

        async def once(_attempt: int) -> int | None:
            theirs, etag = await self._read_text(uri)
            merged = merge_combined(theirs, ours)
            if merged == theirs:
                return None
            body = merged.encode()
            when: When = Matches(etag) if etag else ABSENT
            options = _options(uri.key)
            await self.store.put(uri, body, when=when, options=options, emulate=True)
            # Rows of others stay; whoever misses a line finds the version that had it.
            log.info("table_merged", bucket=uri.bucket, key=uri.key, etag_before=etag)
            return len(body)

        return await _insisting(once)

    async def _read_text(self, uri: S3Uri) -> tuple[str, str]:
        try:
            content, etag = await read_small(self.store, uri, limit=_COMBINED_BYTES_MAX)
        except NotFound:
            return "", ""
        return content.decode("utf-8", "replace"), etag

    async def _look(self, uri: S3Uri) -> ObjectInfo | None:
        try:
            return await self.store.head(uri)
        except NotFound:
            return None


async def _insisting(once: Callable[[int], Awaitable[int | None]]) -> int | None:
    """Look and write again where somebody else wrote in between, a few times."""
    for attempt in range(1, _TRIES):
        try:
            return await once(attempt)
        except PreconditionFailed as error:
            log.debug("object_changed_meanwhile", key=error.uri.key, attempt=attempt)
    return await once(_TRIES)


def _tell_replaced(there: ObjectInfo | None) -> None:
    if there is not None:
        log.info(
            "object_replaced",
            bucket=there.uri.bucket,
            key=there.uri.key,
            etag=there.etag,
            version=there.version,
            size_bytes=there.size,
        )


def _is_same(source: PinnedFile, there: ObjectInfo) -> bool:
    """Tell whether the object has exactly these bytes; without a checksum of it, nobody knows."""
    if there.size != source.identity.size:
        return False
    for kind in _CHECKSUMS:
        known: str = getattr(there.checksums, kind)
        if known:
            return checksum_of(source, kind) == known
    return False


def _options(path: str) -> PutOptions:
    kind = _CONTENT_TYPES.get(PurePosixPath(path).suffix.lower(), "application/octet-stream")
    return PutOptions(content_type=kind)


def _list_files(output: Path) -> list[tuple[str, int]]:
    """Return the files with the times of their last change; drafts and hidden ones are none."""
    found: list[tuple[str, int]] = []
    for folder, folders, names in os.walk(output):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.startswith(".") or name.endswith(TEMPORARY_SUFFIX):
                continue
            path = Path(folder, name)
            with suppress(FileNotFoundError):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode):
                    found.append((path.relative_to(output).as_posix(), status.st_mtime_ns))
    return found
