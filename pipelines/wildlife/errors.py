"""What ends a run on purpose. The names are those that the state machine catches.

Step Functions sees of a Python handler's error the name of its class, nothing else.
"""

from collections.abc import Sequence
from enum import IntEnum

from shared.errors import PermanentError, UsageError

_LINES_MAX = 100
"""An error goes through a state machine, which does not pass on megabytes."""


class WildlifeStatus(IntEnum):
    """Exit statuses of `towpath wildlife`."""

    DONE = 0
    INVALID_INPUT = 2
    BUDGET_EXCEEDED = 3
    STAGE_FAILED = 4
    CONFIGURATION = 5


class InvalidInput(UsageError):
    """The input document, or what it names, cannot be run; each line is one mistake."""


class BudgetExceeded(PermanentError):
    """The run would cost more than it may."""


def in_lines(mistakes: Sequence[str]) -> str:
    """Return mistakes as an error says them, a line each; of too many the first, and how many."""
    more = len(mistakes) - _LINES_MAX
    shown = [*mistakes[:_LINES_MAX], f"and {more} more"] if more > 0 else mistakes
    return "\n".join(shown)
