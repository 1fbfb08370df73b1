import json
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pytest

from pipelines.glacier.checking.expectation import RasterFacts, judge_raster, places_of
from pipelines.glacier.checking.report import RegionReport, Report, render_json, render_text
from pipelines.glacier.layout import Layout
from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.step.grid import Grid

GRID = Grid(-159850.0, -3170900.0, 15.0, 200, 200)
GOOD = RasterFacts(
    epsg=3413,
    resolution=(15.0, 15.0),
    origin=(-159850.0, -3170900.0),
    size=(200, 200),
    bands=1,
    dtype="uint16",
    nodata=0.0,
    lowest=0.0,
    highest=9000.0,
    digest="one",
)


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        ({}, []),
        ({"epsg": 32622}, ["projection is EPSG:32622, not EPSG:3413"]),
        ({"epsg": None}, ["projection is no EPSG code, not EPSG:3413"]),
        ({"resolution": (10.0, 10.0)}, ["resolution is 10 x 10 m, not 15 m"]),
        ({"resolution": (15.0, 30.0)}, ["resolution is 15 x 30 m, not 15 m"]),
        ({"dtype": "float32"}, ["pixels are float32, not uint16"]),
        ({"nodata": None}, ["nodata is not set, not 0"]),
        ({"nodata": 65535.0}, ["nodata is 65535, not 0"]),
        ({"bands": 3}, ["it has 3 bands, not 1"]),
        ({"highest": 0.0}, ["it is nodata everywhere"]),
        ({"lowest": 7.0, "highest": 7.0}, ["it has the value 7 everywhere"]),
        (
            {"origin": (-159840.0, -3170900.0)},
            ["origin is -159840 x -3170900, its region's is -159850 x -3170900"],
        ),
        ({"size": (199, 200)}, ["size is 199 x 200, its region's is 200 x 200"]),
        (
            {"bands": 2, "dtype": "uint8"},
            ["pixels are uint8, not uint16", "it has 2 bands, not 1"],
        ),
    ],
)
def test_each_property_of_a_raster_is_judged(change: dict[str, Any], problems: list[str]) -> None:
    """Later steps take all of them for granted, and fail far from the cause."""
    assert judge_raster(replace(GOOD, **change), "landsat", GRID) == problems


def test_grid_is_judged_only_where_it_is_known() -> None:
    """Results are checked on machines that have no region file, too."""
    assert judge_raster(replace(GOOD, origin=(0.0, 0.0)), "landsat", None) == []


def test_resolution_is_that_of_the_satellite() -> None:
    """The two have different grids over the same region."""
    assert judge_raster(replace(GOOD, resolution=(10.0, 10.0)), "sentinel2", None) == []


@pytest.mark.parametrize(
    ("satellite", "layout", "scenes", "required", "optional"),
    [
        ("landsat", "old", "A", ["A", "_reference"], []),
        (
            "sentinel2",
            "old",
            "A/clipped",
            ["A/clipped", "A/metadata", "A/template"],
            ["A/download"],
        ),
        (
            "sentinel2",
            "new",
            "clipped/A",
            ["clipped/A", "metadata/individual_csv/A", "template/A.tif"],
            ["download"],
        ),
    ],
)
def test_places_are_those_of_the_layout(
    satellite: SatelliteName, layout: Layout, scenes: str, required: list[str], optional: list[str]
) -> None:
    """The two satellites differ on purpose: what is missing must be told for each."""
    places = places_of(satellite, "A", layout)

    assert places.scenes == PurePosixPath(scenes)
    assert [str(each) for each in places.required] == required
    assert [str(each) for each in places.optional] == optional


@pytest.mark.parametrize(
    ("regions", "status", "last"),
    [
        ([], 2, "0 regions, 0 rasters, 0 problems: nothing to check; this is no pass"),
        ([RegionReport("A")], 2, "1 region, 0 rasters, 0 problems: nothing to check; this is no"),
        ([RegionReport("A", 0, ("x",))], 2, "1 region, 0 rasters, 1 problem: nothing to check"),
        ([RegionReport("A", 2)], 0, "1 region, 2 rasters, 0 problems: passed"),
        ([RegionReport("A", 2), RegionReport("B")], 0, "2 regions, 2 rasters, 0 problems: passed"),
        ([RegionReport("A", 1, ("x",))], 1, "1 region, 1 raster, 1 problem: failed"),
        ([RegionReport("A", 1), RegionReport("B", 0, ("x",))], 1, "1 problem: failed"),
    ],
)
def test_nothing_checked_is_never_a_pass(
    regions: list[RegionReport], status: int, last: str
) -> None:
    """A check of the wrong folder looked like a good season once."""
    report = Report("landsat", "/out", "old", regions)

    assert report.status == status
    assert last in render_text(report).splitlines()[-1]
    assert json.loads(render_json(report))["problems"] == report.problems


def test_report_tells_each_problem_and_note() -> None:
    """People mend what is named."""
    report = Report("landsat", "/out", "old", [RegionReport("A", 1, ("bad",), ("odd",))])

    assert render_text(report).splitlines()[1:4] == [
        "  A  1 raster  failed",
        "    problem: bad",
        "    note: odd",
    ]
