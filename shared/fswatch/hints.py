"""What events say may have changed, collapsed into a bounded set until somebody looks.

Events never queue: a path is there once however often it was touched, and when there are too many
paths they become one fact, that anything may have changed.
"""

from collections.abc import Iterable

_MOST_PATHS = 4096


class Hints:
    """Paths to look at; too many of them mean the whole root."""

    def __init__(self, capacity: int = _MOST_PATHS) -> None:
        self._capacity = capacity
        # A dict and not a set, because it keeps the order of arrival.
        self._paths: dict[str, None] = {}
        self._everything = False

    def __len__(self) -> int:
        return len(self._paths)

    @property
    def everything(self) -> bool:
        """Whether only a full scan can tell what changed."""
        return self._everything

    def add(self, paths: Iterable[str]) -> None:
        """These paths were touched."""
        if self._everything:
            return
        self._paths.update(dict.fromkeys(paths))
        if len(self._paths) > self._capacity:
            self.add_everything()

    def add_everything(self) -> None:
        """Anything may have been touched."""
        self._everything = True
        self._paths.clear()

    def take(self, most: int) -> list[str]:
        """Remove and return the paths that have waited longest."""
        taken = [path for path, _ in zip(self._paths, range(most), strict=False)]
        for path in taken:
            del self._paths[path]
        return taken

    def clear(self) -> None:
        """A full scan begins, which will see whatever was touched until now."""
        self._everything = False
        self._paths.clear()
