"""The region file, right and wrong."""

import sqlite3
import struct
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.glacier.geometry_blob import parse_bounds
from pipelines.glacier.region_file import load_regions
from pipelines.glacier.regions import Bounds
from shared.errors import UsageError
from tests.support.glacier_regions import LAYER, Row, greenland, rectangle, write_regions

_ARSUK = Row("134_Arsuk", bounds=(-159850, -3173900, -150850, -3164300), area=86.4)
_HEADER = struct.pack("<2sBBi", b"GP", 0, 1, 3413)
_BOX = (0.0, 0.0, 3000.0, 3000.0)


def _path(folder: Path) -> Path:
    return folder / f"{LAYER}.gpkg"


def test_regions_are_read_with_tiles_in_their_order(tmp_path: Path) -> None:
    """The order of the tiles is the priority of the merge; the columns beside it are wrong."""
    path = write_regions(_path(tmp_path), [replace(_ARSUK, tiles="22VFP,22VEP", tile_count=7)])

    (region,) = load_regions(path)

    assert region.name == "134_Arsuk"
    assert region.area_km2 == 86.4
    assert region.tiles == ("22VFP", "22VEP")
    assert region.bounds == Bounds(-159850.0, -3173900.0, -150850.0, -3164300.0)


def test_the_whole_list_comes_by_name(tmp_path: Path) -> None:
    """Positions count in this order, whatever the order of the file is."""
    regions = load_regions(write_regions(_path(tmp_path), greenland()))

    assert [region.name for region in regions] == sorted(region.name for region in regions)
    assert Counter(len(region.tiles) for region in regions) == {1: 141, 2: 40, 3: 4, 4: 7}
    zones = {region.name for region in regions if len({tile[:2] for tile in region.tiles}) > 1}
    assert zones == {"122_upernavik_central", "190_Academy"}


def test_a_read_only_folder_is_enough(tmp_path: Path) -> None:
    """A function's image is read-only, and a project may be somebody else's."""
    path = write_regions(_path(tmp_path), [_ARSUK])
    tmp_path.chmod(0o555)
    try:
        assert len(load_regions(path)) == 1
        assert [each.name for each in tmp_path.iterdir()] == [path.name]
    finally:
        tmp_path.chmod(0o755)


def test_rows_that_wait_in_a_log_are_seen(tmp_path: Path) -> None:
    """A GIS program that has the file open keeps what is new in a log beside it."""
    path = write_regions(_path(tmp_path), [_ARSUK])
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        with database:
            database.execute(f"UPDATE \"{LAYER}\" SET utm_grid = '22VEP'")  # noqa: S608 - our name

        assert load_regions(path)[0].tiles == ("22VEP",)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (replace(_ARSUK, region="../../etc"), "no usable name"),
        (replace(_ARSUK, region="_runs"), "no usable name"),
        (replace(_ARSUK, region=None), "no usable name"),
        (replace(_ARSUK, area=0), "Area = 0"),
        (replace(_ARSUK, area="big"), "Area = 'big'"),
        (replace(_ARSUK, area=float("inf")), "Area = inf"),
        (replace(_ARSUK, tiles=""), "utm_grid = ''"),
        (replace(_ARSUK, tiles=None), "utm_grid = 'None'"),
        (replace(_ARSUK, tiles="22VFP;22VEP"), "utm_grid = '22VFP;22VEP'"),
        (replace(_ARSUK, tiles="22VFP,22VFP"), "each once"),
        (replace(_ARSUK, geometry=b""), "no GeoPackage geometry"),
        (replace(_ARSUK, geometry="text"), "no GeoPackage geometry"),
        (replace(_ARSUK, geometry=rectangle(_BOX)[:-8]), "ends too early"),
    ],
)
def test_a_bad_row_is_told_with_file_region_and_value(tmp_path: Path, row: Row, said: str) -> None:
    """Whoever edits the file sees what to mend."""
    path = write_regions(_path(tmp_path), [Row("001_good"), row])

    with pytest.raises(UsageError) as told:
        load_regions(path)

    assert said in str(told.value)
    assert repr(str(path)) in str(told.value)
    assert "001_good" not in str(told.value)


def test_all_bad_rows_are_told_at_once(tmp_path: Path) -> None:
    """One round of corrections."""
    rows = [replace(_ARSUK, region="a b"), replace(_ARSUK, tiles="x"), _ARSUK, _ARSUK]

    with pytest.raises(UsageError) as told:
        load_regions(write_regions(_path(tmp_path), rows))

    assert len(str(told.value).splitlines()) == 3
    assert "'134_Arsuk' is there twice" in str(told.value)


@pytest.mark.parametrize("missing", ["region", "Area", "utm_grid"])
def test_a_missing_column_is_named(tmp_path: Path, missing: str) -> None:
    """SQLite takes a quoted name that is no column for a text."""
    columns = [name for name in ("region", "Area", "utm_grid") if name != missing]

    with pytest.raises(UsageError, match=f"lacks the column '{missing}'"):
        load_regions(write_regions(_path(tmp_path), [_ARSUK], columns=columns))


def test_a_layer_of_another_name_is_taken_if_it_is_the_only_one(tmp_path: Path) -> None:
    """A copy under a new name is still the file."""
    path = write_regions(tmp_path / "mine.gpkg", [_ARSUK])

    assert load_regions(path)[0].name == "134_Arsuk"


def test_two_layers_of_other_names_are_refused(tmp_path: Path) -> None:
    """Taking one of them would be a guess."""
    path = write_regions(tmp_path / "mine.gpkg", [_ARSUK])
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "INSERT INTO gpkg_geometry_columns VALUES ('other', 'geom', 'POLYGON', 3413, 0, 0)"
        )

    with pytest.raises(UsageError, match="'other'"):
        load_regions(path)


def test_other_coordinates_are_refused(tmp_path: Path) -> None:
    """Degrees taken for metres would make a grid of nothing."""
    with pytest.raises(UsageError, match="'EPSG:4326'; allowed: 'EPSG:3413'"):
        load_regions(write_regions(_path(tmp_path), [_ARSUK], epsg=4326))


def test_an_empty_layer_is_refused(tmp_path: Path) -> None:
    """No region is no run."""
    with pytest.raises(UsageError, match="no region"):
        load_regions(write_regions(_path(tmp_path), []))


@pytest.mark.parametrize(
    "content", [b"", b"not a database at all", b"SQLite format 3\0" + b"x" * 99]
)
def test_what_is_no_geopackage_is_refused(tmp_path: Path, content: bytes) -> None:
    """An error page that was saved under the name, for one."""
    path = _path(tmp_path)
    path.write_bytes(content)

    with pytest.raises(UsageError, match="is it a GeoPackage"):
        load_regions(path)


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    """SQLite quotes the bytes that it does not understand, and they need not be letters."""
    path = write_regions(_path(tmp_path), [_ARSUK])
    content = path.read_bytes()
    path.write_bytes(
        content.replace(b"CREATE TABLE gpkg_contents", b"CREATE TABL\xf7 gpkg_contents")
    )

    with pytest.raises(UsageError, match=r"cannot be read: .*; is it a GeoPackage"):
        load_regions(path)


@pytest.mark.parametrize("name", ["missing.gpkg", "."])
def test_a_missing_file_is_told(tmp_path: Path, name: str) -> None:
    """And nothing is made in its place, as SQLite would."""
    with pytest.raises(UsageError, match="is not there"):
        load_regions(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_text_that_is_none_is_told(tmp_path: Path) -> None:
    """Letters of another encoding would be another name."""
    path = write_regions(_path(tmp_path), [_ARSUK])
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE glaciers_roi_proj_v3_300m SET region = CAST(x'ff41' AS TEXT)")

    with pytest.raises(UsageError, match="decode"):
        load_regions(path)


def test_a_view_without_end_is_stopped(tmp_path: Path) -> None:
    """A file from outside can hold a query that never ends."""
    path = write_regions(_path(tmp_path), [_ARSUK])
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(
            "DROP TABLE glaciers_roi_proj_v3_300m; CREATE VIEW glaciers_roi_proj_v3_300m AS"
            " WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x > 0)"
            " SELECT 'a' AS region, 1.0 AS Area, '22WEB' AS utm_grid, x'00' AS geom"
            " FROM n WHERE x < 0"
        )

    with pytest.raises(UsageError, match="interrupted"):
        load_regions(path)


def test_several_polygons_have_common_bounds() -> None:
    """GIS programs like to turn one into several."""
    assert parse_bounds(rectangle(_BOX, multi=True)) == Bounds(*_BOX)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kind", "dimensions"), [(3, 2), (1003, 3), (2003, 3), (3003, 4)])
def test_byte_order_and_dimensions_are_read(order: str, kind: int, dimensions: int) -> None:
    """What else a program may write for the same rectangle."""
    rest = (7.0,) * (dimensions - 2)
    points = [(0.0, 1.0), (5.0, 1.0), (5.0, 9.0), (0.0, 9.0), (0.0, 1.0)]
    shape = struct.pack(f"{order}BIII", order == "<", kind, 1, len(points))
    shape += b"".join(struct.pack(f"{order}{dimensions}d", *point, *rest) for point in points)

    assert parse_bounds(_HEADER + shape) == Bounds(0.0, 1.0, 5.0, 9.0)


@pytest.mark.parametrize(
    ("blob", "said"),
    [
        (b"GP\0\x11" + bytes(40), "is empty"),
        (b"GP\0\x0b" + bytes(40), "unknown form"),
        (b"GP\0\x21" + bytes(40), "unknown form"),
        (_HEADER + struct.pack("<BIdd", 1, 1, 0, 0), "neither a polygon"),
        (_HEADER + struct.pack("<BI", 1, 9003), "neither a polygon"),
        (_HEADER + struct.pack("<BII", 1, 3, 0), "no finite"),
        (_HEADER + struct.pack("<BIII2d", 1, 3, 1, 1, float("nan"), 0), "no finite"),
        (_HEADER + struct.pack("<BIII2d", 1, 3, 1, 1, 5, 5), "no area"),
        (_HEADER + struct.pack("<BII", 1, 3, 2**32 - 1) + bytes(4), "ends too early"),
        (_HEADER + struct.pack("<BIII", 1, 3, 1, 20_000) + bytes(320_000), "more than"),
    ],
)
def test_a_shape_that_is_none_is_told(blob: bytes, said: str) -> None:
    """Counts in it may be anything; nothing is made room for beforehand."""
    with pytest.raises(ValueError, match=said):
        parse_bounds(blob)


@given(st.binary(max_size=200))
def test_any_bytes_end_in_bounds_or_an_error(blob: bytes) -> None:
    """The file is from outside."""
    for candidate in (blob, _HEADER + blob, rectangle(_BOX)[: len(blob)]):
        try:
            parse_bounds(candidate)
        except ValueError:
            continue
