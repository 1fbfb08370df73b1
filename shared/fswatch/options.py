"""How a root is watched. Pure."""

from dataclasses import dataclass

from shared.fswatch.names import DEFAULT_RULES, SkipRules
from shared.fswatch.stability import StabilityRule


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What a watch can be told to do differently."""

    stability: StabilityRule
    interval_seconds: float = 60.0
    """From the beginning of one full scan to the beginning of the next, if the first has ended."""
    rules: SkipRules = DEFAULT_RULES
    polling_seconds: float = 5.0
    """The interval while there are no events, if that is shorter."""
    most_waiting: int = 100_000
    """Unsettled files to wait for at a time; what is beyond is left to the next scan.

    At least two thousand, for a flush to leave none behind.
    """
    buffered_items: int = 4
    """Items that are ready and not yet taken; each holds at most a thousand files."""
