"""Two sorted listings become one sequence of pairs. Pure: it is fed, and says which side it needs.

Both sides come in the order of their UTF-8 bytes, which is the order of code points. The local side
is sorted by NFC form by whoever walks the disk. S3 sorts by the keys as they are, so a key that is
not in NFC stands elsewhere than the path it is compared by:

| the key's NFC form          | what happens                                                     |
|-----------------------------|------------------------------------------------------------------|
| is the key (nearly always)  | it is paired where it stands                                     |
| sorts behind the key        | it waits until its place comes: `e` + accent, Hangul jamo        |
| sorts before the key        | its place has passed: handed out late, to be looked for by itself|
| another key has it          | the exact one takes part; the twin is left alone, with a reason  |

Held are one piece of each side, and the keys that wait, of which there is a bound.
"""

import heapq
from collections import deque
from collections.abc import Sequence
from enum import StrEnum

from daemons.ingester.syncing.entries import LocalEntry, Pair, Problem, RemoteEntry

WAITING_MAX = 100_000
"""Keys that are not in NFC and wait for their place."""


class Side(StrEnum):
    """What `Pairing` needs to go on."""

    LOCAL = "local"
    REMOTE = "remote"
    NEITHER = "neither"


class BrokenListing(ValueError):
    """A listing that cannot be merged: it is not in order."""


class Pairing:
    """Pairs what it is fed; `take` hands out whatever is decided by now, in the order of paths."""

    def __init__(self) -> None:
        self._local: deque[LocalEntry] = deque()
        self._remote: deque[RemoteEntry] = deque()
        self._waiting: list[tuple[str, str, RemoteEntry]] = []
        self._late: list[Pair] = []
        self._problems: list[Problem] = []
        self._ended: set[Side] = set()
        self._last = {Side.LOCAL: "", Side.REMOTE: ""}
        self._passed = ""

    @property
    def wants(self) -> Side:
        """Which side has to be fed, or ended, before more can be decided."""
        if not self._remote and Side.REMOTE not in self._ended:
            return Side.REMOTE
        if not self._local and Side.LOCAL not in self._ended:
            return Side.LOCAL
        return Side.NEITHER

    @property
    def held(self) -> int:
        """How many entries are in memory now."""
        return len(self._local) + len(self._remote) + len(self._waiting)

    def feed_local(self, entries: Sequence[LocalEntry]) -> None:
        """Add files, in the order of their paths."""
        self._require_order(Side.LOCAL, [entry.path for entry in entries])
        self._local.extend(entries)

    def feed_remote(self, entries: Sequence[RemoteEntry]) -> None:
        """Add objects, in the order of their keys."""
        self._require_order(Side.REMOTE, [entry.key for entry in entries])
        for entry in entries:
            if entry.path == entry.key:
                self._remote.append(entry)
            elif entry.path <= self._passed:
                self._late.append(Pair(entry.path, None, entry, is_late=True))
            elif len(self._waiting) >= WAITING_MAX:
                raise BrokenListing(f"more than {WAITING_MAX} keys are not in Unicode NFC")
            else:
                heapq.heappush(self._waiting, (entry.path, entry.key, entry))

    def end(self, side: Side) -> None:
        """Say that nothing more comes of a side."""
        self._ended.add(side)

    def take(self) -> tuple[Sequence[Pair], Sequence[Problem]]:
        """Return the pairs that are decided, and the names that were left out, since last time."""
        pairs = self._take_equals()
        while self.wants is Side.NEITHER and (path := self._next_path()) is not None:
            local = self._local.popleft() if self._is_next(self._local, path) else None
            pairs.append(Pair(path, local, self._take_remote(path)))
            pairs += self._take_equals()
            self._passed = pairs[-1].path
        late, self._late = self._late, []
        problems, self._problems = self._problems, []
        return [*pairs, *late], problems

    def _take_equals(self) -> list[Pair]:
        """Pair what both sides have next and nothing waits for: nearly everything, every night."""
        local, remote = self._local, self._remote
        pairs: list[Pair] = []
        while local and remote and not self._waiting and local[0].path == remote[0].path:
            pairs.append(Pair(local[0].path, local.popleft(), remote.popleft()))
        if pairs:
            self._passed = pairs[-1].path
        return pairs

    def _next_path(self) -> str | None:
        heads = [queue[0].path for queue in (self._local, self._remote) if queue]
        if self._waiting:
            heads.append(self._waiting[0][0])
        return min(heads, default=None)

    @staticmethod
    def _is_next(queue: "deque[LocalEntry] | deque[RemoteEntry]", path: str) -> bool:
        return bool(queue) and queue[0].path == path

    def _take_remote(self, path: str) -> RemoteEntry | None:
        found = self._remote.popleft() if self._is_next(self._remote, path) else None
        while self._waiting and self._waiting[0][0] == path:
            other = heapq.heappop(self._waiting)[2]
            if found is None:
                found = other
            else:
                self._problems.append(Problem(other.key, twin_reason(found.key)))
        return found

    def _require_order(self, side: Side, names: Sequence[str]) -> None:
        before = self._last[side]
        for name in names:
            if name <= before:
                raise BrokenListing(
                    f"the {side.value} listing is not in order: {name!r} after {before!r}"
                )
            before = name
        self._last[side] = before


def twin_reason(other: str) -> str:
    """Say why the second of two names that are the same in NFC takes no part."""
    return f"it is the same name as {other!r} in Unicode NFC; remove or rename one of them"
