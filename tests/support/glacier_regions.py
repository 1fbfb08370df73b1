"""A region file as GIS programs write it: a GeoPackage with true headers, made with sqlite3 alone.

`greenland()` has the shape of the real list: as many regions and tiles, the known names at their
places, and the columns that lie.
"""

import sqlite3
import struct
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

LAYER = "glaciers_roi_proj_v3_300m"
REGION_FILE = Path(f"1_download_merge_and_clip/ancillary/glacier_roi_v2/{LAYER}.gpkg")
_APPLICATION_ID = 0x47504B47
_VERSION = 10300
_SRS = 3413

_SCHEMA = """
CREATE TABLE gpkg_spatial_ref_sys (
  srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY, organization TEXT NOT NULL,
  organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (
  table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
  description TEXT DEFAULT '',
  last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
  CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (
  table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL,
  srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL,
  CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name));
"""
_WKT = (
    'PROJCS["WGS 84 / NSIDC Sea Ice Polar Stereographic North",GEOGCS["WGS 84",DATUM["WGS_1984",'
    'SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433]],PROJECTION["Polar_Stereographic"],'
    'PARAMETER["latitude_of_origin",70],PARAMETER["central_meridian",-45],'
    'PARAMETER["false_easting",0],PARAMETER["false_northing",0],UNIT["metre",1],'
    'AUTHORITY["EPSG","3413"]]'
)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the region file; any value may be wrong on purpose."""

    region: object
    tiles: object = "22VFP"
    bounds: tuple[float, float, float, float] = (-159850, -3173900, -156850, -3170900)
    area: object = 9.0
    tile_count: object = 0
    """Wrong in the real file as well."""
    geometry: object = None
    """Taken as it is in place of a rectangle around `bounds`."""


def rectangle(bounds: tuple[float, float, float, float], *, multi: bool = False) -> bytes:
    """Return a rectangle as a GeoPackage stores it."""
    minx, miny, maxx, maxy = bounds
    corners = [(minx, miny), (maxx, miny), (maxx, maxy), (minx, maxy), (minx, miny)]
    polygon = struct.pack("<BIII", 1, 3, 1, len(corners))
    polygon += b"".join(struct.pack("<2d", *corner) for corner in corners)
    shape = struct.pack("<BII", 1, 6, 1) + polygon if multi else polygon
    # The envelope has its own order: both x, then both y.
    header = struct.pack("<2sBBi4d", b"GP", 0, 0b00000011, _SRS, minx, maxx, miny, maxy)
    return header + shape


def write_regions(
    path: Path,
    rows: Sequence[Row],
    *,
    layer: str = LAYER,
    epsg: int = _SRS,
    columns: Sequence[str] = ("region", "Area", "utm_grid"),
) -> Path:
    """Write a region file; `columns` are those of the three needed ones that it has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = {"region": "TEXT", "Area": "REAL", "utm_grid": "TEXT"}
    kept = [name for name in kinds if name in columns]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {_VERSION}")
        database.executescript(_SCHEMA)
        database.execute(
            "INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, 'EPSG', ?, ?, NULL)",
            (f"EPSG:{epsg}", epsg, epsg, _WKT),
        )
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id)"
            " VALUES (?, 'features', ?, ?)",
            (layer, layer, epsg),
        )
        database.execute(
            "INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', 'POLYGON', ?, 0, 0)",
            (layer, epsg),
        )
        declared = "".join(f', "{name}" {kinds[name]}' for name in kept)
        database.execute(
            f'CREATE TABLE "{layer}" (fid INTEGER PRIMARY KEY, geom POLYGON{declared},'
            " utm_est TEXT, tile_count MEDIUMINT, coverage REAL)"
        )
        marks = ", ".join("?" for _ in range(len(kept) + 5))
        database.executemany(
            f'INSERT INTO "{layer}" VALUES ({marks})',  # noqa: S608 - a test's own names
            [_values(number, row, kept) for number, row in enumerate(rows, start=1)],
        )
    return path


def greenland() -> list[Row]:
    """Return 192 regions in no order, with the tiles that the real ones have."""
    rows = [
        Row(f"{number:03d}_{_KNOWN.get(number, f'region_{number}')}", area=100.0 + number)
        for number in range(1, 193)
    ]
    for number, tiles in _TILES.items():
        rows[number - 1] = replace(rows[number - 1], tiles=tiles, tile_count=_COUNTS.get(number, 1))
    doubles = [number for number in range(2, 193) if number not in _TILES and number not in _KNOWN]
    for number in doubles[:40]:
        rows[number - 1] = replace(rows[number - 1], tiles="24WWU,24WWV", tile_count=2)
    return rows[::-1]


def write_project(
    root: Path, config: str = "", aws_config: str = "", rows: Sequence[Row] | None = None
) -> Path:
    """Write a project folder with both files, as far as they say something, and the regions."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "config.ini").write_text(config, encoding="utf-8")
    if aws_config:
        folder = root / "aws" / "config"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "aws_config.ini").write_text(aws_config, encoding="utf-8")
    path = root / REGION_FILE
    if rows is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_whole_file())
    else:
        write_regions(path, rows)
    return root


@cache
def _whole_file() -> bytes:
    """Make the whole list once for all tests."""
    with TemporaryDirectory() as folder:
        return write_regions(Path(folder) / REGION_FILE, greenland()).read_bytes()


def _values(number: int, row: Row, kept: Sequence[str]) -> tuple[object, ...]:
    known = {"region": row.region, "Area": row.area, "utm_grid": row.tiles}
    geometry = rectangle(row.bounds) if row.geometry is None else row.geometry
    return (number, geometry, *(known[name] for name in kept), "22W", row.tile_count, 0.5)


_KNOWN = {
    1: "alison",
    12: "far_north",
    16: "three_tiles",
    49: "jakobshavn",
    90: "petermann",
    101: "sermiligarssuk",
    122: "upernavik_central",
    134: "Arsuk",
    138: "SermiitsiaqInTasermiut",
    140: "CentralLindenow",
    160: "three_more",
    190: "Academy",
    191: "Hagen_Brae",
}
_FOUR = "20XNQ,20XNR,20XMQ,20XMR"
_TILES = {
    1: "21XWC",
    49: "22WEB",
    134: "22VFP",
    101: "22VFP",
    138: "23VNH",
    140: "23VNH",
    16: "21XWA,21XWB,21XWC",
    # These two span two zones.
    122: "21WWT,22WDD,22WDC",
    190: "25XEL,26XMR,26XNR",
    160: "26XNQ,26XMQ,26XNR",
    12: _FOUR,
    73: _FOUR,
    74: _FOUR,
    90: _FOUR,
    128: _FOUR,
    133: _FOUR,
    191: "26XMR,26XNR,26XMQ,26XNQ",
}
_COUNTS = {122: 0, 123: 0, 190: 0, 90: 2}
