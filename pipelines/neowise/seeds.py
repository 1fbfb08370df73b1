"""The seed step: a chunk's CSV becomes the Parquet file that the other steps start from."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pipelines.neowise.chunk_csv import BadChunk, columns_of, parse_chunk
from pipelines.neowise.columns import SEED_SCHEMA, seed_path
from pipelines.neowise.disk import read_file, write_table
from shared.errors import UsageError


@dataclass(frozen=True, slots=True)
class SeedWritten:
    """What the step made."""

    path: Path
    rows: int


def write_seed(chunk_csv: Path, cid: str, out_folder: Path) -> SeedWritten:
    """Write `chunk_<CID>/part-<CID>.parquet` below a folder, or right into that chunk's own folder.

    Raises:
        UsageError: the CSV cannot be used; nothing was written.
    """
    content = read_file(chunk_csv)
    try:
        rows = parse_chunk(content)
    except BadChunk as error:
        raise UsageError(f"{str(chunk_csv)!r}: {error}") from error
    inner = Path(seed_path(cid))
    path = out_folder / (inner.name if out_folder.name == inner.parent.name else inner)
    write_table(path, pa.table(columns_of(rows, cid), schema=SEED_SCHEMA))
    return SeedWritten(path, len(rows))
