"""What was written and what arrived. The writer says a line of JSON of each content. Pure."""

import json
from dataclasses import asdict, dataclass

from scripts.demo.screenplay import BUCKETS, BURST_PREFIXES, LARGE_KEY

STABILITY_SECONDS = 1.0
"""What the daemon of the chapter is told by `-s`."""
_NS_PER_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Produced:
    """One content under one name."""

    path: str
    """Relative to the root."""
    size: int
    sha256: str
    mtime_ns: int
    """As the file system says, after the last write."""
    named_ns: int = 0
    """For a file renamed into place: when it got its name, by the wall clock."""
    grew: bool = False
    """Whether it was written in pieces, over seconds."""
    final: bool = True
    """False: the writer paused so long in the middle of the file that it had to count as settled.

    That is the machine's doing, not the screenplay's, and the content may rightly be in S3.
    """

    @property
    def bucket(self) -> str:
        """The bucket that the path stands for."""
        return BUCKETS[self.path.partition("/")[0]]

    @property
    def key(self) -> str:
        """The key that the path stands for."""
        return self.path.partition("/")[2]

    @property
    def in_burst(self) -> bool:
        """Whether it is one of many written at the same moment, or as much work as they."""
        return self.key.startswith((*BURST_PREFIXES, LARGE_KEY))

    @property
    def settled_ns(self) -> int:
        """From when on the daemon may send it."""
        return max(self.mtime_ns + round(STABILITY_SECONDS * _NS_PER_SECOND), self.named_ns)

    def line(self) -> str:
        """Return it as a line, the line feed excluded."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Landed:
    """One content that became visible under its key."""

    bucket: str
    key: str
    size: int
    sha256: str
    at_ns: int
    """By the wall clock of the same machine."""
    in_parts: bool = False


def parse_produced(line: str | bytes) -> Produced:
    """Read a line; ValueError if it is none of ours."""
    try:
        return Produced(**json.loads(line))
    except TypeError as error:
        raise ValueError(f"not a record of the writer: {line!r}") from error
