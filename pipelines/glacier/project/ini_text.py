"""The text of a configuration file: sections, keys, comments, and values of the type of their key.

Pure. There is no interpolation, a comment may follow a value, and a key without a value is as good
as one that is not there. Rule: every value of a known key is checked, needed or not; what is wrong
is one line with file, section, key and value; what is unknown is a warning.
"""

import configparser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Generic, TypeAlias

from pipelines.glacier.values import Kind, T_co, Values, shown

_NAME_MAX = 80
_SYNTAX_FAULTS = (
    configparser.DuplicateOptionError,
    configparser.DuplicateSectionError,
    configparser.ParsingError,
)
_SyntaxFault: TypeAlias = (
    configparser.DuplicateOptionError
    | configparser.DuplicateSectionError
    | configparser.ParsingError
)


@dataclass(frozen=True, slots=True, eq=False)
class Key(Generic[T_co]):
    """A value that a file may have."""

    section: str
    name: str
    kind: Kind[T_co]


@dataclass(frozen=True, slots=True)
class IniText:
    """What a file says."""

    values: Values
    label: str
    """How messages call the file."""
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    written: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """What stands there, by section and key."""

    @property
    def is_unread(self) -> bool:
        """Whether the file is no such file at all, so that nobody knows what it lacks."""
        return bool(self.problems) and not self.written

    def place(self, key: Key[object]) -> str:
        """Return how messages name a key of this file."""
        return f"{self.label} [{key.section}] {key.name}"

    def text_of(self, key: Key[object]) -> str:
        """Return what is written, empty where nothing is."""
        return self.written.get((key.section, key.name), "")


def parse_ini(text: str, keys: Sequence[Key[object]], label: str) -> IniText:
    """Read a file's text."""
    parser = configparser.ConfigParser(
        interpolation=None,
        inline_comment_prefixes=("#", ";"),
        # A section that fills all others would be one more way to set a key by accident.
        default_section="\0",
        empty_lines_in_values=False,
    )
    try:
        parser.read_string(text, source=label)
    except _SYNTAX_FAULTS as error:
        return IniText(Values({}), label, (f"{label}: {_said(error, text)}",))
    known = {(key.section, key.name): key for key in keys}
    written = {
        (section, name): value
        for section in parser.sections()
        for name, value in parser.items(section)
        if value
    }
    values: dict[object, object] = {}
    problems: list[str] = []
    for place, key in known.items():
        if place in written:
            try:
                values[key] = key.kind.read(written[place], f"{label} [{key.section}] {key.name} =")
            except ValueError as error:
                problems.append(str(error))
    warnings = [_unknown(label, *place, known) for place in written if place not in known]
    return IniText(Values(values), label, tuple(problems), tuple(warnings), written)


def _unknown(
    label: str, section: str, name: str, known: Mapping[tuple[str, str], Key[object]]
) -> str:
    near = get_close_matches(name, [each for _, each in known], n=1)
    where = sorted({place[0] for place in known if near and place[1] == near[0]})
    hint = f"; did you mean [{where[0]}] {near[0]}?" if near else ""
    return f"{label} [{_plain(section)}] {_plain(name)} is not known and not used{hint}"


def _said(error: _SyntaxFault, text: str) -> str:
    """Return one line of what the parser says in several."""
    if isinstance(error, configparser.DuplicateOptionError):
        place = f"[{_plain(error.section)}] {_plain(error.option)}"
        return f"line {error.lineno}: {place} is there twice"
    if isinstance(error, configparser.DuplicateSectionError):
        return f"line {error.lineno}: [{_plain(error.section)}] is there twice"
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f"{_line(text, error.lineno)} stands before any [SECTION]"
    return f"{_line(text, error.errors[0][0])} is neither [SECTION] nor key = value"


def _line(text: str, number: int) -> str:
    return f"line {number}: {shown(text.split(chr(10))[number - 1].strip())}"


def _plain(name: str) -> str:
    """Return a name as it is, unless a terminal would take part of it for a command."""
    return name if name.isprintable() and len(name) <= _NAME_MAX else shown(name)
