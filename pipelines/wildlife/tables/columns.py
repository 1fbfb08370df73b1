"""From the fields of a model to the columns of a table. Pure.

Rule: a table has no list of columns besides its model; order, types and what may be missing are
read from the annotations.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from operator import attrgetter
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import AwareDatetime

Cell: TypeAlias = str | int | float | None
"""What a value is on disk: a moment is microseconds since 1970, a flag is 0 or 1."""
Record = TypeVar("Record")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Kind(Enum):
    """What a column holds."""

    TEXT = "text"
    MOMENT = "moment"
    REAL = "real"
    INT32 = "int32"
    INT64 = "int64"
    FLAG = "flag"
    RECORD = "record"
    """Another model, with columns of its own."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    kind: Kind
    nullable: bool
    parts: "tuple[Column, ...]" = ()
    """Of a record."""


def columns_of(form: type, *, without: Collection[str] = ()) -> tuple[Column, ...]:
    """Return the columns of a model in the order of its fields; TypeError for what fits none."""
    hints = get_type_hints(form, include_extras=True)
    return tuple(_column(name, hint) for name, hint in hints.items() if name not in without)


def cells_of(columns: Sequence[Column]) -> Callable[[object], tuple[Cell, ...]]:
    """Return what makes a record into the cells of these columns."""
    get = attrgetter(*(column.name for column in columns))
    moments = [n for n, column in enumerate(columns) if column.kind is Kind.MOMENT]

    def cells(record: object) -> tuple[Cell, ...]:
        values = list(get(record))
        for n in moments:
            if values[n] is not None:
                values[n] = to_microseconds(values[n])
        return tuple(values)

    return cells


def values_of(columns: Sequence[Column]) -> Callable[[Sequence[Cell]], dict[str, Any]]:
    """Return what makes cells into the values of these columns, by their names."""
    names = [column.name for column in columns]
    moments = [column.name for column in columns if column.kind is Kind.MOMENT]
    flags = [column.name for column in columns if column.kind is Kind.FLAG]

    def values(cells: Sequence[Cell]) -> dict[str, Any]:
        found: dict[str, Any] = dict(zip(names, cells, strict=True))
        for name in moments:
            if found[name] is not None:
                found[name] = to_moment(found[name])
        for name in flags:
            found[name] = bool(found[name])
        return found

    return values


def to_microseconds(moment: datetime) -> int:
    """Return a moment as microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def to_moment(microseconds: int) -> datetime:
    """Return the moment of so many microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)


def _column(name: str, hint: object) -> Column:
    plain, tags, nullable = _unwrapped(hint)
    if isinstance(plain, type) and is_dataclass(plain):
        return Column(name, Kind.RECORD, nullable, columns_of(plain))
    return Column(name, _kind(name, plain, tags), nullable)


def _unwrapped(hint: object) -> tuple[object, list[object], bool]:
    """Return the plain type, what is annotated, and whether None is one of the values."""
    tags: list[object] = []
    nullable = False
    while get_origin(hint) in {Annotated, Union, UnionType}:
        first, *rest = get_args(hint)
        if get_origin(hint) is Annotated:
            tags += rest
        elif rest == [NoneType]:
            nullable = True
        else:
            break
        hint = first
    return hint, tags, nullable


def _kind(name: str, plain: object, tags: Collection[object]) -> Kind:
    if plain is int:
        return Kind.INT32 if "int32" in tags else Kind.INT64
    if get_origin(plain) is Literal or (isinstance(plain, type) and issubclass(plain, StrEnum)):
        return Kind.TEXT
    kinds = {
        str: Kind.TEXT,
        float: Kind.REAL,
        bool: Kind.FLAG,
        datetime: Kind.MOMENT,
        AwareDatetime: Kind.MOMENT,
    }
    for known, kind in kinds.items():
        if plain is known:
            return kind
    raise TypeError(f"field {name!r} is a {plain!r}, which no column can hold")
