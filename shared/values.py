"""How the value of an option is shown: as TOML, which people can copy into their file. Pure.

Rule: a secret is never shown, however the value is nested.
"""

import json
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath

from shared.options import Kind, OptionSpec
from shared.redact import HIDDEN

_EXACT = 2**53
"""Up to here a float holds every whole number."""


def toml_value(spec: OptionSpec, value: object) -> str:
    """Return the value as TOML would have it; the empty text for nothing at all."""
    if spec.kind is Kind.SECRET and value is not None:
        return _toml(HIDDEN)
    return _toml(value)


def plain_value(spec: OptionSpec, value: object) -> object:
    """Return the value as JSON would have it."""
    if spec.kind is Kind.SECRET and value is not None:
        return HIDDEN
    return _plain(value)


def _plain(value: object) -> object:
    """Reduce to what JSON and TOML know."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


def _toml(value: object) -> str:
    """Write one value as TOML."""
    value = _plain(value)
    if value is None:
        return ""
    if isinstance(value, dict):
        pairs = ", ".join(f"{_key(name)} = {_toml(item)}" for name, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))  # `60` reads better than `60.0` and means the same to the model
    # A JSON text is a TOML basic string, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    """Write a key, quoted where a bare one is not allowed."""
    bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if bare else json.dumps(name, ensure_ascii=False)
