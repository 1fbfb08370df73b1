"""How a value is written in a flag or a file, and the sentence when it is wrong. Pure.

Rule: a value is read by one kind, wherever it stands; what is wrong with it is one line with the
place, the value and what is allowed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast

from pipelines.glacier.dates import parse_date
from pipelines.glacier.regions import parse_names, parse_slice

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_WHOLE = re.compile(r"[0-9]{1,18}")
_BUCKET = re.compile(r"(?![0-9.]+\Z)(?!.*(?:\.\.|\.-|-\.))[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_AWS_REGION = re.compile(r"[a-z]{2,3}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2}")
_PREFIX = re.compile(r"[A-Za-z0-9_.=-]+(?:/[A-Za-z0-9_.=-]+)*")
_NAME = re.compile(r"[A-Za-z0-9_.:/@+-]{1,255}")
_PATTERN = re.compile(r"/?[^/\\\x00-\x1f\x7f]+(?:/[^/\\\x00-\x1f\x7f]+)*/?")
_URL = re.compile(r"https?://[^\s/?#]+/?")
_STATE_MACHINE = re.compile(
    r"arn:[a-z-]+:states:[a-z0-9-]+:[0-9]{12}:stateMachine:[A-Za-z0-9_-]{1,80}"
)
_SHOWN_MAX = 120


@dataclass(frozen=True, slots=True)
class Kind(Generic[T_co]):
    """How a value is written."""

    parse: Callable[[str], T_co]
    """Raises ValueError."""
    allowed: str
    """In plain words."""

    def read(self, text: str, place: str) -> T_co:
        """Return the value; ValueError is the line that names `place`."""
        try:
            return self.parse(text)
        except ValueError as error:
            message = f"{place} {shown(text)} is not valid; allowed: {self.allowed}"
            raise ValueError(message) from error


class Typed(Protocol[T_co]):
    """Something that has a value: a flag or a key of a file."""

    @property
    def kind(self) -> Kind[T_co]:
        """How its value is written."""


class Values:
    """The values that one source gives, each of the type that its flag or key says."""

    def __init__(self, values: Mapping[object, object]) -> None:
        self._values = dict(values)

    def get(self, what: Typed[T]) -> T | None:
        """Return a value, None where the source does not give it."""
        # Put in by the kind of `what`, which is what gives the cast its right.
        return cast("T | None", self._values.get(what))


def shown(text: str) -> str:
    """Return a value for a message: escaped, and not longer than a line."""
    return repr(text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + "...")


def whole(least: int, most: int) -> Kind[int]:
    """Return the kind of whole numbers within bounds."""

    def parse(text: str) -> int:
        number = int(text) if _WHOLE.fullmatch(text) else -1
        if not least <= number <= most:
            raise ValueError(text)
        return number

    return Kind(parse, f"a whole number from {least} to {most}")


def one_of(*numbers: int) -> Kind[int]:
    """Return the kind of one of some whole numbers."""
    by_text = {str(number): number for number in numbers}

    def parse(text: str) -> int:
        if text not in by_text:
            raise ValueError(text)
        return by_text[text]

    return Kind(parse, "one of " + ", ".join(by_text))


def choice(*choices: str) -> Kind[str]:
    """Return the kind of one of some words."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(text)
        return text

    return Kind(parse, "one of " + ", ".join(choices))


def matching(pattern: re.Pattern[str], allowed: str) -> Kind[str]:
    """Return the kind of texts that a pattern describes."""

    def parse(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(text)
        return text

    return Kind(parse, allowed)


def list_of(kind: Kind[T]) -> Kind[tuple[T, ...]]:
    """Return the kind of comma lists; blanks around an item and empty items are dropped."""

    def parse(text: str) -> tuple[T, ...]:
        return tuple(kind.parse(item) for item in parse_names(text))

    return Kind(parse, f"a comma list, each {kind.allowed}")


def _parse_switch(text: str) -> bool:
    lowered = text.lower()
    if lowered not in _TRUE | _FALSE:
        raise ValueError(text)
    return lowered in _TRUE


def _parse_flag(text: str) -> bool:
    if text not in {"0", "1"}:
        raise ValueError(text)
    return text == "1"


def _parse_text(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError(text)
    return text


def _parse_prefix(text: str) -> str:
    trimmed = text.strip("/")
    if not _PREFIX.fullmatch(trimmed) or {".", ".."} & set(trimmed.split("/")):
        raise ValueError(text)
    return trimmed


TEXT = Kind(_parse_text, "printable text")
SWITCH = Kind(_parse_switch, "true or false")
FLAG = Kind(_parse_flag, "0 or 1")
DATE = Kind(parse_date, "a date of the calendar, written YYYY-MM-DD")
SLICE = Kind(
    parse_slice, "START:END, whole numbers from 0 with START less than END; either may be left out"
)
NAMES: Kind[Sequence[str]] = Kind(parse_names, "a comma list of names")
BUCKET = matching(_BUCKET, "a bucket's name: 3 to 63 of a-z, 0-9, '-', and '.' between them")
AWS_REGION = matching(_AWS_REGION, "a region of AWS such as us-west-2")
PREFIX = Kind(_parse_prefix, "folder names joined by '/', of letters, digits, '_', '.', '=', '-'")
STATE_MACHINE = matching(
    _STATE_MACHINE, "arn:aws:states:REGION:ACCOUNT:stateMachine:NAME, as the stack tells it"
)
PATTERN = matching(_PATTERN, "a name or a path from the root; '*', '?', '[...]' match others")
NAME = matching(_NAME, "a name or ARN without blanks")
URL = matching(_URL, "http:// or https:// with a host and no path")
