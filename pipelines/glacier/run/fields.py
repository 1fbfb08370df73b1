"""Reads the fields of an event one by one and keeps what is wrong with them. Pure.

An event is JSON, or an environment made into one: a number, a flag and a list may be written as
JSON has them or as text.
"""

from collections.abc import Iterable, Mapping
from reprlib import Repr
from typing import TypeVar

from pipelines.glacier.values import Kind

T = TypeVar("T")

TEXT_MAX = 10_000
"""All regions by name are less."""
_SHOWN_MAX = 80
_FIELDS_MAX = 200
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHOWN_MAX


class Fields:
    """The fields of one event."""

    def __init__(self, event: Mapping[object, object]) -> None:
        self._event = event
        self._asked: set[str] = set()
        self._wrong: set[str] = set()
        self.problems: list[str] = []
        """A line each."""
        self.warnings: list[str] = []

    def get(self, name: str, kind: Kind[T]) -> T | None:
        """Return a value; None where it is not given, or is wrong, which is then a problem."""
        self._asked.add(name)
        value = self._event.get(name)
        if value is None or value == "":
            return None
        try:
            return kind.read(_text(name, value), f"event field {name!r}")
        except ValueError as error:
            self._wrong.add(name)
            self.problems.append(str(error))
            return None

    def default(self, name: str, kind: Kind[T], default: T) -> T:
        """Return a value, or the default."""
        value = self.get(name, kind)
        return default if value is None else value

    def one_of(self, names: Iterable[str], kind: Kind[T]) -> T | None:
        """Return the value that any of these names gives; several must give the same."""
        given = {name: value for name in names if (value := self.get(name, kind)) is not None}
        values = list(given.values())
        if any(value != values[0] for value in values):
            self._wrong.update(given)
            said = " and ".join(f"{name!r} {shortened(self._event[name])}" for name in given)
            self.problems.append(f"event fields {said} contradict each other; give one of them")
            return None
        return values[0] if values else None

    def is_wrong(self, *names: str) -> bool:
        """Tell whether a problem with any of these fields has been found."""
        return not self._wrong.isdisjoint(names)

    def missing(self, name: str, allowed: str) -> None:
        """Note that a field is not given and must be."""
        self._wrong.add(name)
        self.problems.append(f"event field {name!r} is missing; allowed: {allowed}")

    def unknown(self) -> list[str]:
        """Return a warning for each field that nobody has asked for."""
        names = [name for name in map(str, self._event) if name not in self._asked]
        lines = [f"event field {shortened(name)} is not known; it is not used" for name in names]
        return lines[:_FIELDS_MAX]

    def given(self, names: Iterable[str]) -> list[str]:
        """Return those of the names that the event has, and count them as known."""
        found = [name for name in names if name in self._event]
        self._asked.update(found)
        return found


def shortened(value: object) -> str:
    """Return a value for a message, not longer than a line, however deep it is nested."""
    said = _SHORT.repr(value)
    return said if len(said) <= _SHOWN_MAX else f"{said[:_SHOWN_MAX]}..."


def _text(name: str, value: object) -> str:
    """Return a field's value as the text that it would be in an environment."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str | int):
        text = str(value)
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        text = ",".join(value)
    else:
        raise ValueError(
            f"event field {name!r} is {shortened(value)}; allowed: text, a whole number, true or "
            "false, or a list of texts"
        )
    if len(text) > TEXT_MAX:
        raise ValueError(f"event field {name!r} has {len(text)} characters; allowed: {TEXT_MAX}")
    return text
