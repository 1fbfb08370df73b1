import csv
import io
from dataclasses import replace
from typing import Any

import geopandas
import pandas as pd
import pytest
from shapely.geometry import box, shape

from pipelines.glacier.landsat.query_table import read_table
from pipelines.glacier.landsat.scenes import choose_scenes
from tests.support.glacier_landsat import BOUNDS, LandsatScene, place

WHOLE = LandsatScene()
MAPPER = LandsatScene(
    item_id="LT05_L1TP_003017_19900704_20200712_02_T1",
    scene_id="LT50030171990185KIS00",
    taken="1990-07-04T14:25:14Z",
    platform="LANDSAT_5",
    instruments=("TM",),
    asset="nir08",
    more={"eo:cloud_cover": 3.25},
)
HALF = replace(
    WHOLE,
    where=place(left=2550.0),
    scene_id="LC90030172024193LGN00",
    item_id="LC09_L1TP_003017_20240711_20240711_02_T1",
    taken="2024-07-11T14:25:14Z",
    platform="LANDSAT_9",
)
MULTISPECTRAL = replace(MAPPER, instruments=("MSS",))
COLUMNS = (
    ",id,bbox,collection,datetime,eo:cloud_cover,view:sun_azimuth,view:sun_elevation,platform,"
    "instruments,view:off_nadir,landsat:cloud_cover_land,landsat:wrs_type,landsat:wrs_path,"
    "landsat:wrs_row,landsat:scene_id,landsat:collection_category,landsat:collection_number,"
    "landsat:correction,proj:epsg,proj:shape,proj:transform,created,updated,geometry.type,"
    "geometry.coordinates,landsatlook_href,s3_href,geometry,geometry_intersect,"
    "aoi_intersect_frac,subset_id,subset_id_no_collection"
)


def table_of(*items: dict[str, Any]) -> str:
    """Return the whole table of a search's answer."""
    scenes = choose_scenes(items).scenes
    return read_table(items, scenes, BOUNDS).to_csv(scenes)


def rows_of(text: str) -> list[dict[str, str]]:
    """Return the rows of a table."""
    return list(csv.DictReader(io.StringIO(text)))


def straightforward(items: list[dict[str, Any]]) -> str:
    """Return the table as pandas flattens the items, selected and renamed column by column."""
    flat = pd.json_normalize(items)
    flat["geometry"] = [shape(item["geometry"]) for item in items]
    parts = []
    for asset in ("nir08", "pan"):
        part = flat[flat[f"assets.{asset}.href"].notna()].copy()
        part["landsatlook_href"] = part[f"assets.{asset}.href"]
        part["s3_href"] = part[f"assets.{asset}.alternate.s3.href"]
        parts.append(part)
    whole = pd.concat(parts)
    names = {name: name.removeprefix("properties.") for name in whole.columns}
    whole = whole.rename(columns={**names, "properties.proj:code": "proj:epsg"})
    frame = geopandas.GeoDataFrame(whole, geometry="geometry", crs=4326).to_crs(3413)
    region = box(BOUNDS.minx, BOUNDS.miny, BOUNDS.maxx, BOUNDS.maxy)
    frame["geometry_intersect"] = frame["geometry"].intersection(region)
    frame["aoi_intersect_frac"] = frame["geometry_intersect"].area / region.area
    seconds = pd.to_datetime(frame["datetime"], format="mixed").dt.strftime("%Y%m%d%H%M%S")
    frame["subset_id_no_collection"] = seconds + "_" + frame["landsat:scene_id"]
    frame["subset_id"] = frame["subset_id_no_collection"] + "_" + frame["id"] + "_ortho"
    written: str = frame[COLUMNS.split(",")[1:]].to_csv(lineterminator="\n")
    return written


def test_table_is_what_geopandas_writes_of_the_flattened_items() -> None:
    """People load it with geopandas: columns, order, index and spelling of values are frozen."""
    items = [WHOLE.item(), MAPPER.item(), HALF.item()]

    text = table_of(*items)

    assert text.partition("\n")[0] == COLUMNS
    assert text == straightforward(items)


def test_rows_of_other_sensors_leave_their_number_out() -> None:
    """The index is the place in the search's answer, so that two tables can be compared."""
    rows = rows_of(table_of(MULTISPECTRAL.item(), WHOLE.item(), MAPPER.item(), HALF.item()))

    assert [(row[""], row["platform"]) for row in rows] == [
        ("2", "LANDSAT_5"),
        ("1", "LANDSAT_8"),
        ("3", "LANDSAT_9"),
    ]
    # A number is written as the whole column has it, whatever rows remain.
    assert [row["eo:cloud_cover"] for row in rows] == ["3.25", "12.0", "12.0"]


@pytest.mark.parametrize(
    ("more", "written"),
    [
        ({}, "EPSG:32622"),
        ({"proj:code": None, "proj:epsg": 32622}, "32622"),
        ({"proj:epsg": 1}, "EPSG:32622"),
        ({"proj:code": None}, ""),
    ],
)
def test_renamed_or_missing_field_is_no_reason_to_fail(
    more: dict[str, object], written: str
) -> None:
    """The catalogue renamed this one in 2025, and the list of columns broke every search."""
    (row,) = rows_of(table_of(replace(WHOLE, more={**more, "created": None}).item()))

    assert (row["proj:epsg"], row["created"]) == (written, "")


def test_coverage_is_that_of_the_footprint_in_the_projection_of_the_region() -> None:
    """The threshold is compared with it; in degrees it would be another."""
    items = [WHOLE.item(), HALF.item(), replace(WHOLE, where=place(left=90_000.0)).item()]
    scenes = choose_scenes(items).scenes

    covered = read_table(items, scenes, BOUNDS).covered

    assert [covered[scene] for scene in scenes] == [
        pytest.approx(1.0),
        pytest.approx(0.5, abs=0.01),
        0.0,
    ]


@pytest.mark.parametrize(
    "geometry",
    [
        None,
        {},
        {"type": "Polygon"},
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
        {"type": "Polygon", "coordinates": [["x"]]},
        {"type": "Point", "coordinates": [-48.0, 61.0]},
        {"type": "Nonsense", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1e400, 1], [1, 0], [0, 0]]]},
        "POLYGON",
    ],
)
def test_footprint_that_is_no_polygon_is_told_and_stops_no_other(geometry: object) -> None:
    """One bad item among hundreds must not cost a region."""
    items = [{**HALF.item(), "geometry": geometry}, WHOLE.item()]
    scenes = choose_scenes(items).scenes

    table = read_table(items, scenes, BOUNDS)

    assert [each.id for each in table.broken] == [HALF.subset_id]
    assert [scene.scene_id for scene in table.covered] == [WHOLE.scene_id]


def test_footprint_that_crosses_itself_still_counts() -> None:
    """Scenes near the pole have such outlines in degrees."""
    item = WHOLE.item()
    ring = item["geometry"]["coordinates"][0]
    item["geometry"]["coordinates"] = [[ring[0], ring[1], ring[3], ring[2], ring[0]]]
    scenes = choose_scenes([item]).scenes

    covered = read_table([item], scenes, BOUNDS).covered

    assert 0.2 < covered[scenes[0]] < 0.9


def test_no_scene_makes_an_empty_table() -> None:
    """A window without scenes is no failure."""
    table = read_table([], (), BOUNDS)

    assert (dict(table.covered), table.broken) == ({}, ())
