"""The files that have not settled yet, each with the moment of its next look; bounded.

One entry a path, however often the file changes: what happens to a file that is waited for is seen
at its next look, so that a busy writer costs one look for each quiet time and not one a write.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from shared.fswatch.items import FoundBy
from shared.fswatch.stability import Observation


@dataclass(slots=True)
class Waiter:
    """What is known of one file that is waited for."""

    since: Observation
    found_by: FoundBy
    told: bool = False
    """Whether the consumer has been told that the file keeps changing."""


class Waiting:
    """At most `capacity` files in the order in which their next looks are due."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._due: list[tuple[float, str]] = []
        self._waiters: dict[str, Waiter] = {}

    def __len__(self) -> int:
        return len(self._waiters)

    def __contains__(self, path: str) -> bool:
        return path in self._waiters

    @property
    def room(self) -> int:
        """How many more files can be waited for."""
        return self._capacity - len(self._waiters)

    @property
    def next_look_at(self) -> float | None:
        """When the earliest look is due, on the monotonic clock."""
        return self._due[0][0] if self._due else None

    def add(self, path: str, look_again_at: float, waiter: Waiter) -> bool:
        """Wait for a file that is not waited for yet; False when there is no room."""
        if self.room <= 0:
            return False
        self._waiters[path] = waiter
        heapq.heappush(self._due, (look_again_at, path))
        return True

    def take_due(self, now: float, most: int) -> dict[str, Waiter]:
        """Remove and return the files whose look is due, the longest overdue first."""
        taken: dict[str, Waiter] = {}
        while self._due and self._due[0][0] <= now and len(taken) < most:
            path = heapq.heappop(self._due)[1]
            taken[path] = self._waiters.pop(path)
        return taken

    def told_paths(self) -> Iterator[str]:
        """The files that are known to keep changing."""
        return (path for path, waiter in self._waiters.items() if waiter.told)

    def clear(self) -> None:
        """Wait for nothing any more."""
        self._due.clear()
        self._waiters.clear()
