"""A small catalogue for tests: rows as they are said, written in the real layout."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.neowise.catalogue import Catalogue, CatalogueAccess, leaf_folder, open_catalogue
from pipelines.neowise.healpix import pixels_of
from pipelines.neowise.positions import Positions

Row = Mapping[str, object]

SCHEMA = pa.schema(
    [
        ("source_id", pa.string()),
        ("cntr", pa.int64()),
        ("ra", pa.float64()),
        ("dec", pa.float64()),
        ("mjd", pa.float64()),
        ("w1snr", pa.float32()),
        ("w2snr", pa.float32()),
        ("qual_frame", pa.int32()),
        ("qi_fact", pa.float32()),
        ("saa_sep", pa.float32()),
        ("moon_masked", pa.string()),
    ]
)


def detection(ra: float, dec: float, cntr: int, /, **changes: object) -> Row:
    """Return a detection that passes every gate, but for the changes."""
    row: dict[str, object] = {
        "source_id": f"s{cntr}",
        "cntr": cntr,
        "ra": ra,
        "dec": dec,
        "mjd": 57000.0,
        "w1snr": 10.0,
        "w2snr": 3.0,
        "qual_frame": 10,
        "qi_fact": 1.0,
        "saa_sep": 20.0,
        "moon_masked": "00",
    }
    return row | changes


def write_rows(
    root: Path,
    rows: Sequence[Row],
    *,
    year: str = "year1",
    schema: pa.Schema = SCHEMA,
    row_group_rows: int = 1000,
) -> list[Path]:
    """Write rows into the leaves of their pixels; those without coordinates beside the first."""
    places = np.array([(row["ra"], row["dec"]) for row in rows], np.float64)
    places[~np.isfinite(places).all(axis=1)] = places[0]
    pixels = pixels_of(places[:, 0], places[:, 1])
    paths = []
    for pixel in np.unique(pixels).tolist():
        chosen = [row for row, at in zip(rows, pixels.tolist(), strict=True) if at == pixel]
        path = root / leaf_folder(year, pixel) / "part0.snappy.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pylist([dict(row) for row in chosen], schema=schema)
        pq.write_table(table, path, row_group_size=row_group_rows)
        paths.append(path)
    return paths


def local_catalogue(root: Path, *years: str) -> Catalogue:
    """Open a catalogue in a folder; its years are there even where they are empty."""
    for year in years or ("year1",):
        (root / year).mkdir(parents=True, exist_ok=True)
    return open_catalogue(CatalogueAccess(str(root)), years or ("year1",))


def positions(*places: tuple[float, float]) -> Positions:
    """Return positions named p0, p1, ..."""
    names = [f"p{number}" for number in range(len(places))]
    columns = np.array(places, np.float64).reshape(-1, 2)
    return Positions(columns[:, 0].copy(), columns[:, 1].copy(), names, names)
