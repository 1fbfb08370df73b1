"""The steps' own files: read with clear errors, written whole or not at all.

| what the system says        | what it is                      | status |
|-----------------------------|---------------------------------|--------|
| no space, quota, I/O error  | the disk, not the job           | 7      |
| anything else               | a path that cannot be used      | 2      |
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from shared.errors import ExitStatus, PermanentError, UsageError
from shared.files import write_durably

_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})


class DiskFailed(PermanentError):
    """The disk is full or broken; the same job may do on another machine."""

    status: ClassVar[ExitStatus] = ExitStatus.SAFETY_STOP


@contextmanager
def told_about(path: Path, doing: str) -> Iterator[None]:
    """Turn what the system says about a path into one clear line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        kind = DiskFailed if error.errno in _DISK else UsageError
        raise kind(f"{str(path)!r} cannot be {doing}: {reason}") from error


def read_file(path: Path) -> bytes:
    """Return a file's content."""
    with told_about(path, "read"):
        return path.read_bytes()


def write_file(path: Path, content: bytes) -> None:
    """Replace a file durably; its folder is made where it is missing."""
    with told_about(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, content)


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet with snappy, durably, so that it is there whole or not at all."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="snappy")
    write_file(path, sink.getvalue().to_pybytes())


def read_table(path: Path, columns: tuple[str, ...], optional: tuple[str, ...] = ()) -> pa.Table:
    """Read some columns of a Parquet file; UsageError names the file and what is missing."""
    with told_about(path, "read"):
        try:
            with pq.ParquetFile(path) as file:
                names = set(file.schema_arrow.names)
                lacking = [name for name in columns if name not in names]
                if lacking:
                    raise UsageError(f"{str(path)!r} has no column {', '.join(map(repr, lacking))}")
                wanted = [*columns, *(name for name in optional if name in names)]
                return file.read(columns=wanted)
        except pa.ArrowException as error:
            raise UsageError(
                f"{str(path)!r} is no usable Parquet file: {one_line(error)}"
            ) from error


def one_line(error: Exception) -> str:
    """Return what a library said, on one line and not too long."""
    return " ".join(str(error).split())[:300]
