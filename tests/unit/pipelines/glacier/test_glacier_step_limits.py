"""What both steps share where the world means harm: names, waits, half-written rasters, numbers."""

import errno
import os
import runpy
from pathlib import Path

import numpy as np
import pytest
import rasterio

from pipelines.glacier.checking.survey import read_facts
from pipelines.glacier.layout import Sentinel2Layout
from pipelines.glacier.regions import Region
from pipelines.glacier.step import fetching, search
from pipelines.glacier.step.errors import StepFailed
from pipelines.glacier.step.grid import Grid
from pipelines.glacier.step.options import LOG_NAME_KIND
from pipelines.glacier.step.rasters import gdal, new_raster
from pipelines.glacier.step.sentinel2 import region_files
from pipelines.glacier.step.sentinel2.region_files import RegionFiles
from tests.support.glacier_scenes import BOUNDS
from tests.support.glacier_sentinel2 import ACQUISITION, REGION

SECOND = ACQUISITION.replace("0801T", "0802T")


@pytest.mark.parametrize("name", ["../x.log", "a/../../x.log", "..", "a/..", "", "a/.", "x\ny"])
def test_a_log_does_not_climb_out_of_the_folder(name: str) -> None:
    """Everything in the folder goes to the bucket; a log beside it is lost, or somebody else's."""
    with pytest.raises(ValueError, match="a file below --base_dir"):
        LOG_NAME_KIND.read(name, "--log_name")


@pytest.mark.parametrize("name", ["x.log", "_runs/job.log", "/var/log/x.log", "a..b.log"])
def test_a_log_may_have_a_folder(name: str) -> None:
    """The runner gives it one; an absolute name is the caller's own affair."""
    assert LOG_NAME_KIND.parse(name) == name


@pytest.mark.parametrize(
    "module", ["pipelines.glacier.landsat", "pipelines.glacier.step.sentinel2"]
)
def test_a_full_disk_is_a_failure_like_any_other(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs a step knows 0, 1 and 2."""

    def full(_argv: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(f"{module}.command.main", full)

    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module, run_name="__main__")

    assert ended.value.code == 1


@pytest.mark.parametrize(
    "header", ["Mon, 01 Jan 99999999999 00:00:00 GMT", "Mon, 01 Jan 2024 00:00:00 +99999999999999"]
)
def test_a_date_beyond_all_calendars_asks_for_no_wait(header: str) -> None:
    """It ended the step."""
    assert fetching._retry_after(header) == 0.0


def test_a_raster_that_lacks_blocks_is_not_kept(tmp_path: Path) -> None:
    """A disk that was full for a moment leaves a gap, which reads as nodata ever after."""
    grid = Grid(BOUNDS.minx, BOUNDS.maxy, 10.0, 300, 300)

    with (
        gdal(),
        pytest.raises(StepFailed, match="lacks some of its blocks"),
        new_raster(tmp_path / "x.tif", grid, creation={"sparse_ok": True}) as writer,
    ):
        writer.write(np.ones((100, 300), np.uint16), 200)


def test_rows_that_another_run_adds_while_the_table_is_written_are_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two windows of a region are done in one folder; the slower one took a row away."""
    layout = Sentinel2Layout(REGION)
    region = Region(REGION, 9.0, ("22VFP",), BOUNDS)
    files = RegionFiles(tmp_path, region, layout, Grid.of(BOUNDS, 10.0), range(2024, 2025))
    files.prepare()

    def add(acquisition: str) -> None:
        (tmp_path / layout.lineage(acquisition)).write_text(f"{acquisition},tile.tif")

    def write(path: Path, content: bytes) -> None:
        path.write_bytes(content)
        add(SECOND)

    add(ACQUISITION)
    monkeypatch.setattr(region_files, "write_durably", write)

    files.write_combined()

    rows = (tmp_path / layout.combined_csv).read_text().splitlines()
    assert [row.partition(",")[0] for row in rows] == ["0", ACQUISITION, SECOND]


def test_of_an_item_only_what_is_used_is_kept() -> None:
    """Ten years of a region in the far north are tens of thousands, of some thirty bands each."""
    bands = {name: {"href": name} for name in ("red", "nir", "visual")}

    assert search._slim({"id": "a", "links": [1], "assets": bands}, ("nir", "pan")) == {
        "id": "a",
        "assets": {"nir": {"href": "nir"}},
    }
    assert search._slim({"assets": [1]}, ("nir",)) == {"assets": {}}


def test_pixels_that_have_no_order_are_told(tmp_path: Path) -> None:
    """The check of all regions ended at one odd file."""
    path = tmp_path / "x.tif"
    shape = {"width": 4, "height": 4, "count": 1, "dtype": "complex64"}
    place = rasterio.Affine(10.0, 0.0, 0.0, 0.0, -10.0, 0.0)
    with rasterio.open(path, "w", driver="GTiff", transform=place, **shape) as dataset:
        dataset.write(np.ones((4, 4), np.complex64), 1)

    with pytest.raises(StepFailed, match="complex64"):
        read_facts(path)
