"""`towpath glacier check` on folders of results, good ones and such as went wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import rasterio

from pipelines.glacier.command import main
from pipelines.glacier.step.grid import Grid
from shared.cli import run_command
from tests.support.glacier_regions import Row, write_project

GRID = Grid(-159850.0, -3170900.0, 15.0, 20, 20)
BOUNDS = (-159850, -3171200, -159550, -3170900)
REGION = "134_Arsuk"

Check: TypeAlias = Callable[..., tuple[int, dict[str, Any]]]


def put(path: Path, seed: int = 1, **changes: Any) -> Path:
    """Write a raster as the step does, but for what is changed."""
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "width": GRID.width,
        "height": GRID.height,
        "count": 1,
        "dtype": "uint16",
        "nodata": 0,
        "crs": "EPSG:3413",
        "transform": rasterio.Affine(*GRID.transform),
    }
    value = changes.pop("value", None)
    profile |= changes
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **profile) as dataset:
        shape = (profile["height"], profile["width"])
        pixels = np.random.default_rng(seed).integers(1, 250, shape)
        pixels = pixels if value is None else np.full(shape, value)
        for band in range(1, profile["count"] + 1):
            dataset.write(pixels.astype(profile["dtype"]), band)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Good results of Landsat."""
    results = tmp_path / "landsat"
    put(results / "_reference" / f"{REGION}.tif", dtype="uint8")
    put(results / REGION / "one.tif", 1)
    put(results / REGION / "two.tif", 2)
    for name in (".three.tif.draft.tmp", ".four.tif"):
        (results / REGION / name).write_bytes(b"half")
    return results


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Check:
    """Run the command; returns exit status and report."""

    def run(folder: Path, *argv: str) -> tuple[int, dict[str, Any]]:
        places = (
            ("--base-dir", str(folder)) if folder.name != "project" else ("--project", str(folder))
        )
        status = run_command("glacier", main, ["check", *places, "--output", "json", *argv])
        return status, json.loads(capsys.readouterr().out)

    return run


LANDSAT = ("--satellite", "landsat")


def test_good_results_pass(folder: Path, check: Check) -> None:
    """A name with an underscore is no region, and a hidden one no scene: it is being written."""
    status, report = check(folder, *LANDSAT)

    assert (status, report["status"], report["rasters"]) == (0, "passed", 2)
    assert [each["region"] for each in report["regions"]] == [REGION]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"crs": "EPSG:32622"}, "projection is EPSG:32622, not EPSG:3413"),
        ({"transform": rasterio.Affine(10, 0, 0, 0, -10, 0)}, "resolution is 10 x 10 m, not 15 m"),
        ({"dtype": "uint8"}, "pixels are uint8, not uint16"),
        ({"nodata": None}, "nodata is not set, not 0"),
        ({"count": 2}, "it has 2 bands, not 1"),
        ({"value": 0}, "it is nodata everywhere"),
        ({"value": 7}, "it has the value 7 everywhere"),
        ({"seed": 1}, f"its pixels are those of {REGION}/one.tif"),
    ],
)
def test_raster_that_is_not_what_later_steps_expect_fails(
    folder: Path, check: Check, change: dict[str, Any], problem: str
) -> None:
    """Each of these came out of a run that had ended well."""
    put(folder / REGION / "two.tif", **{"seed": 2, **change})

    status, report = check(folder, *LANDSAT)

    assert status == 1
    assert report["regions"][0]["problems"] == [f"{REGION}/two.tif: {problem}"]


def test_torn_raster_fails_and_the_others_are_checked(folder: Path, check: Check) -> None:
    """A file that was cut off has a good head."""
    path = folder / REGION / "one.tif"
    path.write_bytes(path.read_bytes()[:700])
    put(folder / REGION / "two.tif", 2, nodata=None)

    status, report = check(folder, *LANDSAT)

    first, second = report["regions"][0]["problems"]
    assert (status, report["rasters"]) == (1, 2)
    assert first.startswith(f"{REGION}/one.tif: raster ")
    assert second == f"{REGION}/two.tif: nodata is not set, not 0"


def test_same_pixels_in_two_regions_are_no_problem(folder: Path, check: Check) -> None:
    """Regions overlap; only within one is it one scene under two names."""
    put(folder / "101_sermiligarssuk" / "one.tif", 1)

    assert check(folder, *LANDSAT)[0] == 0


def test_missing_folders_are_told(tmp_path: Path, check: Check) -> None:
    """A run may end well and leave half of what it should; downloads may be gone."""
    results = tmp_path / "sentinel2"
    place = rasterio.Affine(10, 0, 0, 0, -10, 0)
    put(results / REGION / "clipped" / "one.tif", 1, transform=place)
    (results / REGION / "metadata").mkdir()

    status, report = check(results, "--satellite", "sentinel2", "--regions", f"{REGION},001_gone")

    assert status == 1
    assert report["layout"] == "old"
    known, gone = report["regions"]
    assert known["problems"] == [f"{REGION}/template is missing"]
    assert known["notes"] == [f"{REGION}/download is not there, which is allowed"]
    assert len(gone["problems"]) == 3


def test_layout_new_is_found(tmp_path: Path, check: Check) -> None:
    """The regions lie below each kind of file there."""
    results = tmp_path / "sentinel2"
    place = rasterio.Affine(10, 0, 0, 0, -10, 0)
    put(results / "clipped" / REGION / "one.tif", 1, transform=place)
    put(results / "template" / f"{REGION}.tif", 1)
    (results / "metadata" / "individual_csv" / REGION).mkdir(parents=True)
    (results / "download").mkdir()

    status, report = check(results, "--satellite", "sentinel2")

    assert (status, report["layout"], report["rasters"]) == (0, "new", 1)
    assert report["regions"][0]["notes"] == []


def test_project_leads_to_folder_satellite_and_grids(tmp_path: Path, check: Check) -> None:
    """In a project the command needs no flag; a raster beside its grid is found out."""
    config = f"[PATHS]\nlocal_base_dir = {tmp_path}\n[SETTINGS]\nsatellite = landsat\n"
    project = write_project(tmp_path / "project", config, rows=[Row(REGION, bounds=BOUNDS)])
    results = tmp_path / "1_download_merge_and_clip" / "landsat"
    put(results / "_reference" / f"{REGION}.tif")
    put(results / REGION / "one.tif", 1)
    put(results / REGION / "two.tif", 2, width=19)

    status, report = check(project)

    assert status == 1
    assert report["regions"][0]["problems"] == [
        f"{REGION}/two.tif: size is 19 x 20, its region's is 20 x 20"
    ]


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--base-dir", "nowhere", *LANDSAT], "folder 'nowhere' is not there; see --base-dir"),
        (["--base-dir", "."], "no satellite is given; see --satellite"),
        ([*LANDSAT], "no folder is given, and config.ini has no [PATHS] local_base_dir"),
        (["--base-dir", ".", *LANDSAT, "--regions", "../x"], "'../x' is no region's name"),
        (["--base-dir", ".", "--satellite", "modis"], "--satellite 'modis' is not valid"),
        (["--base-dir", ".", *LANDSAT, "--region-file", "no.gpkg"], "'no.gpkg' is not there"),
    ],
)
def test_bad_line_ends_with_two(
    argv: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing that could not be checked passes."""
    monkeypatch.chdir(tmp_path)

    status = run_command("glacier", main, ["check", *argv])

    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert told in captured.err


def test_folder_without_results_ends_with_two(tmp_path: Path, check: Check) -> None:
    """A wrong folder is the usual mistake."""
    (tmp_path / "landsat" / REGION).mkdir(parents=True)

    status, report = check(tmp_path / "landsat", *LANDSAT)

    assert (status, report["status"]) == (2, "nothing to check")
