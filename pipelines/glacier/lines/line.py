"""A command line, taken apart.

Rule: argparse only takes the line apart. What a value means is decided by its kind, and whatever is
wrong is told at once, a line each.
"""

import argparse
import re
from collections.abc import Sequence

from pipelines.glacier.lines.flag import Flag
from pipelines.glacier.lines.syntax import Syntax
from pipelines.glacier.values import Values
from shared.errors import UsageError
from shared.flags import OneLineParser

_LIKE_A_NUMBER = re.compile(r"-[0-9:]")


def parse_line(syntax: Syntax, argv: Sequence[str]) -> Values:
    """Read the line; UsageError has a line for each mistake, SystemExit(0) follows --help."""
    parser = OneLineParser(syntax.program, syntax.description)
    for title, flags in syntax.groups.items():
        group = parser.add_argument_group(title)
        for flag in flags:
            _add(group, flag)
    arguments = vars(parser.parse_args(_joined(syntax, argv)))
    values: dict[object, object] = {}
    problems: list[str] = []
    for flag in (flag for flags in syntax.groups.values() for flag in flags):
        try:
            _read(flag, arguments[flag.name], values)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise UsageError("\n".join(problems))
    return Values(values)


def _joined(syntax: Syntax, argv: Sequence[str]) -> list[str]:
    """Return the line with values such as `-1:5` bound to their flags.

    argparse takes them for flags, and says that a value is missing instead of which one is wrong.
    """
    flags = [flag for flags in syntax.groups.values() for flag in flags if not flag.switch]
    taking = {name for flag in flags for name in (flag.name, flag.old_spelling) if name}
    joined: list[str] = []
    for word in argv:
        if joined and joined[-1] in taking and _LIKE_A_NUMBER.match(word):
            joined[-1] = f"{joined[-1]}={word}"
        else:
            joined.append(word)
    return joined


def _add(group: argparse._ArgumentGroup, flag: Flag[object]) -> None:
    names = [flag.name, flag.old_spelling] if flag.old_spelling else [flag.name]
    text = flag.help.replace("%", "%%")
    if flag.switch:
        group.add_argument(*names, dest=flag.name, action="append_const", const="true", help=text)
        return
    group.add_argument(
        *names,
        dest=flag.name,
        action="append",
        metavar=flag.metavar,
        help=text,
        nargs="?" if flag.bare else None,
        const=flag.bare or None,
    )


def _read(flag: Flag[object], written: list[str] | None, values: dict[object, object]) -> None:
    """Put the value of a flag, if it is given, where `Values` looks for it; ValueError."""
    if not written:
        return
    # The last one winning would drop half of what somebody wanted sent.
    if len(set(written)) > 1:
        raise ValueError(
            f"{flag.name} is given more than once, as {' and '.join(map(repr, written))}"
        )
    values[flag] = flag.kind.read(written[0], flag.name)
