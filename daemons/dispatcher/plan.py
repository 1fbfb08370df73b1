"""What to do with one CID: facts in, a frozen action with its reason out. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime

from shared.handshake.layout import JobFolder, job_folder_at

_CHUNK = re.compile(r"positions_chunk_([0-9]{5})\.csv")
_MEANT = re.compile(r"positions_chunk_.*\.csv", re.DOTALL)
_ANSWER = re.compile(r"positions([0-9]{5})_closest\.csv")

_BAD_INPUT = 2
_NO_CREDENTIALS = 3
_UNREACHABLE = 6
_DISK_FULL = ("No space left on device", "Disk quota exceeded")


def chunk_cid(path: str) -> str | None:
    """Return the CID of a chunk, by its path below the folder of positions; None for all else."""
    found = _CHUNK.fullmatch(path)
    return None if found is None else found[1]


MISNAMED = "a CID is exactly five digits"
"""Why a file that was meant as a chunk is none."""


def is_misnamed(name: str) -> bool:
    """Tell whether somebody meant this as a chunk, and nobody will take it for one."""
    return _MEANT.fullmatch(name) is not None and chunk_cid(name) is None


def answer_cid(path: str) -> str | None:
    """Return the CID that a file of the archive's service answers; None for all else."""
    found = _ANSWER.fullmatch(path)
    return None if found is None else found[1]


@dataclass(frozen=True, slots=True)
class KnownJob:
    """A job that the bucket holds already, by whomever."""

    folder: JobFolder
    complete: bool
    """Its marker is there."""


def prefer_job(known: KnownJob | None, found: KnownJob) -> KnownJob:
    """Say which of two folders of one CID counts: a complete one, else the earlier.

    There are two where scripts were interrupted on one day and began anew on another.
    """
    if known is None or (found.complete and not known.complete):
        return found
    return known


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one CID that has a chunk."""

    cid: str
    sent: bool
    """It is in the ledger."""
    answered: bool
    job: KnownJob | None
    intended: JobFolder | None
    """The folder that an earlier life had chosen for it."""
    held: str
    """Why it is not tried now: it failed, and nothing has changed since; empty: it may be tried."""


@dataclass(frozen=True, slots=True)
class Send:
    """Build its seeds and send them into this folder."""

    folder: JobFolder
    reason: str


@dataclass(frozen=True, slots=True)
class Record:
    """The bucket holds its whole job: only the ledger does not know."""

    folder: JobFolder


@dataclass(frozen=True, slots=True)
class Skip:
    """Leave it alone."""

    reason: str


def plan_cid(facts: Facts, now: datetime) -> Send | Record | Skip:
    """Decide what to do with a CID; the first row that applies.

    | in the ledger | answered | job in the bucket | held | then                                |
    |---------------|----------|-------------------|------|-------------------------------------|
    | yes           |          |                   |      | Skip                                |
    |               | yes      |                   |      | Skip: nobody needs it               |
    |               |          | complete          |      | Record                              |
    |               |          |                   | yes  | Skip: a person or a new chunk helps |
    |               |          | without marker    |      | Send into that very folder          |
    |               |          | none, but chosen  |      | Send into the folder chosen before  |
    |               |          | none              |      | Send into a folder of today         |

    The folder chosen before matters when a life ended while its first request was under way: the
    request may be carried out after the bucket was listed.
    """
    if facts.sent:
        return Skip("sent")
    if facts.answered:
        return Skip("answered")
    if facts.job is not None and facts.job.complete:
        return Record(facts.job.folder)
    if facts.held:
        return Skip(facts.held)
    if facts.job is not None:
        return Send(facts.job.folder, "its folder lacks the marker")
    if facts.intended is not None:
        return Send(facts.intended, "it was begun")
    return Send(job_folder_at(now, facts.cid), "new")


@dataclass(frozen=True, slots=True)
class StepEnd:
    """How the seed step ended, as far as it matters here."""

    ok: bool
    exit_status: int | None
    fault: bool
    """It could not be started, or its keeper failed."""
    reason: str
    tail: str
    built_in: bool
    """It was our own step: its exit statuses are those of the suite."""


@dataclass(frozen=True, slots=True)
class Built:
    """The step ended well."""


@dataclass(frozen=True, slots=True)
class Blamed:
    """The chunk is at fault."""

    final: bool
    """It will fail again: quarantine it at once. Else after some attempts."""
    reason: str


@dataclass(frozen=True, slots=True)
class Halted:
    """Something around it is at fault, and every other CID would fare the same."""

    exit_status: int
    """Of `shared.errors.ExitStatus`, for a command that ends by it."""
    reason: str


def judge_step(end: StepEnd) -> Built | Blamed | Halted:
    """Say whose fault it is that the seed step failed; the first row that applies.

    | how it ended                              | then                                    |
    |-------------------------------------------|-----------------------------------------|
    | well                                      | Built                                   |
    | it could not be started                   | Halted, as bad configuration            |
    | exit 3, 6 of the built-in step            | Halted, with this status                |
    | its last output tells of a full disk      | Halted, as a safety stop                |
    | exit 2 of the built-in step               | Blamed for good: the input is bad       |
    | any other status, a signal, its time over | Blamed: this may have been an accident  |

    What a status of somebody's own command means, nobody knows but who wrote it.
    """
    if end.ok:
        return Built()
    last = _last_line(end.tail)
    reason = f"the seed step: {end.reason}" + (f"; {last}" if last else "")
    if end.fault:
        return Halted(_BAD_INPUT, f"{reason}; see the setting seed_command")
    if end.built_in and end.exit_status in {_NO_CREDENTIALS, _UNREACHABLE}:
        return Halted(end.exit_status, reason)
    if any(words in end.tail for words in _DISK_FULL):
        return Halted(7, reason)
    return Blamed(end.built_in and end.exit_status == _BAD_INPUT, reason)


def _last_line(tail: str) -> str:
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    return lines[-1][:500] if lines else ""


def retry_delay_seconds(attempts: int, *, first: float, longest: float) -> float:
    """Return how long a CID is left alone that has failed so often: doubled each time."""
    return min(longest, first * 2.0 ** min(max(attempts, 1) - 1, 30))
