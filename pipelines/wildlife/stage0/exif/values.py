"""Values of fields: text, whole numbers, fractions. Pure; None for what is no such thing."""

import struct
from collections.abc import Sequence

from pipelines.wildlife.stage0.exif.directory import Field

_TEXTS = frozenset({1, 2, 7})
"""Bytes, text, and undefined, which some cameras write text as."""
_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I"}
_FRACTIONS = {5: "II", 10: "ii"}
_LONGEST = 100
"""Characters of a text that is passed on."""


def text_of(field: Field | None) -> str | None:
    """Return the text up to its first NUL, without what does not print."""
    if field is None or field.kind not in _TEXTS:
        return None
    text = field.raw.partition(b"\0")[0].decode(errors="replace")
    return "".join(each for each in text if each.isprintable()).strip()[:_LONGEST] or None


def number_of(field: Field | None) -> int | None:
    """Return the one whole number."""
    if field is None or field.kind not in _NUMBERS or field.count != 1:
        return None
    return int(struct.unpack(field.order + _NUMBERS[field.kind], field.raw)[0])


def fractions_of(field: Field | None, count: int) -> Sequence[float] | None:
    """Return so many fractions, none of them divided by zero."""
    if field is None or field.kind not in _FRACTIONS or field.count != count:
        return None
    pairs = list(struct.iter_unpack(field.order + _FRACTIONS[field.kind], field.raw))
    if not all(below for _, below in pairs):
        return None
    return [above / below for above, below in pairs]
