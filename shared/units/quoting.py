r"""Text that comes out of a unit file exactly as it went in. Pure.

| where                       | separators    | escapes             | `%`       | `$`      |
|-----------------------------|---------------|---------------------|-----------|----------|
| `ExecStart=`                | blanks        | C                   | specifier | variable |
| `Environment=`              | blanks        | C                   | specifier | plain    |
| `ReadWritePaths=` and alike | blanks        | backslash: the next | specifier | plain    |
| `BindPaths=` and alike      | blanks, colon | backslash: the next | specifier | plain    |
| `WorkingDirectory=`         | none          | none                | specifier | plain    |

So one form fits the first four: in double quotes, with `\\`, `\"` and `%%`. Nothing fits a control
character (only the first two could say it), so a path that has one is refused, as is one that is
not UTF-8: systemd ignores such a line, and an ignored `ReadWritePaths=` would be noticed far too
late.
"""

import re
import unicodedata
from pathlib import PurePath

_PLAIN = re.compile(r"[A-Za-z0-9_/.,@+=~-]+")
_LONGEST_PATH_BYTES = 4095
_NEVER = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, halves of characters (bytes that are no UTF-8), line and paragraph ends."""

_NOT_IN_PROGRAMS = frozenset("\"'\\")


class UnfitPath(ValueError):
    """A path that a unit cannot name; the message says why and what to do."""


def check_path(path: PurePath) -> PurePath:
    """Return the path if a unit can name it."""
    text = str(path)
    if not path.is_absolute():
        raise UnfitPath(
            f"{text!r} is relative, and a unit has no folder of yours to start from; "
            "write an absolute path, or say --working-directory"
        )
    if any(unicodedata.category(char) in _NEVER for char in text):
        raise UnfitPath(
            f"{text!r} has a control character or is not UTF-8, which no unit can name; rename it"
        )
    if ".." in path.parts:
        raise UnfitPath(f"{text!r} has a part '..'; write it without")
    if len(text.encode()) > _LONGEST_PATH_BYTES:
        raise UnfitPath(f"{text[:60]!r}... has more than {_LONGEST_PATH_BYTES} bytes; shorten it")
    return path


def quote(text: str) -> str:
    """Return a word of a list, as `ReadWritePaths=`, `BindPaths=` and `Environment=` take it."""
    if _PLAIN.fullmatch(text):
        return text
    inside = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{inside}"'


def quote_argument(text: str) -> str:
    """Return a word of `ExecStart=`, where a dollar sign would begin a variable."""
    return quote(text).replace("$", "$$")


def quote_program(path: PurePath) -> str:
    """Return the first word of `ExecStart=`: no variable is looked for, and systemd is strict."""
    text = str(check_path(path))
    if set(text) & _NOT_IN_PROGRAMS:
        raise UnfitPath(
            f"{text!r} has a quote or a backslash, which systemd allows in no program's path; "
            "install into another folder"
        )
    return quote(text)


def whole_line(path: PurePath) -> str:
    """Return a path as `WorkingDirectory=` takes it: the rest of the line, where no quotes help."""
    text = str(path)
    if text.endswith("\\") or text != text.strip():
        raise UnfitPath(f"{text!r} ends in a blank or a backslash; rename it")
    return text.replace("%", "%%")
