"""Where a setting's value came from: the flag, variable or line that a person has to change.

A value travels from its source to the model as `Given`, so that an error found much later, by the
model, still names the place, and shows the value as it was written there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared.options import Kind, OptionSpec
from shared.redact import HIDDEN


@dataclass(frozen=True, slots=True)
class Origin:
    """A place in which a value was written."""

    source: str
    """`flag`, `environment`, `file` or `default`."""
    name: str = ""
    """The flag, the variable or the file's path."""
    line: int | None = None

    def __str__(self) -> str:
        """Return `flag --interval`, `file /etc/x.toml line 7`, ..."""
        line = "" if self.line is None else f" line {self.line}"
        return f"{self.source} {self.name}".rstrip() + line

    def complain(self, spec: OptionSpec, written: object, reason: str) -> str:
        """Say in one line which value, written here, is wrong and why."""
        shown = HIDDEN if spec.kind is Kind.SECRET else repr(written)
        match self.source:
            case "flag":
                return f"{self.name} {shown} is not valid; {reason}"
            case "environment":
                return f"{self.name}={shown} is not valid for {spec.label}; {reason}"
            case "file":
                return f"{self.name} line {self.line}: {spec.name} = {shown} is not valid; {reason}"
            case _:
                return f"the default {shown} of {spec.label} is not valid; {reason}"


DEFAULT = Origin("default")


@dataclass(frozen=True, slots=True)
class Given:
    """One value from one place."""

    value: object
    """What goes into the model."""
    written: object
    """What stood there."""
    origin: Origin
    inner_lines: Mapping[str, int] = field(default_factory=dict)
    """For a table of a file: the line of each of its keys."""

    def complain(self, spec: OptionSpec, reason: str, at: object = None) -> str:
        """Say what is wrong with it; `at` picks the element of a list or table that is meant."""
        written = self.written
        origin = replace(self.origin, line=self.inner_lines.get(str(at), self.origin.line))
        if isinstance(written, list) and isinstance(at, int) and at < len(written):
            written = written[at]
        elif isinstance(written, dict) and at in written:
            written = {at: written[at]}
        return origin.complain(spec, written, reason)


@dataclass(frozen=True, slots=True)
class Layer:
    """All that one source gives, and all that is wrong with it already."""

    values: dict[str, Given]
    problems: tuple[str, ...] = ()


def read_text(spec: OptionSpec, text: str | list[str], origin: Origin) -> Given:
    """Turn what was written in a shell into a value for the model; ValueError says what is wrong.

    | kind            | flag                     | variable          |
    |-----------------|--------------------------|-------------------|
    | list            | repeated                 | `a,b,c`           |
    | table           | repeated `name=value`    | `a=b,c=d`         |
    | inherited, empty| none                     | (not set at all)  |
    | optional, empty | an error                 | (not set at all)  |
    | path, empty     | an error                 | (not set at all)  |
    | other           | the text                 | the text          |

    Inherited is what a variable with a name of its own may give, as AWS_PROFILE does: only an empty
    flag takes that away. Elsewhere `--sites "$SITES"` with nothing in it would mean all of them.
    """
    if text == "" and (spec.optional or spec.kind is Kind.PATH):
        if not (spec.optional and spec.fixed_variables):
            raise ValueError(origin.complain(spec, text, "write a value, or leave the flag out"))
        return Given(None, text, origin)
    if spec.kind not in {Kind.LIST, Kind.TABLE}:
        return Given(text, text, origin)
    items = text if isinstance(text, list) else [part.strip() for part in text.split(",")]
    items = [item for item in items if item]
    if spec.kind is Kind.LIST:
        return Given(items, items, origin)
    table: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise ValueError(origin.complain(spec, item, f"allowed: {spec.allowed}"))
        if name in table:
            raise ValueError(origin.complain(spec, item, f"{name!r} is given twice"))
        table[name] = value
    return Given(table, table, origin)
