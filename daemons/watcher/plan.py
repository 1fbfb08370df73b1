"""What to do with one CID, and whose fault a failed step is: facts in, decisions out. Pure."""

import re
from dataclasses import dataclass
from enum import Enum

from shared.handshake.lease import Lease, LeaseState

_BAD_INPUT = 2
_NO_CREDENTIALS = 3
_UNREACHABLE = 6
_SAFETY_STOP = 7
_STOPPED = frozenset({"SIGTERM", "SIGINT", "SIGHUP"})
_TAIL_READ = 2000
_WINDOW_MAX = 32

_CREDENTIALS = re.compile(
    r"NoCredentialsError|Unable to locate credentials|ExpiredToken|TokenRefreshRequired"
    r"|CredentialRetrievalError|InvalidAccessKeyId|SSOTokenLoadError"
)
_NETWORK = re.compile(
    r"EndpointConnectionError|Could not connect to the endpoint URL|ConnectTimeoutError"
    r"|ReadTimeoutError|ConnectionClosedError|Name or service not known"
    r"|Temporary failure in name resolution|nodename nor servname|Connection refused"
    r"|Connection reset by peer|ConnectionResetError|Network is unreachable|No route to host"
    r"|Connection timed out|SlowDown|ServiceUnavailable|RequestTimeTooSkewed|curlCode: \d+"
)
_DISK = re.compile(r"No space left on device|Disk quota exceeded")
_COMMAND = re.compile(
    r"No module named|can't open file|unrecognized arguments:"
    r"|the following arguments are required|command not found"
    # Our own steps about their own options: exit 2 as for bad input, and the same for every CID.
    r"|is not valid; allowed: |see towpath neowise "
)


class Standing(Enum):
    """What a watcher knows of a CID that is not in its ledger."""

    NEW = "new"
    """Nothing: it is claimed where no lease is."""
    UNREAD = "unread"
    """Something has happened to it: its lease is read before anything else."""
    HELD = "held"
    """Its lease was read: claimed by somebody, or released."""
    PARKED = "parked"
    SCRIPTS = "scripts"
    """A result of the bash scripts lies there; whether it is whole is not known yet."""
    UNREADABLE = "unreadable"
    """Its lease is no lease; a person must look."""


@dataclass(frozen=True, slots=True)
class Record:
    """It is done: only the ledger does not know."""


@dataclass(frozen=True, slots=True)
class Retry:
    """It may be claimed from `due` on, on the observer's clock."""

    due: float


@dataclass(frozen=True, slots=True)
class Leave:
    """A person has to put it back first."""


def judge_lease(
    lease: Lease | None, *, ended: bool, claimable_at: float | None, now: float
) -> Record | Retry | Leave:
    """Say what a lease that was read means.

    | lease                                     | then                                    |
    |-------------------------------------------|-----------------------------------------|
    | none                                      | Retry now                               |
    | committed                                 | Record                                  |
    | parked                                    | Leave                                   |
    | claimed by a process that is dead, as the | Retry now                               |
    | lock on its work folder proves (`ended`)  |                                         |
    | claimed, released                         | Retry when the `LeaseWatch` says so     |
    """
    if lease is None or ended:
        return Retry(now)
    if lease.state is LeaseState.COMMITTED:
        return Record()
    if lease.state is LeaseState.PARKED or claimable_at is None:
        return Leave()
    return Retry(claimable_at)


@dataclass(frozen=True, slots=True)
class StepEnd:
    """How a step ended, as far as it matters here."""

    step: str
    ok: bool
    exit_status: int | None
    signal: str | None
    timed_out: bool
    fault: bool
    """It could not be started, or its keeper failed."""
    reason: str
    tail: str
    built_in: bool
    """It was our own step: its exit statuses are those of the suite."""


@dataclass(frozen=True, slots=True)
class Blamed:
    """The job is at fault; after some attempts it is parked."""

    step: str
    reason: str
    exit_status: int | None = None
    tail: str = ""


@dataclass(frozen=True, slots=True)
class Halted:
    """Something around the job is at fault, and every other CID would fare the same."""

    status: int
    """Of `shared.errors.ExitStatus`, for a command that ends by it."""
    step: str
    reason: str
    exit_status: int | None = None
    tail: str = ""


def judge_step(end: StepEnd) -> Blamed | Halted | None:
    """Say whose fault it is that a step failed, None when it did not; the first row that applies.

    | how it ended                                            | whose fault it is               |
    |---------------------------------------------------------|---------------------------------|
    | well                                                    | nobody's                        |
    | it could not be started                                 | the configuration's (2)         |
    | exit 3, 6 and 7 of a built-in step                      | what this status says           |
    | SIGTERM, SIGINT, SIGHUP before its time was over        | whoever stops this machine (6)  |
    | its time was over                                       | the job's                       |
    | its last lines name a command or argument that is wrong | the configuration's (2)         |
    | they name credentials                                   | theirs (3)                      |
    | they name a network that does not answer                | its own (6)                     |
    | they name a full disk                                   | the disk's (7)                  |
    | any other status or signal                              | the job's                       |

    What a status of somebody's own command means, nobody knows but who wrote it. Its last lines are
    read all the same: the scripts that were here before say in no other way what they lack.
    """
    if end.ok:
        return None
    blame = _blame(end)
    reason = end.reason + (f"; {last}" if (last := _last_line(end.tail)) else "")
    if blame is None:
        return Blamed(end.step, f"step {end.step}: {reason}", end.exit_status, end.tail)
    return Halted(blame, end.step, f"step {end.step}: {reason}", end.exit_status, end.tail)


def _blame(end: StepEnd) -> int | None:
    if end.fault:
        return _BAD_INPUT
    if end.built_in and end.exit_status in {_NO_CREDENTIALS, _UNREACHABLE, _SAFETY_STOP}:
        return end.exit_status
    if end.signal in _STOPPED and not end.timed_out:
        return _UNREACHABLE
    if end.timed_out:
        return None
    tail = end.tail[-_TAIL_READ:]
    for pattern, status in (
        (_COMMAND, _BAD_INPUT),
        (_CREDENTIALS, _NO_CREDENTIALS),
        (_NETWORK, _UNREACHABLE),
        (_DISK, _SAFETY_STOP),
    ):
        if pattern.search(tail):
            return status
    return None


def _last_line(tail: str) -> str:
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    return lines[-1][:500] if lines else ""


def is_own_fault(*, halts: int, attempts: int, others_went_well: bool) -> bool:
    """Say whether what halts one CID again and again is the CID's own fault after all.

    A job that fills the disk, or looks for a host that does not exist, says that something around
    it is wrong. While other CIDs go well, that is not so.
    """
    return halts >= attempts and others_went_well


@dataclass(slots=True)
class ClaimWindow:
    """Among how many of the next CIDs one is chosen at random.

    CIDs are taken in order as long as nobody else takes them too; every claim that is lost doubles
    the window, every one that is won halves it.
    """

    size: int = 1

    def pick(self, waiting: int, chance: float) -> int:
        """Return the index of the CID to try; `chance` is a random number in [0, 1)."""
        return int(chance * min(self.size, waiting))

    def won(self) -> None:
        """Take note of a claim that was won."""
        self.size = max(1, self.size // 2)

    def lost(self) -> None:
        """Take note of a claim that was lost."""
        self.size = min(_WINDOW_MAX, self.size * 2)
