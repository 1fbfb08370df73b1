"""Keeps secrets out of everything that is logged, and makes every value plain. Pure.

Two nets: the name of a field (`*secret*`, `*token*`, ...) hides its value whatever it is; the look
of a text (access keys, signatures of presigned URLs, bearer tokens) hides that part of it, also in
the middle of an exception's message. Rule: nothing that is logged can raise here, and hiding too
much is a nuisance where hiding too little is a leak.
"""

import math
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from itertools import pairwise
from typing import TypeAlias

HIDDEN = "***"
"""What is shown in place of a secret."""

Container: TypeAlias = (
    Mapping[object, object] | list[object] | tuple[object, ...] | AbstractSet[object]
)

_DEEPEST = 6
_LONGEST_LIST = 100
_LONGEST_END = 32 * 1024
_LONGEST_SECRET = 2048

_SECRET_NAME = re.compile(
    r"secret|token|passw(?:or)?d|passphrase|credential|authorization|cookie|signature"
    r"|(?:private|api|access)[_-]?key",
    re.IGNORECASE,
)

# One expression, so that a text is walked once; `keep` is the part before the secret that stays.
_SECRET_TEXT = re.compile(
    r"""
      (?P<query>  (?i: X-Amz-(?:Signature|Credential|Security-Token)
                       (?: =|%3D|['"]?\s*[:,]\s*b?['"]? )
                     | [?&](?:Signature|AWSAccessKeyId|sig|access_token|token)= ) ) [^&\s'"]+
    | (?P<header> (?i: \b(?:Bearer|Basic)\s+ ) ) [A-Za-z0-9._~+/=-]{8,}
    | (?P<pair>   (?i: (?:secret|token|passw(?:or)?d|signature|credential|access_?key)
                       [A-Za-z0-9_-]{0,30} ['"]? \s* [=:] \s* ['"]? ) ) [^\s'",;&}]{4,}
    | (?P<user>   \b[a-z][a-z0-9+.-]{0,20}://[^\s:/@]{1,200}: ) [^\s@/]+ (?=@)
    | (?P<identifier> \b(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z0-9]{16}\b )
    | (?P<random> (?<![A-Za-z0-9/+=]) [A-Za-z0-9/+]{40} (?![A-Za-z0-9/+=]) )
    """,
    re.VERBOSE,
)
_SUSPICIOUS = re.compile(
    r"[A-Za-z0-9/+]{40}|A[A-Z]{3}[A-Z0-9]{16}|://|[?&]sig="
    r"|(?i:amz-|bearer|basic|signature|credential|secret|token|passw|access_?key)"
)
_LEAST_CHANGES = 11
"""Forty random characters change between upper case, lower case and digits about 25 times; words
and names of that length seldom more than 8 times, and a SHA-1 in hex has only one case."""


def redact_fields(
    fields: Mapping[str, object], *, longest_list: int = _LONGEST_LIST
) -> dict[str, object]:
    """Return the fields as plain values (text, numbers, lists, dicts), every secret as `***`.

    Of a longer list the rest is told as a text, "and 7 more"; whoever reads the items back out
    of a document bounds them beforehand and asks for no such end.
    """
    return {name: _named(name, value, 0, longest_list) for name, value in fields.items()}


def redact_text(text: str) -> str:
    """Return the text with whatever looks like a secret replaced by `***`.

    Of an endless text only both ends are kept. Each is cut after redaction, by more than a secret
    is long: half of one would not be recognised.
    """
    if len(text) <= 2 * _LONGEST_END:
        return _SECRET_TEXT.sub(_hide, text) if _SUSPICIOUS.search(text) else text
    head = redact_text(text[:_LONGEST_END])[:-_LONGEST_SECRET]
    tail = redact_text(text[-_LONGEST_END:])[_LONGEST_SECRET:]
    return f"{head} [... of {len(text)} characters ...] {tail}"


def _hide(match: re.Match[str]) -> str:
    """Return what a finding is replaced by."""
    name = match.lastgroup or ""
    if name == "random":
        return HIDDEN if _looks_random(match[0]) else match[0]
    return HIDDEN if name == "identifier" else match[name] + HIDDEN


def _looks_random(text: str) -> bool:
    """Tell a secret key from a path or a checksum of the same length."""
    if text.islower() or text.isupper():
        return False
    classes = [(char.isupper(), char.islower(), char.isdigit()) for char in text if char.isalnum()]
    starts = text.count("/")  # a path changes class at each slash, which says nothing
    return sum(a != b for a, b in pairwise(classes)) - starts >= _LEAST_CHANGES


def _named(name: str, value: object, depth: int, longest: int) -> object:
    """Redact one field."""
    if value is None or isinstance(value, bool):
        return value
    return HIDDEN if _SECRET_NAME.search(name) else _plain(value, depth, longest)


def _plain(value: object, depth: int, longest: int) -> object:
    """Reduce a value to text, numbers, lists and dicts, without secrets."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, (Mapping, list, tuple, AbstractSet)):
        return _nested(value, depth + 1, longest)
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (bytes, bytearray)):
        return redact_text(bytes(value).decode("utf-8", "backslashreplace"))
    return redact_text(str(value))


def _nested(value: Container, depth: int, longest: int) -> object:
    """Redact what is inside a container, within bounds."""
    if depth > _DEEPEST:
        return f"<{type(value).__name__}>"
    if isinstance(value, Mapping):
        return {str(name): _named(str(name), item, depth, longest) for name, item in value.items()}
    items = sorted(value, key=repr) if isinstance(value, AbstractSet) else list(value)
    plain = [_plain(item, depth, longest) for item in items[:longest]]
    more = len(items) - longest
    return [*plain, f"and {more} more"] if more > 0 else plain
