"""The region file: a GeoPackage, read with the standard library alone, and never written.

What a submitter, a handler and the processing step know of regions comes from here. Every row is
checked: a name becomes a folder and a key, a tile decides which scenes are used. The columns
`utm_est`, `tile_count` and `coverage` are wrong in places and are not looked at.
"""

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from pipelines.glacier.geometry_blob import parse_bounds
from pipelines.glacier.regions import Region, is_region_name, is_tile_name, parse_names
from shared.errors import UsageError

REGION_FILE = Path(
    "1_download_merge_and_clip/ancillary/glacier_roi_v2/glaciers_roi_proj_v3_300m.gpkg"
)
"""Where it lies, below the project's root."""
PROJECTION = 3413
"""EPSG code of all bounds: polar stereographic north."""

_COLUMNS = ("region", "Area", "utm_grid")
_ROWS_MAX = 10_000
_VALUE_BYTES_MAX = 4 << 20
_STEPS = 10_000
_STEPS_MAX = 500
"""Hundreds of thousands of rows' worth: a view that never ends is stopped, a table never is."""


def load_regions(path: Path) -> tuple[Region, ...]:
    """Return all regions of a file, by name; UsageError has a line for each thing that is wrong."""
    shown = repr(str(path))
    try:
        with _opened(path) as connection:
            layer, geometry = _layer(connection, path)
            _check_columns(connection, path, layer)
            rows = _read(connection, layer, geometry)
    except (sqlite3.Error, UnicodeError) as error:
        message = f"region file {shown} cannot be read: {str(error)!r}; is it a GeoPackage?"
        raise UsageError(message) from error
    if not rows:
        raise UsageError(f"region file {shown} has no region in its layer {layer!r}")
    if len(rows) > _ROWS_MAX:
        raise UsageError(f"region file {shown} has more than {_ROWS_MAX} regions")
    regions, problems = _regions(rows)
    if problems:
        raise UsageError("\n".join(f"region file {shown}: {problem}" for problem in problems))
    return tuple(sorted(regions, key=lambda region: region.name))


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database that may lie in a read-only folder and may be made to harm."""
    if not path.is_file():
        raise UsageError(f"region file {str(path)!r} is not there; see --region-file and --project")
    # Without `immutable` SQLite may want to write files beside it. A log beside it means that a
    # program has it open and has rows there that the file itself lacks.
    log = path.with_name(f"{path.name}-wal")
    mode = "mode=ro" if log.exists() else "mode=ro&immutable=1"
    uri = f"file:{quote(str(path.absolute()))}?{mode}"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _VALUE_BYTES_MAX)
        connection.execute("PRAGMA trusted_schema=OFF")
        steps = iter(range(_STEPS_MAX))
        connection.set_progress_handler(lambda: next(steps, None) is None, _STEPS)
        yield connection


def _layer(connection: sqlite3.Connection, path: Path) -> tuple[str, str]:
    """Return the table of the regions and its geometry column."""
    found = connection.execute(
        "SELECT g.table_name, g.column_name, s.organization, s.organization_coordsys_id"
        " FROM gpkg_geometry_columns g LEFT JOIN gpkg_spatial_ref_sys s ON s.srs_id = g.srs_id"
        " LIMIT 100"
    ).fetchall()
    chosen = [row for row in found if row[0] == path.stem] or found
    if len(chosen) != 1:
        names = ", ".join(repr(str(row[0])) for row in found) or "none"
        raise UsageError(
            f"region file {str(path)!r} must have the layer {path.stem!r}, or just one; it has "
            f"{names}"
        )
    table, column, organization, code = chosen[0]
    projection = f"{organization}:{code}"
    if projection.upper() != f"EPSG:{PROJECTION}":
        raise UsageError(
            f"region file {str(path)!r}: layer {table!r} is in {projection!r}; allowed: "
            f"'EPSG:{PROJECTION}'"
        )
    return str(table), str(column)


def _check_columns(connection: sqlite3.Connection, path: Path, layer: str) -> None:
    rows = connection.execute("SELECT name FROM pragma_table_info(?)", (layer,)).fetchall()
    missing = sorted(set(_COLUMNS) - {str(name) for (name,) in rows})
    if missing:
        raise UsageError(
            f"region file {str(path)!r}: layer {layer!r} lacks the column "
            f"{', '.join(map(repr, missing))}"
        )


def _read(connection: sqlite3.Connection, layer: str, geometry: str) -> list[tuple[object, ...]]:
    columns = ", ".join(map(_quoted, (*_COLUMNS, geometry)))
    # Names of a table cannot be parameters; they are quoted as SQL has it.
    query = f"SELECT {columns} FROM {_quoted(layer)} LIMIT {_ROWS_MAX + 1}"  # noqa: S608 - see above
    return connection.execute(query).fetchall()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _regions(rows: list[tuple[object, ...]]) -> tuple[list[Region], list[str]]:
    """Return the regions that are right, and a line for each that is not."""
    regions: list[Region] = []
    problems: list[str] = []
    names: set[str] = set()
    for row in rows:
        try:
            region = _region(row)
        except ValueError as error:
            problems.append(f"region {str(row[0])[:80]!r} {error}")
            continue
        if region.name in names:
            problems.append(f"region {region.name!r} is there twice")
        names.add(region.name)
        regions.append(region)
    return regions, problems


def _region(row: tuple[object, ...]) -> Region:
    name, area, tiles, blob = row
    if not isinstance(name, str) or not is_region_name(name):
        raise ValueError("has no usable name; allowed: NNN_Name, letters, digits and '_'")
    if not isinstance(area, int | float) or not math.isfinite(area) or area <= 0:
        raise ValueError(f"has Area = {area!r}; allowed: a number greater than 0")
    listed = parse_names(tiles) if isinstance(tiles, str) else ()
    wrong = [tile for tile in listed if not is_tile_name(tile)]
    if wrong or not listed or len(set(listed)) != len(listed):
        raise ValueError(
            f"has utm_grid = {str(tiles)[:80]!r}; allowed: a comma list of MGRS tiles such as "
            "22WEB, each once"
        )
    try:
        bounds = parse_bounds(blob if isinstance(blob, bytes) else b"")
    except ValueError as error:
        raise ValueError(f"has a geometry that {error}") from None
    return Region(name, float(area), listed, bounds)
