"""The tables in Arrow: their schemas, and batches of rows."""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

import pyarrow as pa

from pipelines.wildlife.tables.columns import Column, Kind, columns_of

_TYPES = {
    Kind.TEXT: pa.string(),
    Kind.MOMENT: pa.timestamp("us", tz="UTC"),
    Kind.REAL: pa.float64(),
    Kind.INT32: pa.int32(),
    Kind.INT64: pa.int64(),
    Kind.FLAG: pa.bool_(),
}


def schema_of(form: type, about: Mapping[str, str]) -> pa.Schema:
    """Return the schema of a model's table; `about` is what the file says of itself."""
    return pa.schema([_field(column) for column in columns_of(form)], metadata=dict(about))


def batch_of(rows: Sequence[object], schema: pa.Schema) -> pa.RecordBatch:
    """Return rows as columns; they have the schema's names as attributes."""
    arrays = [_array([*map(attrgetter(field.name), rows)], field.type) for field in schema]
    return pa.record_batch(arrays, schema=schema)


def _field(column: Column) -> pa.Field:
    return pa.field(column.name, _type(column), nullable=column.nullable)


def _type(column: Column) -> pa.DataType:
    if column.kind is Kind.RECORD:
        return pa.struct([_field(part) for part in column.parts])
    return _TYPES[column.kind]


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_struct(kind):
        parts = [_array([*map(attrgetter(part.name), values)], part.type) for part in kind]
        return pa.StructArray.from_arrays(parts, fields=list(kind))
    return pa.array(values, type=kind)
