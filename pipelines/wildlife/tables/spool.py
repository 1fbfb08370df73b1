"""Records on disk for as long as tables are made of them: joined and sorted in bounded memory.

A run has as many sightings as it has; SQLite sorts and joins them in a temporary file, of which it
holds a few megabytes. These calls block, and a spool is used by one thread at a time.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import anyio.to_thread

from pipelines.wildlife.tables.columns import Cell, Column, Kind
from shared.errors import PermanentError

Record = TypeVar("Record")

_PRAGMAS = (
    # Nothing in here outlives the run, so nothing is made safe against a crash.
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA temp_store = FILE",
    "PRAGMA cache_size = -16384",
)
_TYPES = {
    Kind.TEXT: "TEXT",
    Kind.REAL: "REAL",
    Kind.MOMENT: "INTEGER",
    Kind.INT32: "INTEGER",
    Kind.INT64: "INTEGER",
    Kind.FLAG: "INTEGER",
}


class SpoolFailed(PermanentError):
    """The temporary database cannot be used."""


class Spool:
    """Tables of a temporary database; their names and columns are our own, never from outside."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._inserts: dict[str, str] = {}

    def create(self, table: str, columns: Sequence[Column], *, key: str = "") -> None:
        """Make a table; of several rows with one key the first stays."""
        told = [f'"{column.name}" {_TYPES[column.kind]}' for column in columns]
        if key:
            told.append(f"PRIMARY KEY ({key})")
        rest = " WITHOUT ROWID" if key else ""
        self._database.execute(f"CREATE TABLE {table} ({', '.join(told)}){rest}")
        places = ", ".join("?" * len(columns))
        # Names are our own, see above.
        self._inserts[table] = f"INSERT OR IGNORE INTO {table} VALUES ({places})"  # noqa: S608

    def add(self, table: str, rows: Iterable[Sequence[Cell]]) -> None:
        """Store rows whose cells are in the order of the table's columns."""
        self._database.execute("BEGIN")
        self._database.executemany(self._inserts[table], rows)
        self._database.execute("COMMIT")

    def run(self, statement: str) -> None:
        """Run a statement that gives nothing back, as one that makes an index."""
        self._database.execute(statement)

    def rows(self, query: str) -> Iterator[sqlite3.Row]:
        """Return what a query finds, which is looked for as it is asked for."""
        found: Iterator[sqlite3.Row] = self._database.execute(query)
        return found


@contextmanager
def open_spool() -> Iterator[Spool]:
    """Open an empty spool in a temporary folder, which goes with it; SpoolFailed if in need."""
    with TemporaryDirectory(prefix="wildlife-spool-") as folder:
        path = Path(folder, "spool.sqlite")
        # The threads of the pool take turns, each waited for.
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            for pragma in _PRAGMAS:
                database.execute(pragma)
            database.row_factory = sqlite3.Row
            yield Spool(database)
        except sqlite3.Error as error:
            raise SpoolFailed(
                f"records cannot be sorted in {folder!r}: {error}; is there room for them?"
            ) from error
        finally:
            database.close()


async def fill(
    batches: AsyncIterator[Sequence[Record]], store: Callable[[Sequence[Record]], None]
) -> int:
    """Store records as they come in, in a thread, and return how many there were."""
    count = 0
    async for batch in batches:
        await anyio.to_thread.run_sync(store, batch)
        count += len(batch)
    return count
