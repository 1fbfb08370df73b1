"""How a task fails, and what a state does about it: another try, another state, the end. Pure.

| name in a definition | means                                                            |
|----------------------|------------------------------------------------------------------|
| an error's own name  | this error                                                       |
| `States.TaskFailed`  | every error but `States.Timeout` and what nobody can catch       |
| `States.ALL`         | every error but what nobody can catch                            |

Nobody can catch `States.Runtime` and `States.DataLimitExceeded`: a mistake of the definition, and a
payload that is too large.
"""

import json
from collections.abc import Mapping, Sequence

from pipelines.wildlife.machine.document import Catcher, Retrier

RUNTIME = "States.Runtime"
DATA_LIMIT = "States.DataLimitExceeded"
TIMEOUT = "States.Timeout"
TASK_FAILED = "States.TaskFailed"
_ALL = "States.ALL"
_UNCAUGHT = frozenset({RUNTIME, DATA_LIMIT})


class TaskFailure(Exception):
    """A task has failed: with which error, and why."""

    def __init__(self, error: str, cause: str = "") -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


class Tries:
    """The tries of one visit to a state: each retrier counts for itself."""

    def __init__(self, retriers: Sequence[Retrier]) -> None:
        self._retriers = retriers
        self._used = [0] * len(retriers)

    def delay(self, error: str, chance: float) -> float | None:
        """Return the seconds until another try; None: there is none.

        `chance`, from 0 to 1, is where in its window a delay with full jitter lands.
        """
        for index, retrier in enumerate(self._retriers):
            if matches(retrier.error_equals, error):
                self._used[index] += 1
                return _delay(retrier, self._used[index], chance)
        return None


def find_catcher(catchers: Sequence[Catcher], error: str) -> Catcher | None:
    """Return the first that catches an error."""
    return next((each for each in catchers if matches(each.error_equals, error)), None)


def matches(names: Sequence[str], error: str) -> bool:
    """Tell whether an error is among those that are named."""
    if error in _UNCAUGHT:
        return False
    if _ALL in names or error in names:
        return True
    return TASK_FAILED in names and error != TIMEOUT


def said_by(cause: str) -> str:
    """Return what a function's error said, out of the cause that came of it; else the cause."""
    try:
        told = json.loads(cause)
    except ValueError:
        return cause
    message = told.get("errorMessage") if isinstance(told, Mapping) else None
    return message if isinstance(message, str) else cause


def _delay(retrier: Retrier, attempt: int, chance: float) -> float | None:
    if attempt > retrier.max_attempts:
        return None
    longest = retrier.max_delay_seconds or float("inf")
    # Bounded before it is raised to a power: an exponent of some thousands overflows.
    doublings = min(attempt - 1, 1000 if retrier.backoff_rate == 1 else 64)
    window = min(retrier.interval_seconds * retrier.backoff_rate**doublings, longest)
    return window * chance if retrier.jitter_strategy == "FULL" else window
