"""What one field of a settings model looks like from outside: flag, variable, TOML key, words.

The model is the only place where an option is written down. Everything that people see of it (the
flag, `--help`, the reference page, the sample file, an error) is read from the field here. Rule: a
field that cannot be said in all three places (flag, variable, TOML) fails when its class is made.
"""

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from inspect import get_annotations
from pathlib import Path
from typing import Annotated, Literal, Union, get_args, get_origin

from annotated_types import BaseMetadata, Ge, Gt, Le, Lt
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

_RESERVED_FLAGS = frozenset({"--config", "--help", "-h"})
_UNITS = ("seconds", "bytes", "days", "hours", "minutes", "percent", "dkk")


class Kind(Enum):
    """How a value is written as text."""

    INTEGER = "integer"
    NUMBER = "number"
    SWITCH = "switch"
    TEXT = "text"
    PATH = "path"
    CHOICE = "choice"
    LIST = "list"
    TABLE = "table"
    SECRET = "secret"  # noqa: S105 - the name of a kind, not a password


@dataclass(frozen=True, slots=True)
class Option:
    """What a field says about itself beyond its type: `Annotated[float, Option(short="-i")]`."""

    flag: str = ""
    """Long flag; empty: `--` and the field's name with dashes."""
    short: str = ""
    """Short flag such as `-i`; empty: none."""
    env: str | tuple[str, ...] = ()
    """Variables whose names a contract fixes, strongest first; they beat our own name for it."""
    metavar: str = ""
    """The placeholder in the help; empty: derived from the kind."""
    group: str = "settings"
    """The heading in the help and in the reference page."""
    allowed: str = ""
    """What is allowed, in plain words; empty: derived from type and bounds."""


@dataclass(frozen=True, slots=True)
class OptionSpec:
    """One option, complete: everything that a parser, a page or an error needs to know."""

    name: str
    """The field, which is also the key in the TOML file."""
    kind: Kind
    flag: str
    """Empty for a secret: an argument list is readable by everybody on the machine."""
    short: str
    fixed_variables: tuple[str, ...]
    metavar: str
    group: str
    description: str
    allowed: str
    choices: tuple[str, ...]
    optional: bool
    required: bool
    default: object

    def variables(self, service: str) -> tuple[str, ...]:
        """Return the environment variables of this option, the strongest first."""
        own = f"TOWPATH_{service}_{self.name}".upper().replace("-", "_")
        return (*self.fixed_variables, own)

    @property
    def negative_flag(self) -> str:
        """Return `--no-x` for a switch."""
        return f"--no-{self.flag[2:]}"

    @property
    def label(self) -> str:
        """Return the name that a person knows the option by."""
        return self.flag or self.name


@cache
def option_specs(model: type[BaseModel]) -> tuple[OptionSpec, ...]:
    """Return the options of a settings model, its own before inherited ones; TypeError if unfit."""
    fields = model.model_fields
    declared = (name for cls in model.__mro__ for name in get_annotations(cls))
    specs = tuple(_spec(name, fields[name]) for name in dict.fromkeys(declared) if name in fields)
    taken = set(_RESERVED_FLAGS)
    for spec in specs:
        negative = (spec.negative_flag,) if spec.kind is Kind.SWITCH else ()
        for flag in filter(None, (spec.flag, spec.short, *negative)):
            if flag in taken:
                raise TypeError(f"flag {flag!r} of {model.__name__}.{spec.name} is taken")
            taken.add(flag)
    return specs


def _spec(name: str, field: FieldInfo) -> OptionSpec:
    """Read one field."""
    if not field.description:
        raise TypeError(f"the option {name!r} has no description; give Field(description=...)")
    annotation, optional, constraints = _unwrap(field.annotation, tuple(field.metadata))
    kind = _kind(name, annotation)
    option = next((item for item in constraints if isinstance(item, Option)), Option())
    choices = _choices(annotation)
    default = field.get_default(call_default_factory=True, validated_data={})
    return OptionSpec(
        name=name,
        kind=kind,
        flag="" if kind is Kind.SECRET else option.flag or f"--{name.replace('_', '-')}",
        short=option.short,
        fixed_variables=(option.env,) if isinstance(option.env, str) else option.env,
        metavar=option.metavar or _METAVARS.get(kind, kind.value.upper()),
        group=option.group,
        description=" ".join(field.description.split()),
        allowed=option.allowed or _allowed(name, kind, choices, constraints),
        choices=choices,
        optional=optional,
        required=field.is_required(),
        default=None if default is PydanticUndefined else default,
    )


def _unwrap(annotation: object, metadata: tuple[object, ...]) -> tuple[object, bool, list[object]]:
    """Take `Annotated` and `| None` off a type; keep what they carried."""
    optional = False
    found = list(metadata)
    while True:
        arguments = get_args(annotation)
        if get_origin(annotation) is Annotated:
            annotation = arguments[0]
            for item in arguments[1:]:
                found.extend(item.metadata if isinstance(item, FieldInfo) else [item])
        elif get_origin(annotation) in {Union, types.UnionType} and type(None) in arguments:
            optional = True
            rest = tuple(item for item in arguments if item is not type(None))
            annotation = rest[0] if len(rest) == 1 else rest
        else:
            return annotation, optional, found


def _kind(name: str, annotation: object) -> Kind:
    """Return how a value of this type is written."""
    origin = get_origin(annotation)
    if origin is Literal:
        return Kind.CHOICE
    if isinstance(origin or annotation, type):
        plain = origin or annotation
        for base, kind in _KINDS:
            if issubclass(plain, base):  # type: ignore[arg-type]  # narrowed by isinstance above
                return kind
    raise TypeError(f"the option {name!r} has type {annotation!r}, which has no form as text")


# The order matters: a switch is an integer to Python, an Enum may be a string.
_KINDS: tuple[tuple[type, Kind], ...] = (
    (Enum, Kind.CHOICE),
    (bool, Kind.SWITCH),
    (int, Kind.INTEGER),
    (float, Kind.NUMBER),
    (SecretStr, Kind.SECRET),
    (str, Kind.TEXT),
    (Path, Kind.PATH),
    (tuple, Kind.LIST),
    (Mapping, Kind.TABLE),
)

_METAVARS = {Kind.TABLE: "NAME=VALUE", Kind.LIST: "ITEM", Kind.INTEGER: "N", Kind.NUMBER: "NUMBER"}


def _choices(annotation: object) -> tuple[str, ...]:
    """Return the values of a Literal or an Enum as they are written."""
    if get_origin(annotation) is Literal:
        return tuple(str(value) for value in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(str(member.value) for member in annotation)
    return ()


_WORDS = {
    Kind.SWITCH: "true or false",
    Kind.TEXT: "text",
    Kind.PATH: "a path",
    Kind.LIST: "a list of texts",
    Kind.TABLE: "pairs of the form name=value",
    Kind.SECRET: "a secret text",
}


def _allowed(name: str, kind: Kind, choices: Sequence[str], constraints: Sequence[object]) -> str:
    """Say in plain words what a field takes."""
    if kind is Kind.CHOICE:
        return "one of " + ", ".join(choices)
    if kind not in {Kind.INTEGER, Kind.NUMBER}:
        return _WORDS[kind]
    noun = "a whole number" if kind is Kind.INTEGER else "a number"
    unit = name.rpartition("_")[2]
    return noun + (f" of {unit}" if unit in _UNITS else "") + _bounds(constraints)


def _bounds(constraints: Sequence[object]) -> str:
    """Say a number's limits."""
    words = ""
    for constraint in constraints:
        if isinstance(constraint, BaseMetadata):
            words += _bound(constraint)
    return words


def _bound(constraint: BaseMetadata) -> str:
    """Say one limit."""
    match constraint:
        case Gt(gt=limit):
            return f" greater than {limit}"
        case Ge(ge=limit):
            return f", at least {limit}"
        case Lt(lt=limit):
            return f", less than {limit}"
        case Le(le=limit):
            return f", at most {limit}"
        case _:
            return ""
