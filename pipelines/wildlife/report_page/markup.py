"""HTML and SVG as values: what is not markup already is escaped, so nothing slips through. Pure.

Most of the words on the page come from outside: names of folders, of places, of species.
"""

from html import escape
from typing import TypeAlias

TEXT_MAX = 600
"""Characters that are shown of one text."""

_SPACES = "\N{NARROW NO-BREAK SPACE}\N{NO-BREAK SPACE}\n"
_REPLACED = "\N{REPLACEMENT CHARACTER}"
_EMPTY = frozenset({"br", "img", "meta"})


class Markup(str):
    """Text that is markup, and is written as it is."""

    __slots__ = ()


Child: TypeAlias = str | Markup | None
Value: TypeAlias = str | int | float | bool | None


def element(tag: str, *children: Child, **attributes: Value) -> Markup:
    """Return an element. `class_` is `class`, `data_x` is `data-x`; None and False are left out."""
    opened = f"<{tag}{''.join(_attribute(key, said) for key, said in attributes.items())}>"
    if tag in _EMPTY:
        return Markup(opened)
    return Markup(f"{opened}{join(*children)}</{tag}>")


def join(*children: Child) -> Markup:
    """Return one after the other."""
    return Markup("".join(_markup(child) for child in children if child is not None))


def shown(text: str) -> str:
    """Return a text as people may see it: no control or direction characters, and not too long."""
    plain = _visible(text)
    return plain if len(plain) <= TEXT_MAX else f"{plain[: TEXT_MAX - 1]}\N{HORIZONTAL ELLIPSIS}"


def _visible(text: str) -> str:
    """Return a text without what turns others around, ends them, or is no character at all."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _SPACES else _REPLACED for c in text)


def _markup(child: str | Markup) -> str:
    return child if isinstance(child, Markup) else escape(shown(child))


def _attribute(key: str, said: Value) -> str:
    if said is None or said is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if said is True:
        return f" {name}"
    text = _short(said) if isinstance(said, float) else _visible(str(said))
    return f' {name}="{escape(text)}"'


def _short(value: float) -> str:
    """Return a length or coordinate of a drawing: a hundredth of a unit is finer than any eye."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
