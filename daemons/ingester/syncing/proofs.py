"""Which local file is known to hold the bytes of which ETag, so that it need not be read again.

To tell two sides of equal size apart takes the MD5 of the local file; for an archive of 500 GB that
is hours of reading a night. So what was once read, downloaded or uploaded is remembered by all that
the kernel says of the file: size, times of content and of change, inode. A file that differs in any
of these is read again. Rule: losing this costs reading, never data; whatever is wrong with it, it
is put aside and begun anew.

Kept in SQLite, one file a site, because a run that is killed must keep what it has read so far, and
because a million lines must be neither held nor rewritten. Read-only, for a plan, no byte is
written beside it either, as readers of SQLite do otherwise: then what lies in a log that a killed
process left, or one at work has, is not known. Blocks: for a worker thread.
"""

import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
from structlog.typing import FilteringBoundLogger

from daemons.ingester.syncing.entries import LocalEntry

log: FilteringBoundLogger = structlog.get_logger()

_FORMAT = 1
_WAIT_SECONDS = 2.0
_TABLE = """
CREATE TABLE IF NOT EXISTS proofs (
    path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, changed_ns INTEGER, inode INTEGER,
    etag TEXT NOT NULL
) WITHOUT ROWID
"""


class Proofs:
    """The ETag of each local file whose bytes are known."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._read_only = read_only
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        try:
            self._database = self._open_as_it_is() if self._read_only else self._open()
        except sqlite3.Error as error:
            self._begin_anew(error)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._close()

    def recall(self, entries: Sequence[LocalEntry]) -> Mapping[str, str]:
        """Return path and ETag of those files that are as they were when they were known.

        `entries` are in order, a thousand or so: what lies between the first and the last is read.
        """
        with self._lock:
            if self._database is None or not entries:
                return {}
            wanted = {entry.path: entry for entry in entries}
            try:
                rows = self._database.execute(
                    "SELECT * FROM proofs WHERE path BETWEEN ? AND ?",
                    (entries[0].path, entries[-1].path),
                )
                return {
                    row[0]: row[5]
                    for row in rows
                    if (entry := wanted.get(row[0])) is not None and _facts(entry) == row[1:5]
                }
            except sqlite3.Error as error:
                self._begin_anew(error)
                return {}

    def remember(self, known: Iterable[tuple[LocalEntry, str]]) -> None:
        """Note the ETags of files; durable when it returns, as far as SQLite makes it so."""
        if self._read_only:
            return
        rows = [(entry.path, *_facts(entry), etag) for entry, etag in known]
        with self._lock:
            if self._database is None or not rows:
                return
            try:
                with self._database:
                    self._database.executemany(
                        "INSERT OR REPLACE INTO proofs VALUES (?, ?, ?, ?, ?, ?)", rows
                    )
            except sqlite3.Error as error:
                self._begin_anew(error)

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=_WAIT_SECONDS, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version not in (0, _FORMAT):
                raise sqlite3.DatabaseError(f"format {version} is not known")
            database.execute(_TABLE)
            database.execute(f"PRAGMA user_version = {_FORMAT}")
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _open_as_it_is(self) -> sqlite3.Connection | None:
        """Open without a trace; None where there is nothing, or not all of it."""
        log_of_changes = Path(f"{self._path}-wal")
        if not self._path.exists() or log_of_changes.exists():
            return None
        database = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?immutable=1", uri=True, check_same_thread=False
        )
        try:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version != _FORMAT:
                raise sqlite3.DatabaseError(f"format {version} is not known")
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _begin_anew(self, error: sqlite3.Error) -> None:
        """Put aside what cannot be used; without a place to write to, go on without proofs."""
        self._close()
        if self._read_only:
            log.warning("proofs_not_read", path=str(self._path), reason=str(error))
            return
        log.warning("proofs_put_aside", path=str(self._path), reason=str(error))
        try:
            if not isinstance(error, sqlite3.OperationalError):
                for suffix in ("", "-wal", "-shm"):
                    Path(f"{self._path}{suffix}").unlink(missing_ok=True)
                self._database = self._open()
        except (OSError, sqlite3.Error) as again:
            log.warning("proofs_not_kept", path=str(self._path), reason=str(again))

    def _close(self) -> None:
        if self._database is not None:
            with closing(self._database):
                self._database = None


def _facts(entry: LocalEntry) -> tuple[int, int, int, int]:
    identity = entry.identity
    # Some file systems use all 64 bits of an inode's number, and SQLite has a sign.
    return identity.size, identity.mtime_ns, entry.changed_ns, identity.inode % 2**63
