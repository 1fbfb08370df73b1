"""The uploader at work: observe, plan, act, report.

What a watch finds becomes jobs, a bounded number of them at once; the watch waits when they are
full, so that memory does not grow with what lies on disk.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import anyio
import structlog
from anyio.abc import TaskGroup
from structlog.typing import FilteringBoundLogger

from daemons.uploader.gate import BucketGate, GateState
from daemons.uploader.job import Ending, FileJobs, Found, Result
from daemons.uploader.lookup import look_up
from daemons.uploader.parked import ParkedFiles
from daemons.uploader.plan import FileFault, FolderFault, Remote, Target, map_path
from daemons.uploader.report import Narrator, PassCounts
from shared.errors import TransientError
from shared.fswatch.items import (
    Candidates,
    FlushFinished,
    FoundBy,
    Noticed,
    OddityKind,
    RootMissing,
    ScanFinished,
    StillChanging,
    WatchItem,
)
from shared.fswatch.stability import LocalFile
from shared.lifecycle import Control, log_pass
from shared.removal import Removal
from shared.s3.errors import (
    AccessDenied,
    BucketMissing,
    CertificateInvalid,
    CredentialsExpired,
    InvalidKey,
    ObjectError,
    OutcomeUnknown,
    TooLarge,
)
from shared.s3.store import ObjectInfo, ObjectStore
from shared.s3.uri import S3Uri

log: FilteringBoundLogger = structlog.get_logger()

_REFUSALS = (AccessDenied, BucketMissing, CertificateInvalid, CredentialsExpired)
_LEFT = {Removal.REMOVED, Removal.GONE}
_LONGEST_QUIET_SECONDS = 900.0
"""Longest time one request may take; see `shared.s3.requests`."""


class Source(Protocol):
    """Where the uploader gets its work from: `shared.fswatch.watch.Watch`, or a test's script."""

    def __aiter__(self) -> AsyncIterator[WatchItem]: ...

    def scan_now(self) -> None:
        """Begin a full scan at once."""

    def stop(self) -> None:
        """End the iteration."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds and rules of the service."""

    files_in_flight: int
    interval_seconds: float
    aliases: Mapping[str, str]


@dataclass(slots=True)
class _UnderWay:
    """A file that a job has in hand."""

    file: LocalFile
    over: anyio.Event = field(default_factory=anyio.Event)


PassEnd = Callable[["Uploader", PassCounts], Awaitable[None]]


async def _nothing_more(_service: "Uploader", _counts: PassCounts) -> None:
    """A pass may simply end."""


class Uploader:
    """Brings every settled file below one root to S3 and off the disk."""

    def __init__(
        self,
        jobs: FileJobs,
        store: ObjectStore,
        parked: ParkedFiles,
        limits: Limits,
        *,
        tidy: Callable[[set[str]], None],
        before_files: Callable[[], None] = lambda: None,
        at_pass_end: PassEnd = _nothing_more,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        self.narrator = Narrator()
        self.parked = parked
        self.gates: dict[str, BucketGate] = {}
        self.totals = PassCounts()
        self.last_pass = PassCounts()
        self.oldest_pending_ns: int | None = None
        """Modification time of the oldest file that did not leave the disk, in this pass or, while
        it is under way, in the one before."""
        self.last_success_at: datetime | None = None
        """When a file last left the disk with nothing left to do for it; to be in S3 is not enough,
        or a file that cannot be removed would be a success in every pass."""
        self.root_missing = ""
        self.folder_faults: dict[str, str] = {}
        self._jobs = jobs
        self._store = store
        self._limits = limits
        self._tidy = tidy
        self._before_files = before_files
        self._at_pass_end = at_pass_end
        self._progress = progress
        self._room = anyio.CapacityLimiter(limits.files_in_flight)
        self._in_flight: dict[str, _UnderWay] = {}
        self._again: dict[str, LocalFile] = {}
        self._touched: set[str] = set()
        self._faulty_folders: set[str] = set()
        self._pending_ns: int | None = None
        self._rescan: Callable[[], None] = lambda: None

    async def run(self, source: Source, control: Control) -> None:
        """Work until the control says stop; what is in flight then is finished first."""
        self._rescan = source.scan_now

        async def stop_source() -> None:
            await control.stopping.wait()
            source.stop()

        async with anyio.create_task_group() as stopper:
            stopper.start_soon(stop_source)
            async with anyio.create_task_group() as tasks:
                await self._work_through(source, tasks, control)
                log.debug("waiting_for_uploads", files=len(self._in_flight))
            stopper.cancel_scope.cancel()
        await self._end_pass()

    async def _work_through(self, source: Source, tasks: TaskGroup, control: Control) -> None:
        items = aiter(source)
        while True:
            with control.waiting(self._limits.interval_seconds + _LONGEST_QUIET_SECONDS):
                item = await anext(items, None)
            if item is None or control.stopping.is_set():
                return
            await self._take(item, tasks, control)

    async def run_once(self, items: AsyncIterator[WatchItem]) -> PassCounts:
        """Do one pass over what `items` finds, and finish everything it began."""
        total = PassCounts()
        async with anyio.create_task_group() as tasks:
            async for item in items:
                if isinstance(item, ScanFinished):
                    self.narrator.counts.unsettled = item.unsettled
                else:
                    await self._take(item, tasks, None)
        total.add(await self._end_pass())
        return total

    async def _take(self, item: WatchItem, tasks: TaskGroup, control: Control | None) -> None:
        match item:
            case Candidates():
                await self._take_files(item, tasks, control)
            case ScanFinished():
                await self._finish_pass(item)
            case Noticed(oddity):
                self._notice(oddity.path, oddity.kind, oddity.reason)
            case StillChanging(path):
                log.warning("file_still_changing", path=path)
            case FlushFinished(still_changing):
                for path in still_changing:
                    log.warning("file_left_behind", path=path, reason="it was still changing")
                log.info("flush_finished", left_behind=len(still_changing))
            case RootMissing(root, reason):
                self.root_missing = reason
                log.warning("root_missing", root=root, reason=reason)

    async def _take_files(
        self, batch: Candidates, tasks: TaskGroup, control: Control | None
    ) -> None:
        self.root_missing = ""
        self._before_files()
        founds = await self._plan(batch)
        for found in founds:
            path = found.file.path
            await self._room.acquire_on_behalf_of(path)
            if control is not None and control.stopping.is_set():
                self._room.release_on_behalf_of(path)
                return
            # Asked only now: the files before it may have closed the gate while this one waited.
            if not self._gate(found.uri.bucket).admits(anyio.current_time()):
                self._pending(found.file)
                self._room.release_on_behalf_of(path)
                continue
            self._in_flight[path] = _UnderWay(found.file)
            tasks.start_soon(self._run_job, found)

    async def _plan(self, batch: Candidates) -> Sequence[Found]:
        """Say where the files of a batch go, and what is known of their keys."""
        ask_first = batch.found_by is FoundBy.FIRST_SCAN
        chosen: list[tuple[LocalFile, S3Uri]] = []
        for file in self._idle(batch.files):
            match map_path(file.path, self._limits.aliases):
                case Target(uri):
                    chosen.append((file, uri))
                case FolderFault(folder, reason):
                    self._folder_fault(folder, reason)
                case FileFault(reason):
                    self._park(file.path, reason)
        known: Mapping[S3Uri, ObjectInfo | Remote] = {}
        if ask_first and chosen and self._gate(chosen[0][1].bucket).state is GateState.OPEN:
            known = await look_up(self._store, [uri for _, uri in chosen])
        return [
            Found(file, uri, ask_first, known.get(uri, Remote.UNASKED), listed=uri in known)
            for file, uri in chosen
        ]

    def _idle(self, files: Sequence[LocalFile]) -> Iterator[LocalFile]:
        """Leave out what is under way already, and what is parked and has not changed."""
        for file in files:
            if under_way := self._in_flight.get(file.path):
                # A scan meets it too, and the same content is being seen to already.
                if under_way.file.identity != file.identity:
                    self._again[file.path] = file
                continue
            if self.parked.holds(file.path):
                self.narrator.counts.parked += 1
                continue
            self.narrator.counts.found += 1
            yield file

    async def _run_job(self, found: Found) -> None:
        path = found.file.path
        try:
            self._settle(await self._jobs.run(found))
            while newer := self._again.pop(path, None):
                # It settled anew while it was under way; the watch will not tell of it twice.
                if not self._gate(found.uri.bucket).admits(anyio.current_time()):
                    self._pending(newer)
                    break
                self._in_flight[path].file = newer
                self._settle(await self._jobs.run(Found(newer, found.uri, ask_first=True)))
        finally:
            self._again.pop(path, None)
            self._in_flight.pop(path).over.set()
            self._room.release_on_behalf_of(path)
            self._progress()
            if not self._in_flight:
                self._tidy_up()

    def _settle(self, result: Result) -> None:
        """Account for one result: the gate first, for it decides what is worth a line."""
        gate = self._gate(result.found.uri.bucket)
        if result.removal is not Removal.REMOVED and result.ending is not Ending.VANISHED:
            self._pending(result.found.file)
        self._touched.add(result.found.file.path.rpartition("/")[0])
        if result.removal in _LEFT:
            self.last_success_at = datetime.now(UTC)
        if result.delivered:
            if gate.succeeded() and gate.held_back:
                self._rescan()
        elif result.ending is Ending.UNREADABLE:
            self._park(result.found.file.path, f"it cannot be read: {result.error}")
            return
        elif isinstance(result.error, InvalidKey | TooLarge):
            self._park(result.found.file.path, str(result.error))
            return
        elif isinstance(result.error, ObjectError) and self._blames_bucket(gate, result.error):
            gate.held_back += 1
            return
        self.narrator.told(result)

    def _blames_bucket(self, gate: BucketGate, error: ObjectError) -> bool:
        refusal = isinstance(error, _REFUSALS)
        if not refusal and not isinstance(error, TransientError | OutcomeUnknown):
            return False
        was_open = gate.state is GateState.OPEN
        closed = gate.failed(error.code, str(error), refusal=refusal, now=anyio.current_time())
        return closed and (refusal or not was_open)

    async def _finish_pass(self, item: ScanFinished) -> None:
        # Files that this scan handed over belong to its line; a long upload does not hold it up.
        with anyio.move_on_after(1.0):
            for under_way in list(self._in_flight.values()):
                await under_way.over.wait()
        self.narrator.counts.unsettled = item.unsettled
        self.parked.end_pass()
        self.folder_faults = {
            folder: reason
            for folder, reason in self.folder_faults.items()
            if folder in self._faulty_folders
        }
        self._faulty_folders.clear()
        log_pass(await self._end_pass(), seconds=item.duration.total_seconds())

    async def _end_pass(self) -> PassCounts:
        for bucket, gate in self.gates.items():
            if count := gate.take_report():
                self.narrator.counts.held_back += count
                self.narrator.counts.failed += count
                log.error(
                    "bucket_refused", bucket=bucket, files=count, code=gate.code, reason=gate.reason
                )
        counts = self.narrator.take_counts()
        self.totals.add(counts)
        self.last_pass = counts
        self.oldest_pending_ns, self._pending_ns = self._pending_ns, None
        await self._at_pass_end(self, counts)
        return counts

    def counts_so_far(self) -> PassCounts:
        """Return all counts since the start, those of the pass under way included."""
        counts = PassCounts()
        counts.add(self.totals)
        counts.add(self.narrator.counts)
        return counts

    def hurry(self) -> None:
        """Forget every pause: the machine is about to go."""
        for gate in self.gates.values():
            gate.hurry()

    def _pending(self, file: LocalFile) -> None:
        mtime = file.identity.mtime_ns
        self._pending_ns = min(mtime, self._pending_ns or mtime)
        self.oldest_pending_ns = min(mtime, self.oldest_pending_ns or mtime)

    def _gate(self, bucket: str) -> BucketGate:
        return self.gates.setdefault(bucket, BucketGate(self._limits.interval_seconds))

    def _notice(self, path: str, kind: OddityKind, reason: str) -> None:
        if kind in {OddityKind.SYMLINK, OddityKind.SPECIAL}:
            self.narrator.counts.skipped += 1
            log.warning("file_skipped", path=path, reason=reason)
        else:
            self._park(path, reason)

    def _park(self, path: str, reason: str) -> None:
        self.narrator.counts.parked += 1
        self.narrator.counts.failed += 1
        if self.parked.park(path, reason, datetime.now(UTC)):
            log.error("file_parked", path=path, reason=reason)

    def _folder_fault(self, folder: str, reason: str) -> None:
        self.narrator.counts.skipped += 1
        self._faulty_folders.add(folder)
        if self.folder_faults.setdefault(folder, "") != reason:
            self.folder_faults[folder] = reason
            if folder:
                log.error("folder_unusable", folder=folder, reason=reason)
            else:
                log.warning("files_without_bucket", reason=reason)

    def _tidy_up(self) -> None:
        touched, self._touched = self._touched, set()
        self._tidy(touched)
