from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.warp import transform_bounds

from pipelines.glacier.landsat.clipping import Cut, read_cut, resample, write_template
from pipelines.glacier.regions import Bounds
from pipelines.glacier.step.errors import StepFailed
from pipelines.glacier.step.grid import Grid
from pipelines.glacier.step.rasters import gdal
from tests.support.glacier_landsat import BOUNDS, GRID, hills, place
from tests.support.soak import repetitions

WHERE = place()


def write(path: Path, pixels: Any, **changes: Any) -> str:
    """Write a scene's raster, but for what is changed."""
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "count": 1,
        "dtype": str(pixels.dtype),
        "nodata": 0,
        "crs": "EPSG:32622",
        "transform": rasterio.Affine(15.0, 0, WHERE.left, 0, -15.0, WHERE.top),
        **changes,
    }
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(pixels, 1)
    return str(path)


def cut_of(name: str, grid: Grid = GRID) -> Cut:
    """Read the part of a raster that a grid needs."""
    with gdal():
        return read_cut(name, grid)


@settings(max_examples=repetitions(25, 2000), deadline=None)
@given(
    left=st.integers(-200, 3000),
    top=st.integers(-200, 3000),
    across=st.sampled_from([300, 600, 1500]),
    down=st.sampled_from([300, 900]),
)
def test_cut_is_every_pixel_that_touches_the_region(
    tmp_path_factory: pytest.TempPathFactory, left: int, top: int, across: int, down: int
) -> None:
    """A pixel is in it if its centre is no more than half a pixel off the region's bounds."""
    path = tmp_path_factory.getbasetemp() / "touched.tif"
    if not path.exists():
        write(
            path,
            np.arange(340 * 340, dtype=np.uint32).reshape(340, 340) % 65521 + 1,
            dtype="uint16",
        )
    minx, maxy = BOUNDS.minx + left, BOUNDS.maxy - top
    grid = Grid.of(Bounds(minx, maxy - down, minx + across, maxy), 15.0)
    xs = WHERE.left + (np.arange(340) + 0.5) * 15
    ys = WHERE.top - (np.arange(340) + 0.5) * 15
    bounds = transform_bounds("EPSG:3413", "EPSG:32622", minx, maxy - down, minx + across, maxy)
    columns = np.flatnonzero((xs >= bounds[0] - 7.5) & (xs <= bounds[2] + 7.5))
    rows = np.flatnonzero((ys >= bounds[1] - 7.5) & (ys <= bounds[3] + 7.5))

    cut = cut_of(str(path), grid)

    assert cut.pixels.shape == (len(rows), len(columns))
    assert (cut.transform.c, cut.transform.f) == (xs[columns[0]] - 7.5, ys[rows[0]] + 7.5)
    assert cut.pixels[0, 0] == (rows[0] * 340 + columns[0]) % 65521 + 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"crs": None}, "has no projection"),
        ({"crs": "EPSG:4326"}, "does not reach the region"),
        ({"transform": rasterio.Affine(15, 1, 0, 1, -15, 0)}, "is turned or mirrored"),
        ({"transform": rasterio.Affine(15, 0, 0, 0, 15, 0)}, "is turned or mirrored"),
        ({"transform": rasterio.Affine(15, 0, 0, 0, -15, 0)}, "does not reach the region"),
        (
            {"transform": rasterio.Affine(0.5, 0, WHERE.left + 1500, 0, -0.5, WHERE.top - 1500)},
            "has pixels of 0.5 by 0.5",
        ),
        ({"dtype": "float32"}, "has float32 pixels; uint16 or uint8 is wanted"),
    ],
)
def test_raster_that_cannot_be_clipped_is_told(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    """What the bucket sends is not trusted: a wrong one must not become a result, or take all
    memory.
    """
    name = write(tmp_path / "odd.tif", np.ones((100, 100), np.uint16), **changes)

    with pytest.raises(StepFailed) as raised:
        cut_of(name)

    assert told in str(raised.value)


@pytest.mark.parametrize("nodata", [None, 0, 65535])
def test_nodata_of_the_source_becomes_nodata(tmp_path: Path, nodata: int | None) -> None:
    """Older products declare none, and mean 0."""
    pixels = hills(WHERE)
    pixels[:, :170] = nodata or 0
    name = write(tmp_path / "half.tif", pixels, nodata=nodata)

    found = resample(cut_of(name), GRID)

    assert 0.45 < (found == 0).mean() < 0.55
    assert found.max() < 10_000


def test_template_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    """It is uploaded with each run, and must not look like something new."""
    for name in ("one.tif", "two.tif"):
        write_template(tmp_path / name, GRID)

    first = (tmp_path / "one.tif").read_bytes()
    assert first == (tmp_path / "two.tif").read_bytes()
    # One bit a pixel: not a byte.
    assert len(first) < 200 * 200 / 8
