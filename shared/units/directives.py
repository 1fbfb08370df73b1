"""The lines of a unit: each a key, a value, and the reason where it is not plain. Pure."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MARK = "# Written by `towpath units install`, which overwrites and removes it."
ADVICE = "# Your own changes belong into a drop-in: `systemctl edit UNIT`."
_WIDTH = 96


@dataclass(frozen=True, slots=True)
class Directive:
    """One line of a unit, and why it is there."""

    key: str
    value: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a unit file."""

    name: str
    directives: Sequence[Directive]


def render_unit(sections: Iterable[Section]) -> str:
    """Return a unit file, marked as ours."""
    blocks = (
        f"\n[{section.name}]\n" + "".join(map(_line, section.directives))
        for section in sections
        if section.directives
    )
    return f"{MARK}\n{ADVICE}\n" + "".join(blocks)


def _line(directive: Directive) -> str:
    """Return a directive with its reason above it; a value is one line, or it is no value."""
    if not directive.value.isprintable():
        raise ValueError(f"{directive.key}={directive.value!r} is more than a line")
    reason = textwrap.wrap(directive.reason, _WIDTH)
    comment = "".join(f"# {line}\n" for line in reason)
    return f"{comment}{directive.key}={directive.value}\n"
