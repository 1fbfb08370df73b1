"""Which names a file of the project, an entry of a manifest or a key may have. Pure.

A name goes both ways, from a path to a key and from a key to a path on another machine. Rule: one
that could come out anywhere but below its folder, or as another name, is never used.
"""

import re

from shared.s3.uri import KEY_BYTES_MAX

_PART_BYTES_MAX = 255
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DRIVE = re.compile(r"[A-Za-z]:")


def name_fault(path: str, prefix: str = "") -> str:
    """Say why a name below `prefix` cannot be used, empty where it can.

    | name                                      | because                                      |
    |-------------------------------------------|----------------------------------------------|
    | empty, an empty, `.` or `..` part, `/...` | it leads elsewhere, or comes out as another  |
    | `C:...`, a backslash                      | it leads elsewhere on another system         |
    | a control character, a line separator     | it would forge lines of reports and digests  |
    | not UTF-8                                 | no key can have it                           |
    | too long                                  | no file, or no key, can have it              |
    """
    try:
        size = len(f"{prefix}{path}".encode())
        parts = path.split("/")
        longest = max(len(part.encode()) for part in parts)
    except UnicodeEncodeError:
        return "is not valid UTF-8"
    if any(part in {"", ".", ".."} for part in parts):
        return "is absolute, or has a part that is empty, '.' or '..'"
    if "\\" in path or _DRIVE.match(path):
        return "has a backslash or a drive"
    if _CONTROL.search(path):
        return "has a control character"
    if longest > _PART_BYTES_MAX or size > KEY_BYTES_MAX:
        return "is too long"
    return ""


def parents_of(path: str) -> list[str]:
    """Return the folders that a path lies in, outermost first."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
