"""The command line of a settings model: argparse, with one-line errors and a help that says it all.

Rule: argparse only takes the line apart. What a value means is decided by the model, so that a bad
flag, variable and file entry get the same sentence.
"""

import argparse
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from shared.errors import UsageError
from shared.options import Kind, OptionSpec
from shared.origins import Given, Layer, Origin, read_text
from shared.values import toml_value

AddFlags = Callable[[argparse.ArgumentParser], object]
"""Adds a command's own flags (`--once`, `--plan`) to the parser."""


class OneLineParser(argparse.ArgumentParser):
    """Raises UsageError where argparse would print its usage and exit; knows no abbreviations."""

    def __init__(self, prog: str, description: str = "") -> None:
        super().__init__(
            prog=prog, description=description, allow_abbrev=False, formatter_class=_Formatter
        )

    def error(self, message: str) -> NoReturn:
        """Raise the message as a UsageError."""
        raise UsageError(f"{message}; see {self.prog} --help")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        """Refuse a choice that there is not, in the words in which the model refuses one."""
        # argparse would show what Python calls the members of an Enum.
        if action.choices is not None and value not in action.choices:
            flag = action.option_strings[-1] if action.option_strings else "command"
            allowed = ", ".join(map(str, action.choices))
            self.error(f"{flag} {value!r} is not valid; allowed: one of {allowed}")


class _Formatter(argparse.HelpFormatter):
    """Prints `-i, --interval SECONDS` once instead of a placeholder per flag."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=100)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = inspect.cleandoc(text).split("\n\n")
        filled = ("\n".join(self._split_lines(part, width)) for part in paragraphs)
        return textwrap.indent("\n\n".join(filled), indent)

    def _split_lines(self, text: str, width: int) -> list[str]:
        # A flag, a bucket or a class name that is broken at its hyphen cannot be copied.
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        placeholder = self._format_args(action, self._get_default_metavar_for_optional(action))
        return ", ".join(action.option_strings) + f" {placeholder}".rstrip()


def build_parser(
    specs: Sequence[OptionSpec], service: str, *, description: str, extra: AddFlags | None
) -> OneLineParser:
    """Return the parser of a service: the command's own flags, then the options by group."""
    parser = OneLineParser(f"towpath {service}", description)
    parser.add_argument(
        "--config",
        metavar="FILE",
        help=f"TOML file to read instead of the usual ones (variable {config_variable(service)})",
    )
    if extra is not None:
        extra(parser)
    groups: dict[str, argparse._ArgumentGroup] = {}
    for spec in specs:
        if spec.group not in groups:
            groups[spec.group] = parser.add_argument_group(spec.group)
        if spec.flag:
            _add(groups[spec.group], spec, service)
    return parser


def config_variable(service: str) -> str:
    """Return the variable that names a service's file."""
    return f"TOWPATH_{service}_CONFIG".upper().replace("-", "_")


def _add(group: argparse._ArgumentGroup, spec: OptionSpec, service: str) -> None:
    """Add one option to its group."""
    flags = [spec.short, spec.flag] if spec.short else [spec.flag]
    text = help_text(spec, service).replace("%", "%%")
    if spec.kind is Kind.SWITCH:
        action: type[argparse.Action] = argparse.BooleanOptionalAction
        group.add_argument(
            *flags, dest=spec.name, action=action, default=argparse.SUPPRESS, help=text
        )
        return
    group.add_argument(
        *flags,
        dest=spec.name,
        action="append" if spec.kind in {Kind.LIST, Kind.TABLE} else "store",
        default=argparse.SUPPRESS,
        metavar=spec.metavar,
        help=text,
    )


def help_text(spec: OptionSpec, service: str) -> str:
    """Return description, variable, and default or the values to choose from."""
    parts = [f"variable {spec.variables(service)[0]}"]
    if spec.choices:
        parts.insert(0, spec.allowed)
    if spec.kind in {Kind.LIST, Kind.TABLE}:
        parts.insert(0, "may be repeated")
    if spec.required:
        parts.append("required")
    else:
        parts.append(f"default {toml_value(spec, spec.default) or 'none'}")
    return f"{spec.description} ({'; '.join(parts)})"


def read_flags(specs: Sequence[OptionSpec], namespace: argparse.Namespace) -> Layer:
    """Take the options out of the parsed line; what remains in it are the command's own flags."""
    values: dict[str, Given] = {}
    problems: list[str] = []
    for spec in specs:
        if spec.name not in namespace:
            continue
        written = getattr(namespace, spec.name)
        delattr(namespace, spec.name)
        origin = Origin("flag", spec.negative_flag if written is False else spec.flag)
        try:
            values[spec.name] = (
                Given(written, written, origin)
                if isinstance(written, bool)
                else read_text(spec, written, origin)
            )
        except ValueError as error:
            problems.append(str(error))
    return Layer(values, tuple(problems))


def read_environment(
    specs: Sequence[OptionSpec], service: str, environ: Mapping[str, str]
) -> Layer:
    """Take the options out of the environment; an empty variable counts as not set."""
    values: dict[str, Given] = {}
    problems: list[str] = []
    for spec in specs:
        name = next((name for name in spec.variables(service) if environ.get(name)), None)
        if name is None:
            continue
        try:
            values[spec.name] = read_text(spec, environ[name], Origin("environment", name))
        except ValueError as error:
            problems.append(str(error))
    return Layer(values, tuple(problems))
