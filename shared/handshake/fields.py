"""Reading small JSON records that somebody else may have written. Pure.

Every object of the hand-shake is input from outside: a record is read field by field, each with
its type and its bounds, and ValueError names what is wrong.
"""

import json
import re
from collections.abc import Mapping

RECORD_BYTES_MAX = 1024 * 1024
"""No record of the hand-shake is longer; a longer object is not read."""
_TEXT_MAX = 64 * 1024


def parse_record(body: bytes, what: str, schema: int) -> Mapping[str, object]:
    """Read a JSON object of a known schema."""
    if len(body) > RECORD_BYTES_MAX:
        raise ValueError(f"{what} has {len(body)} bytes; allowed are {RECORD_BYTES_MAX}")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{what} is a JSON {type(found).__name__}; it must be an object")  # noqa: TRY004 - callers wait for one type
    if found.get("schema") != schema:
        raise ValueError(f"{what} has schema {found.get('schema')!r}; this version reads {schema}")
    return found


def dump_record(record: Mapping[str, object]) -> bytes:
    """Write a record as people like to read it."""
    return json.dumps(record, indent=1, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def text_field(record: Mapping[str, object], name: str, pattern: re.Pattern[str] | None) -> str:
    """Return a text; ValueError when it is missing, too long or of another form."""
    value = record.get(name)
    if not isinstance(value, str) or len(value) > _TEXT_MAX:
        raise ValueError(f"field {name!r} is {_short(value)}; it must be a text")
    if pattern is not None and not pattern.fullmatch(value):
        raise ValueError(f"field {name!r} is {_short(value)}; allowed: {pattern.pattern}")
    return value


def count_field(record: Mapping[str, object], name: str) -> int:
    """Return a whole number that is not negative."""
    value = record.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise ValueError(f"field {name!r} is {_short(value)}; it must be a whole number >= 0")
    return value


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."  # noqa: PLR2004 - a line of a log
