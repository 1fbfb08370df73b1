"""Writing rows as a Parquet file, in memory that does not grow with their number."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.wildlife.tables.arrow import batch_of, schema_of

_BATCH_ROWS = 4096
"""Held as Python objects at a time."""
_GROUP_ROWS = 65_536
"""Held as columns until they are a row group, which is what readers skip by."""


@dataclass(frozen=True, slots=True)
class Table:
    """What kind of table is written."""

    form: type
    """The model of its rows."""
    about: Mapping[str, str]
    """What the file says of itself."""
    order: Sequence[str] = field(default=())
    """Columns that the rows come sorted by, which readers are told."""


def write_table(path: Path, table: Table, rows: Iterable[object]) -> Generator[int, None, None]:
    """Write a file whose rows are of the table's form, and yield how many there are so far.

    It is written as far as it is iterated over, and whole when that has ended; without a row it
    has its schema all the same. The same rows give the same bytes.
    """
    schema = schema_of(table.form, table.about)
    sorting = [pq.SortingColumn(schema.get_field_index(name)) for name in table.order]
    source = iter(rows)
    count = 0
    writer = pq.ParquetWriter(path, schema, compression="zstd", sorting_columns=sorting or None)
    with closing(writer):
        pending: list[pa.RecordBatch] = []
        while batch := [*islice(source, _BATCH_ROWS)]:
            pending.append(batch_of(batch, schema))
            if len(pending) * _BATCH_ROWS >= _GROUP_ROWS:
                _write_group(writer, pending)
            count += len(batch)
            yield count
        if pending:
            _write_group(writer, pending)


def _write_group(writer: "pq.ParquetWriter", pending: list[pa.RecordBatch]) -> None:
    writer.write_table(pa.Table.from_batches(pending), row_group_size=_GROUP_ROWS)
    pending.clear()
