"""What the sheet needs of `clusters.parquet`, batch by batch."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from pipelines.wildlife.sheet.rows import Seen
from shared.errors import PermanentError

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_BATCH = 4096
_NAMES = [field.name for field in fields(Seen)]
_FORM = TypeAdapter(Seen)


class BadTable(PermanentError):
    """A file is no table of sightings."""


def read_seen(path: Path) -> Iterator[Seen]:
    """Yield the sightings of a table in their order; BadTable."""
    # A command that only says its help does not wait for this library.
    import pyarrow as pa  # noqa: PLC0415 - see above
    import pyarrow.parquet as pq  # noqa: PLC0415 - see above

    try:
        with pq.ParquetFile(path) as table:
            yield from _rows(table)
    except (pa.ArrowException, ValidationError) as error:
        raise BadTable(f"the table cannot be read: {str(error)[:200]!r}") from error


def _rows(table: "pq.ParquetFile") -> Iterator[Seen]:
    for batch in table.iter_batches(batch_size=_BATCH, columns=_NAMES):
        columns: dict[str, list[Any]] = batch.to_pydict()
        missing = [name for name in _NAMES if name not in columns]
        if missing:
            raise BadTable(f"the table has no column {missing[0]!r}; it is none of sightings")
        for values in zip(*(columns[name] for name in _NAMES), strict=True):
            yield _FORM.validate_python(dict(zip(_NAMES, values, strict=True)))
