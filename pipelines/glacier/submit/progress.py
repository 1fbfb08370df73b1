"""What follows from what is seen of a job that is waited for. Pure.

| the record says  | the service says    | then                                                   |
|------------------|---------------------|--------------------------------------------------------|
| success, no_data |                     | finished                                               |
| failed, invalid  |                     | finished, with the record's reason                     |
| failed, and no   | nothing             | wait: the platform begins it anew, twice; failed, when |
| answer was given |                     | it has not for too long                                |
| partial          | it is at work       | wait: it goes on by itself                             |
| partial          | it is over, nothing | submitted again, `ROUNDS_MAX` times                    |
| running, nothing | it is at work       | wait                                                   |
| running, nothing | it is over          | failed, with the service's reason                      |
| running, nothing | nothing             | wait; failed, when nothing has changed for too long    |

Lambda says nothing of a call that it took: only the record tells. No call runs for longer than
fifteen minutes, but one that begins may have waited for its turn, and one that crashed is begun
anew twice. Times are those of our own clock between two looks; no clocks are compared.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pipelines.glacier.job_record import RunEntry
from pipelines.glacier.submit.result import Result

ROUNDS_MAX = 5
"""How often a job is submitted again."""
RUNNING_QUIET_SECONDS = 1_200.0
"""A call's fifteen minutes, and until the platform begins it anew after a crash."""
RETRY_QUIET_SECONDS = 360.0
"""After an error that nobody foresaw: the platform waits one minute, then two."""
SILENT_SECONDS = 3_600.0
"""Without a record at all: the call may wait for its turn."""

PlatformStatus: TypeAlias = Literal["at work", "over"]


@dataclass(frozen=True, slots=True)
class PlatformState:
    """What the service that runs a job says of it."""

    status: PlatformStatus
    reason: str = ""
    log: str = ""
    """Where the console shows what it printed."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a job."""

    entry: RunEntry | None
    """What the record says of this submission since it was last submitted."""
    platform: PlatformState | None
    """None where the service says nothing: Lambda, or an outcome that is unknown."""
    quiet_seconds: float
    """For how long nothing has changed."""
    rounds: int
    """How often it was submitted again."""
    may_repeat: bool = True
    """Off: somebody else submits it again, or nobody knows whether it is still at work."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again later."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """Submit it again: it goes on where it stopped."""


Verdict: TypeAlias = Wait | Repeat | Result


def judge(seen: Seen) -> Verdict:
    """Return what follows."""
    entry, platform = seen.entry, seen.platform
    log = platform.log if platform else ""
    match entry.status if entry else "":
        case "success" | "no_data" as done:
            return Result(done, rounds=seen.rounds, log=log)
        case "failed" | "invalid" as status:
            if _begins_anew(seen):
                return Wait()
            reason = (entry.error if entry else "") or status
            return Result("failed", reason, seen.rounds, log)
    if platform is not None and platform.status == "at work":
        return Wait()
    if entry is not None and entry.status == "partial":
        return _continued(seen, log)
    if platform is not None:
        reason = platform.reason or "it is over"
        return Result("failed", f"it ended without a result: {reason}", seen.rounds, log)
    return _without_word(seen)


def _begins_anew(seen: Seen) -> bool:
    """Tell whether Lambda may call the function again by itself: it does after an exception."""
    answered = seen.entry is not None and (seen.entry.response or seen.entry.status != "failed")
    return not answered and seen.platform is None and seen.quiet_seconds < RETRY_QUIET_SECONDS


def _continued(seen: Seen, log: str) -> Verdict:
    if seen.may_repeat and seen.rounds < ROUNDS_MAX:
        return Repeat()
    if not seen.may_repeat and seen.platform is None:
        return Wait()
    again = f" after being submitted again {seen.rounds} times" if seen.rounds else ""
    reason = f"it is not finished{again}; submit it anew to go on"
    return Result("failed", reason, seen.rounds, log)


def _without_word(seen: Seen) -> Verdict:
    if seen.entry is not None:
        if seen.quiet_seconds < RUNNING_QUIET_SECONDS:
            return Wait()
        reason = "it began and was never heard of again; it may have run out of memory"
    else:
        if seen.quiet_seconds < SILENT_SECONDS:
            return Wait()
        reason = "its record never appeared; see whether the function starts"
    return Result("failed", f"{reason} (waited {seen.quiet_seconds:.0f} s)", seen.rounds)
