"""What has been found in one pixel, kept on disk so that a killed run goes on where it was.

A shard says in its metadata what it was made from: catalogue, years, radius, positions, and the
version of the rules. One that says something else, or cannot be read, is made anew.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.neowise.columns import DETECTION_SCHEMA
from pipelines.neowise.disk import write_table
from pipelines.neowise.matching import Matches
from pipelines.neowise.positions import Positions
from pipelines.neowise.sphere import Integers

_RULES = 1
"""Raise it when the same inputs give another shard."""
_KEY = b"towpath.made_from"
_SCHEMA = pa.schema(
    [
        ("position", pa.int64()),
        ("separation_nas", pa.int64()),
        *((f.name, f.type) for f in DETECTION_SCHEMA),
    ]
)


@dataclass(frozen=True, slots=True)
class Shards:
    """The folder of shards of one run."""

    folder: Path
    catalogue: str
    years: Sequence[str]
    radius_arcsec: float

    def path(self, pixel: int) -> Path:
        """Return a pixel's file."""
        return self.folder / f"k5={pixel}.parquet"

    def made_from(self, pixel: int, positions: Positions, chosen: Integers) -> str:
        """Return the fingerprint of everything that decides a shard's content."""
        digest = hashlib.sha256()
        facts = (_RULES, pixel, self.catalogue, list(self.years), self.radius_arcsec)
        digest.update(json.dumps(facts).encode())
        for column in (chosen, positions.ra_deg[chosen], positions.dec_deg[chosen]):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()

    def load(self, pixel: int, fingerprint: str) -> Matches | None:
        """Return a finished shard, None where there is none that can be used."""
        try:
            table = pq.read_table(self.path(pixel), partitioning=None)
        except (OSError, pa.ArrowException):
            return None
        metadata = table.schema.metadata or {}
        if metadata.get(_KEY) != fingerprint.encode():
            return None
        return Matches(
            table.column("position").to_numpy(),
            table.column("separation_nas").to_numpy(),
            table.select(DETECTION_SCHEMA.names).replace_schema_metadata(None),
        )

    def save(self, pixel: int, fingerprint: str, matches: Matches) -> None:
        """Keep a finished pixel durably."""
        columns = [pa.array(matches.position), pa.array(matches.separation_nas)]
        table = pa.table(
            [*columns, *matches.detections.columns],
            schema=_SCHEMA.with_metadata({_KEY: fingerprint.encode()}),
        )
        write_table(self.path(pixel), table)
