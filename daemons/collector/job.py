"""One runout's way: judged, pulled, checked, merged, recorded. Every step may be the last one.

The order is the promise. Nothing is pulled before the bucket shows the runout complete, nothing is
merged before its bytes and rows are checked in the inbox, the table comes last into the central
folder, and the CID is recorded when the table is durably there. Killed between any two of these,
the next life finds what is in the inbox whole, the central files equal, and goes on.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from anyio import to_thread

from daemons.collector.central import (
    Folders,
    FolderTrouble,
    compare_tables,
    identity_of,
    is_whole,
    place,
    same_quality,
    sweep,
    table_fault,
)
from daemons.collector.plan import (
    UNASKED,
    AskLease,
    AskManifest,
    AskOrigin,
    Orphan,
    Pull,
    Refuse,
    Unasked,
    Wait,
    Wanted,
    judge,
)
from shared.files import OutsideRoot, contained
from shared.handshake.claims import LeaseBook, LeaseUnreadable
from shared.handshake.fields import RECORD_BYTES_MAX
from shared.handshake.layout import (
    MANIFEST,
    JobFolder,
    Layout,
    Runout,
    closest_name,
    quality_name,
)
from shared.handshake.lease import Lease
from shared.handshake.listing import Result
from shared.handshake.manifest import GENERATION, Manifest, parse_manifest
from shared.handshake.transfer import fetch_file, read_small
from shared.ledger import Ledger
from shared.s3.errors import (
    ChecksumMismatch,
    InvalidKey,
    NotFound,
    ObjectError,
    TooLarge,
)
from shared.s3.store import ObjectStore

STEPS = ("judged", "pulled", "checked", "copied", "placed", "merged", "recorded")
"""What `step` is told, in the order in which a runout comes by."""

_ROUNDS_MAX = 4
_KEY_BYTES = 32


class Ending(Enum):
    """How a runout's job ended."""

    COLLECTED = "collected"
    """Its files are in the central folder and its CID is recorded."""
    SAME = "same"
    """The central folder had its rows already; its CID is recorded."""
    DIFFERENT = "different"
    """The central folder has other rows; it stays in the inbox."""
    ORPHAN = "orphan"
    WAITING = "waiting"
    QUIET = "waiting until it has not changed for a while"
    REFUSED = "refused"
    """It cannot be merged, and a person must act."""
    FAILED = "failed"
    """S3 did not answer as it should."""


@dataclass(frozen=True, slots=True)
class Found:
    """A runout to look at."""

    result: Result
    recorded: bool
    """Its CID is recorded: it is compared and never merged."""
    quiet: bool = False
    """Listings far enough apart have shown it unchanged."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one runout."""

    found: Found
    ending: Ending
    reason: str = ""
    usual: bool = False
    """It waits as every runout does at some moment: no warning."""
    pulled: int = 0
    """Bytes."""
    left: tuple[str, ...] = ()
    """Names of files that were not merged, while the table was."""
    central: str = ""
    """What identifies the central table that it was compared with."""
    error: ObjectError | None = None


@dataclass(frozen=True, slots=True)
class JobRules:
    """What the settings say about every runout."""

    file_bytes_max: int


class RunoutJobs:
    """Carries out jobs, several at a time, never two of one CID."""

    def __init__(
        self,
        store: ObjectStore,
        leases: LeaseBook,
        folders: Folders,
        ledger: Ledger,
        rules: JobRules,
        *,
        alive: Callable[[], None] = lambda: None,
        step: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Work between this bucket and these folders.

        `alive` is called now and then from threads that read long tables, and may raise to end
        them; `step` is told of each step that was taken, for tests that end the process there.
        """
        self._store = store
        self._leases = leases
        self.folders = folders
        self._ledger = ledger
        self._rules = rules
        self._alive = alive
        self._step = step

    @property
    def layout(self) -> Layout:
        """The names in the bucket."""
        return self._leases.layout

    def central_identity(self, cid: str) -> str:
        """Return what changes when the files of a CID in the central folder do."""
        names = (closest_name(cid), quality_name(cid))
        return " ".join(identity_of(self.folders.central / name) or "none" for name in names)

    async def judge(self, found: Found) -> Pull | Wait | Orphan | Refuse:
        """Ask the bucket until it is clear what to do with a runout; changes nothing."""
        lease: Lease | Unasked | None = UNASKED
        manifest: Manifest | Unasked = UNASKED
        ours: bool | Unasked = UNASKED
        runout = found.result.runout
        for _ in range(_ROUNDS_MAX):
            step = judge(found.result, lease=lease, manifest=manifest, ours=ours, quiet=found.quiet)
            try:
                match step:
                    case AskLease():
                        seen = await self._leases.read(runout.cid)
                        lease = None if seen is None else seen.lease
                    case AskManifest():
                        manifest = await self._read_manifest(found)
                    case AskOrigin():
                        table = self.layout.result(runout, closest_name(runout.cid))
                        ours = GENERATION in (await self._store.head(table)).metadata
                    case _:
                        return step
            except NotFound:
                return Wait("it changed while it was looked at", usual=True)
            except (LeaseUnreadable, TooLarge, InvalidKey, ValueError) as error:
                return Refuse(str(error))
        raise AssertionError("a judgement asks each question once")

    async def job_of(self, runout: Runout) -> JobFolder | None:
        """Return the job that a runout answers; None where no lease says so, as with the scripts'.

        Raises:
            shared.s3.errors: the lease cannot be asked for.
        """
        try:
            seen = await self._leases.read(runout.cid)
        except LeaseUnreadable:
            return None
        return seen.lease.job if seen is not None and seen.lease.runout == runout else None

    async def run(self, found: Found) -> Outcome:
        """Bring one runout to where it belongs.

        Raises:
            FolderTrouble: the disk is full, or a folder is out of order; so it would be for all.
            shared.ledger.LedgerUnreadable: the ledger is no ledger any more.
        """
        try:
            return await self._run(found)
        except (ChecksumMismatch, TooLarge, InvalidKey, OutsideRoot) as error:
            return Outcome(found, Ending.REFUSED, str(error))
        except NotFound as error:
            return Outcome(found, Ending.WAITING, f"{error}; it vanished while it was pulled")
        except ObjectError as error:
            return Outcome(found, Ending.FAILED, str(error), error=error)
        except OSError as error:
            if not self.folders.are_blamed_for(error):
                return Outcome(found, Ending.REFUSED, f"{error.strerror}: {error.filename!r}")
            raise FolderTrouble(
                f"{error.strerror}: {error.filename!r}; free or mend the disk, nothing is lost"
            ) from error

    async def _run(self, found: Found) -> Outcome:
        step = await self.judge(found)
        self._step("judged")
        match step:
            case Wait(reason, usual, quiet):
                ending = Ending.QUIET if quiet else Ending.WAITING
                return Outcome(found, ending, reason, usual=usual)
            case Orphan(reason):
                return Outcome(found, Ending.ORPHAN, reason)
            case Refuse(reason):
                return Outcome(found, Ending.REFUSED, reason)
            case Pull():
                return await self._collect(found, step)

    async def _read_manifest(self, found: Found) -> Manifest:
        runout = found.result.runout
        body, _ = await read_small(
            self._store, self.layout.manifest(runout), limit=RECORD_BYTES_MAX
        )
        try:
            return parse_manifest(body, runout.cid)
        except ValueError as error:
            raise ValueError(f"{MANIFEST}: {error}") from None

    async def _collect(self, found: Found, pull: Pull) -> Outcome:
        cid = found.result.runout.cid
        if found.recorded and not await to_thread.run_sync(self._has_central, cid):
            return Outcome(found, Ending.SAME, "there is no central table to compare it with")
        folder = await to_thread.run_sync(self._open_inbox, found.result.runout)
        pulled = 0
        for wanted in pull.files:
            path = await to_thread.run_sync(_missing, folder, wanted)
            if path is None:
                continue
            fetched = await fetch_file(
                self._store,
                self.layout.result(found.result.runout, wanted.name),
                path,
                limit=self._rules.file_bytes_max,
                crc64nvme=wanted.crc64nvme,
            )
            pulled += fetched.info.size
            if fetched.info.etag != wanted.etag:
                reason = f"{wanted.name!r} was replaced while it was pulled"
                return Outcome(found, Ending.WAITING, reason, usual=True, pulled=pulled)
        self._step("pulled")
        outcome = await to_thread.run_sync(self._bring_home, found, pull, folder)
        return replace(outcome, pulled=pulled)

    def _has_central(self, cid: str) -> bool:
        return bool(identity_of(self._target(closest_name(cid))))

    def _open_inbox(self, runout: Runout) -> Path:
        folder = self.folders.of(runout)
        folder.mkdir(exist_ok=True)
        sweep(folder)
        return folder

    def _bring_home(self, found: Found, pull: Pull, folder: Path) -> Outcome:
        """Check what is in the inbox, merge it, and record the CID."""
        cid = found.result.runout.cid
        names = {file.name for file in pull.files}
        quality = folder / quality_name(cid) if quality_name(cid) in names else None
        if fault := table_fault(folder / closest_name(cid), quality, self._alive):
            return Outcome(found, Ending.REFUSED, fault)
        self._step("checked")
        outcome = self._merge(found, pull, folder, quality)
        self._step("merged")
        if outcome.ending in {Ending.COLLECTED, Ending.SAME} and not found.recorded:
            self._ledger.append(cid)
            self._step("recorded")
        return outcome

    def _merge(self, found: Found, pull: Pull, folder: Path, quality: Path | None) -> Outcome:
        """Compare with what the central folder has, and add what it has not."""
        cid = found.result.runout.cid
        table = self._target(closest_name(cid))
        if identity_of(table):
            return self._compare(found, folder, table)
        if quality is not None and not self._fits(quality):
            reason = f"the central folder has another {quality.name}, and no table"
            return Outcome(found, Ending.DIFFERENT, reason, central=self.central_identity(cid))
        left = [
            file.name
            for file in pull.files
            if file.name != table.name and not self._has(folder / file.name)
        ]
        if not self._add(folder / table.name):
            return self._compare(found, folder, table)
        return Outcome(found, Ending.COLLECTED, left=(*pull.left, *left))

    def _compare(self, found: Found, folder: Path, table: Path) -> Outcome:
        central = self.central_identity(found.result.runout.cid)
        key = os.urandom(_KEY_BYTES)
        reason = compare_tables(folder / table.name, table, key, self._alive)
        ending = Ending.DIFFERENT if reason else Ending.SAME
        return Outcome(found, ending, reason, central=central)

    def _fits(self, quality: Path) -> bool:
        """Tell whether the central folder has no other text under this name."""
        target = self._target(quality.name)
        return not identity_of(target) or same_quality(quality, target)

    def _has(self, source: Path) -> bool:
        """Add one file; True when the central folder then has its content under its name."""
        target = self._target(source.name)
        return self._add(source) or same_quality(source, target)

    def _add(self, source: Path) -> bool:
        """Add one file; False when something in the central folder has its name."""
        target = self._target(source.name)
        if identity_of(target) or not place(source, target, self._step):
            return False
        self._step("placed")
        return True

    def _target(self, name: str) -> Path:
        return contained(self.folders.central, name)


def _missing(folder: Path, wanted: Wanted) -> Path | None:
    """Return where a file is to be pulled to; None when it is there whole."""
    path = contained(folder, wanted.name)
    return None if is_whole(path, wanted) else path
