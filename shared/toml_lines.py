"""Where in a TOML file each key stands. Pure: tomllib itself keeps no positions.

Rule: only text that tomllib has accepted as a whole is looked at, so a statement is exactly the
shortest run of lines that tomllib accepts by itself: inside an open string, array or table the run
is not yet valid TOML.
"""

import re
import tomllib
from collections.abc import Mapping

_POSITION = re.compile(r"^(?P<what>.*?) \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")
_ENDS = ("]", '"""', "'''")


def key_lines(text: str) -> Mapping[tuple[str, ...], int]:
    """Return the line (from 1) on which each key and table of valid TOML first appears."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    start = 1
    statement = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if statement and not any(end in line for end in _ENDS):
            statement += line + "\n"
            continue  # an open value cannot end here; a long list stays linear
        start = start if statement else number
        statement += line + "\n"
        try:
            parsed = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        header = statement.lstrip().startswith("[")
        path = _path(parsed)
        if header:
            table = path
        for depth in range(1, len(path) + 1):
            full = path[:depth] if header else table + path[:depth]
            found.setdefault(full, start)
        statement = ""
    return found


def _path(parsed: Mapping[str, object]) -> tuple[str, ...]:
    """Return the dotted key of a single statement, down to its value."""
    path: list[str] = []
    value: object = parsed
    while isinstance(value, Mapping) and len(value) == 1:
        name, value = next(iter(value.items()))
        path.append(name)
    return tuple(path)


def syntax_error(error: tomllib.TOMLDecodeError, text: str) -> tuple[int, str]:
    """Return the line and the reason of a syntax error."""
    match = _POSITION.match(str(error))
    if match is None:
        return 1, str(error)
    line = int(match["line"]) if match["line"] else len(text.splitlines())
    return line, match["what"][:1].lower() + match["what"][1:]
