"""How the time that is left is divided between the step and what comes after it. Pure.

    |---- step ----|-- stop it, store the rest --|-- record, answer --|
    now            step ends                      work ends            the platform kills

The reserve is what lies behind the step. Where a function has little time at all the reserve is at
most half of it, so that something is done in each delivery. Where it has no more than starting a
step takes, none is started: a record and an answer are worth more.
"""

from dataclasses import dataclass

RESERVE_SECONDS = 60.0
RESERVE_SECONDS_RAW = 120.0
"""With raw tiles to upload, which are large."""
LEAST_SECONDS = 1.5
"""With less than this the platform would kill before anything is answered."""
_ANSWER_SHARE = 0.25
_ANSWER_SECONDS_MAX = 15.0
STOP_SECONDS = 20.0
"""From a signal to the end of a run: services kill thirty seconds after they have asked."""
STOP_ANSWER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Budget:
    """Seconds from now on; neither is negative."""

    step_seconds: float
    """Then the step is stopped."""
    work_seconds: float
    """Then uploads are given up, too, and only the record and the answer are left."""


def plan_budget(
    remaining_seconds: float, *, keeps_raw_tiles: bool, reserve_seconds: float | None = None
) -> Budget:
    """Divide what remains; a reserve that somebody names beats the default of the job."""
    default = RESERVE_SECONDS_RAW if keeps_raw_tiles else RESERVE_SECONDS
    remaining = max(0.0, remaining_seconds)
    if remaining < LEAST_SECONDS:
        return Budget(0.0, remaining / 2)
    reserve = min(default if reserve_seconds is None else reserve_seconds, remaining / 2)
    answer = min(reserve * _ANSWER_SHARE, _ANSWER_SECONDS_MAX)
    return Budget(remaining - reserve, remaining - answer)
