"""Things worth naming, up to a bound, and how many there were. Pure."""

from dataclasses import dataclass, field

NAMED_MAX = 10_000
"""Of each kind that many are kept by name; all are counted."""


@dataclass(frozen=True, slots=True)
class Note:
    """A thing, and what happened to it."""

    path: str
    """A path of the site, a feed's podcast, an episode's key: whatever people look for."""
    reason: str


@dataclass(slots=True)
class Notes:
    """Notes of one kind: the first ones by name, and how many there are."""

    named: list[Note] = field(default_factory=list)
    count: int = 0

    def add(self, path: str, reason: str) -> None:
        """Count, and keep while there is room."""
        self.count += 1
        if len(self.named) < NAMED_MAX:
            self.named.append(Note(path, reason))

    def extend(self, other: "Notes") -> None:
        """Add all of another's, those it did not keep included."""
        self.named += other.named[: NAMED_MAX - len(self.named)]
        self.count += other.count
