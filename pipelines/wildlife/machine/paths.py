"""Reference paths as definitions use them: `$`, `$.stage1_job`, `$.error.Cause`, `$.list[0]`. Pure.

The part of JSONPath that names exactly one place. Documents are never changed: what is put
somewhere is put into a copy.
"""

import re
from collections.abc import Mapping
from typing import TypeAlias

Step: TypeAlias = str | int

_WHOLE = re.compile(r"\$(?:\.[A-Za-z_][A-Za-z0-9_]*|\[\d{1,9}\])*")
_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]")


class BadPath(ValueError):
    """This is no reference path."""


class NothingThere(LookupError):
    """A document has nothing at a path, or cannot have anything there."""


def parse_path(text: str) -> tuple[Step, ...]:
    """Return the names and positions that a path goes along; BadPath."""
    if not _WHOLE.fullmatch(text):
        raise BadPath(
            f"{text[:200]!r} is no reference path; write $.name, $.name.name or $.name[0]"
        )
    return tuple(name or int(position) for name, position in _STEP.findall(text))


def read_path(path: str, document: object) -> object:
    """Return what a document has at a path; NothingThere."""
    found = document
    for step in parse_path(path):
        found = _below(found, step, path)
    return found


def put_at(path: str, document: object, value: object) -> object:
    """Return a document with a value at a path, in the place of whatever was there; NothingThere.

    Objects that are missing on the way are made. Positions of lists cannot be written.
    """
    return _put(parse_path(path), document, value, path)


def _below(found: object, step: Step, path: str) -> object:
    if isinstance(step, str) and isinstance(found, Mapping) and step in found:
        value: object = found[step]
        return value
    if isinstance(step, int) and isinstance(found, list) and step < len(found):
        item: object = found[step]
        return item
    raise NothingThere(f"the path {path!r} could not be found in the input")


def _put(steps: tuple[Step, ...], document: object, value: object, path: str) -> object:
    if not steps:
        return value
    first, *rest = steps
    if isinstance(first, int) or not isinstance(document, Mapping):
        raise NothingThere(f"the path {path!r} cannot be written into the input")
    return {**document, first: _put(tuple(rest), document.get(first, {}), value, path)}
