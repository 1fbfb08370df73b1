"""Which names a scan passes over, and which can be spelt in UTF-8. Pure.

A path is relative to its root, with `/` between the parts and `""` for the root itself; bytes that
are not UTF-8 are surrogate escapes, as the operating system interface hands them over.
"""

import fnmatch
import re
from dataclasses import dataclass
from functools import lru_cache

TEMPORARY_NAMES = ("*.tmp", "*.part", "*.partial", "*.swp", "*~")


@dataclass(frozen=True, slots=True)
class SkipRules:
    """Names to pass over without a word, whatever they name.

    Both rules hold for files and for directories, and a skipped directory is never entered: a
    writer that stages a whole `run.tmp/` and renames it is as common as one that stages a file.
    Patterns are shell patterns for one part of a path, and upper and lower case differ.
    """

    patterns: tuple[str, ...] = TEMPORARY_NAMES
    hidden: bool = True
    """Skip names that begin with a dot."""

    def skips(self, name: str) -> bool:
        """Whether this one name is passed over."""
        if self.hidden and name.startswith("."):
            return True
        return _matcher(self.patterns).match(name) is not None

    def skips_path(self, path: str) -> bool:
        """Whether any part of the path is passed over, and with it what the path names."""
        return path != "" and any(self.skips(part) for part in path.split("/"))


DEFAULT_RULES = SkipRules()


@lru_cache(maxsize=16)
def _matcher(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """One expression for all patterns: a scan asks it once a name."""
    if not patterns:
        return re.compile(r"(?!)")
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns))


def joined(directory: str, name: str) -> str:
    """The path of a name in a directory."""
    return f"{directory}/{name}" if directory else name


def parent_of(path: str) -> str:
    """The directory that holds the path."""
    return path.rpartition("/")[0]


def is_utf8(name: str) -> bool:
    """Whether the name on disk is valid UTF-8, and can therefore be part of a key."""
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(path: str) -> str:
    """The path for people and logs, which take valid UTF-8 only."""
    return path.encode(errors="backslashreplace").decode()
