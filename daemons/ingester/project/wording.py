"""What pydantic finds in a file of people's, in the words of every other complaint. Pure.

Rule: who reads it knows JSON, and neither Python nor the library's own terms; every mistake is a
line with the field, the value and what is allowed.
"""

import re
from collections.abc import Mapping, Sequence

from pydantic import AfterValidator
from pydantic_core import ErrorDetails

_WORDS: Mapping[str, str] = {
    "enum": "allowed: {expected}",
    "list_type": "allowed: a JSON list",
    "model_type": "allowed: a JSON object",
    "string_too_long": "allowed: at most {max_length} characters",
    "string_too_short": "allowed: at least {min_length} characters",
    "string_type": "allowed: text",
    "too_short": "allowed: a list of at least {min_length}",
}
_NOT_EMPTY: Mapping[str, str] = {
    "string_too_short": "allowed: text that is not empty",
    "too_short": "allowed: a list that is not empty",
}
_SHOWN_MAX = 80


def sentence_of(detail: ErrorDetails) -> str:
    """Turn a finding into the line that a person reads."""
    field = _spelt(detail["loc"])
    if detail["type"] == "missing":
        return f"{field} is missing"
    if not field and detail["type"] == "value_error":
        return complaint_of(detail)
    return f"{field or 'the entry'} {_shown(detail['input'])} is wrong; {complaint_of(detail)}"


def complaint_of(detail: ErrorDetails) -> str:
    """Say what is allowed in the place of a value, or what is wrong with it."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _NOT_EMPTY and context.get("min_length") == 1:
        return _NOT_EMPTY[kind]
    if kind in _WORDS:
        return _WORDS[kind].format_map(context)
    if kind == "value_error":
        return detail["msg"].removeprefix("Value error, ")
    return detail["msg"][:1].lower() + detail["msg"][1:]


def matching(pattern: re.Pattern[str], allowed: str) -> AfterValidator:
    """Return the constraint of a text that is refused with what is allowed, not with a pattern."""

    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"allowed: {allowed}")
        return value

    return AfterValidator(check)


def _spelt(loc: Sequence[str | int]) -> str:
    """Write a place as it would be written in JavaScript: `includedPodcasts[1].url`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return text.removeprefix(".")


def _shown(value: object) -> str:
    """Show whatever stands in the file."""
    if isinstance(value, dict | list):
        return f"(a JSON {'object' if isinstance(value, dict) else 'list'})"
    shown = repr(value)
    return shown if len(shown) <= _SHOWN_MAX else f"{shown[: _SHOWN_MAX - 3]}..."
