"""Reading small JSON records that somebody else may have written. Pure.

Every object of the hand-shake is input from outside: a record is read field by field, each with
its type and its bounds, and ValueError names what is wrong. Words for people are the exception:
what cannot be shown in them is replaced, on both sides, because nobody's work may stop for it.
"""

import json
import re
from collections.abc import Mapping

RECORD_BYTES_MAX = 4 * 1024 * 1024
"""No record of the hand-shake is longer; a longer object is not read."""
LINE_CHARACTERS_MAX = 2000
COUNT_END = 1 << 53
"""Counts are smaller: beyond it, not every reader of JSON keeps a number exact."""
_TEXT_MAX = 64 * 1024


def parse_record(body: bytes, what: str, schema: int) -> Mapping[str, object]:
    """Read a JSON object of a known schema."""
    if len(body) > RECORD_BYTES_MAX:
        raise ValueError(f"{what} has {len(body)} bytes; allowed are {RECORD_BYTES_MAX}")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is not JSON: {one_line(str(error))}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{what} is a JSON {type(found).__name__}; it must be an object")  # noqa: TRY004 - callers wait for one type
    said = found.get("schema")
    if said != schema or not _is_whole(said):
        raise ValueError(f"{what} has schema {_short(said)}; this version reads {schema}")
    return found


def dump_record(record: Mapping[str, object]) -> bytes:
    """Write a record as people like to read it."""
    return json.dumps(record, indent=1, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def text_field(
    record: Mapping[str, object],
    name: str,
    pattern: re.Pattern[str] | None,
    *,
    longest: int = _TEXT_MAX,
) -> str:
    """Return a text; ValueError when it is missing, too long or of another form."""
    value = record.get(name)
    if not isinstance(value, str) or len(value) > longest:
        raise ValueError(f"field {name!r} is {_short(value)}; it must be a text")
    if pattern is not None and not pattern.fullmatch(value):
        raise ValueError(f"field {name!r} is {_short(value)}; allowed: {pattern.pattern}")
    return value


def line_field(record: Mapping[str, object], name: str, limit: int = LINE_CHARACTERS_MAX) -> str:
    """Return words for people, as one line that can be shown anywhere."""
    return one_line(text_field(record, name, None), limit)


def count_field(record: Mapping[str, object], name: str) -> int:
    """Return a whole number that is not negative."""
    value = record.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < COUNT_END:
        raise ValueError(f"field {name!r} is {_short(value)}; it must be a whole number >= 0")
    return value


def one_line(text: str, limit: int = LINE_CHARACTERS_MAX) -> str:
    """Return the text as one line without anything that a terminal would obey; idempotent."""
    return _shown(" ".join(text.split()))[:limit].rstrip()


def tail_lines(text: str, limit: int) -> str:
    """Return the end of a text of many lines, without anything that a terminal would obey."""
    shown = "\n".join(_shown(line) for line in text.expandtabs().splitlines())
    return shown.rstrip("\n")[-limit:]


def _shown(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(character if character.isprintable() else "?" for character in line)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _short(value: object) -> str:
    if isinstance(value, dict | list):
        return f"a {type(value).__name__}"
    shown = one_line(repr(value))
    return shown if len(shown) <= 80 else f"{shown[:77]}..."  # noqa: PLR2004 - a line of a log
