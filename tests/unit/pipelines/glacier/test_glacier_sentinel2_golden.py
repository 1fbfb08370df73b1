"""Golden rasters: what merging and clipping must give, pixel by pixel, on scenes with known pixels.

A newer GDAL or rasterio has to pass these before it is used.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.io import DatasetReader
from rasterio.windows import Window

from pipelines.glacier.regions import Bounds
from pipelines.glacier.step.errors import StepFailed
from pipelines.glacier.step.grid import Grid
from pipelines.glacier.step.rasters import read_pixels
from pipelines.glacier.step.sentinel2 import mosaic
from pipelines.glacier.step.sentinel2.clipping import clip
from tests.support.glacier_scenes import (
    Pixels,
    Place,
    Scene,
    neighbourhood,
    pattern,
    read_raster,
    sampled,
    smooth,
    write_cog,
)
from tests.support.glacier_sentinel2 import GRID, halves, whole

# Where zones 21 and 22 meet: 54 degrees west.
SEAM = Bounds(-301500, -1880700, -298500, -1877700)
SEAM_GRID = Grid.of(SEAM, 10.0)


def clipped(folder: Path, zones: Sequence[Sequence[Scene]], grid: Grid = GRID) -> Pixels:
    """Write scenes as tiles, clip them, and return the pixels of the result."""
    names = []
    for zone, scenes in enumerate(zones):
        paths = [folder / f"{zone}-{number}.tif" for number in range(len(scenes))]
        for path, scene in zip(paths, scenes, strict=True):
            write_cog(path, scene.place, scene.pixels)
        names.append(list(map(str, paths)))
    valid = clip(names, grid, folder / "out.tif")
    pixels, _ = read_raster(folder / "out.tif")
    assert valid == np.count_nonzero(pixels)
    return pixels


def check_sampled(pixels: Pixels, scenes: Sequence[Scene], grid: Grid = GRID) -> None:
    """Assert nearest sampling of the mosaic, but for the transformer's tolerance."""
    differs = pixels != sampled(grid, scenes)
    assert differs.mean() <= 0.01
    assert (neighbourhood(grid, scenes) == pixels[..., None]).any(axis=-1).all()


def test_raster_is_as_later_steps_read_it(tmp_path: Path) -> None:
    """Projection, grid, type, nodata and the lack of compression are frozen."""
    scene = whole()

    pixels = clipped(tmp_path, [[scene]])

    _, head = read_raster(tmp_path / "out.tif")
    assert head == {
        "driver": "GTiff",
        "crs": "EPSG:3413",
        "transform": GRID.transform,
        "size": (300, 300),
        "dtypes": ("uint16",),
        "nodata": 0.0,
        "compression": None,
    }
    assert (tmp_path / "out.tif").stat().st_size < 300 * 300 * 2 + 4096
    check_sampled(pixels, [scene])


@pytest.mark.parametrize("first", ["west", "east"])
def test_first_tile_has_the_pixels_that_both_have(tmp_path: Path, first: str) -> None:
    """Which tile wins was decided for each region; the other would show seams elsewhere."""
    west, east = halves()
    scenes = [west, east] if first == "west" else [east, west]

    pixels = clipped(tmp_path, [scenes])

    check_sampled(pixels, scenes)
    assert (pixels != sampled(GRID, scenes[::-1])).mean() > 0.02


def test_nodata_of_the_first_tile_shows_the_second(tmp_path: Path) -> None:
    """A swath ends within a tile; the neighbour has what lies beyond."""
    first, second = whole(seed=1), whole(seed=2)
    holed = first.pixels.copy()
    holed[100:180, 90:200] = 0
    scenes = [replace(first, pixels=holed), second]

    pixels = clipped(tmp_path, [scenes])

    check_sampled(pixels, scenes)
    assert pixels.all()


def test_nodata_stays_nodata(tmp_path: Path) -> None:
    """Nothing is made up where no tile has anything: nearest never mixes with nodata."""
    scene = whole()
    scene.pixels[:, 180:] = 0

    pixels = clipped(tmp_path, [[scene]])

    check_sampled(pixels, [scene])
    assert 0.4 < np.count_nonzero(pixels) / pixels.size < 0.6


def test_region_beyond_the_tile_is_nodata(tmp_path: Path) -> None:
    """A tile may cover a corner of the region, or lie elsewhere altogether."""
    scene = whole()
    corner = replace(scene, place=replace(scene.place, left=scene.place.left + 2000))
    far = replace(scene, place=replace(scene.place, left=scene.place.left + 50_000))

    check_sampled(clipped(tmp_path, [[corner, far]]), [corner])
    assert not clipped(tmp_path, [[far]]).any()


def test_zones_are_joined_and_the_first_listed_wins(tmp_path: Path) -> None:
    """Two regions span two zones; the two rasters are turned against each other by degrees."""
    scenes = []
    for epsg, base in ((32621, 4000), (32622, 12_000)):
        place = Place.around(SEAM, epsg)
        scenes.append(Scene(place, smooth(place, base)))
    west, east = scenes
    west.pixels[:, west.place.width // 2 :] = 0

    pixels = clipped(tmp_path, [[west], [east]], SEAM_GRID)

    of_west, of_east = sampled(SEAM_GRID, [west]), sampled(SEAM_GRID, [east])
    truth = np.where(of_west > 0, of_west, of_east).astype(np.int64)
    # Cubic lies between the neighbours of nearest; at the seam itself a pixel more or less is
    # valid.
    assert (np.abs(pixels.astype(np.int64) - truth) <= 12).mean() > 0.98
    assert pixels.all()
    assert 0.3 < (pixels < 8000).mean() < 0.7


def test_one_zone_is_never_interpolated_and_two_are(tmp_path: Path) -> None:
    """Nearest keeps the values of the sensor; cubic is what two zones have always had."""
    place = Place.around(SEAM, 32621)
    stripes = np.where(np.arange(place.width) % 8 < 4, 1000, 3000).astype(np.uint16)
    west = Scene(place, np.broadcast_to(stripes, (place.height, place.width)).copy())
    other = Place.around(SEAM, 32622)
    empty = Scene(other, np.zeros((other.height, other.width), np.uint16))

    one = clipped(tmp_path, [[west]], SEAM_GRID)
    two = clipped(tmp_path, [[west], [empty]], SEAM_GRID)

    assert set(np.unique(one)) == {1000, 3000}
    assert len(np.unique(two)) > 100
    assert two.all()


def test_wide_region_is_as_exact_at_its_ends_as_in_its_middle(tmp_path: Path) -> None:
    """GDAL takes long lines for straight; across 10 km that would misplace pixels."""
    bounds = Bounds(-207110, -2298950, -194110, -2298350)
    grid = Grid.of(bounds, 10.0)
    place = Place.around(bounds)
    scene = Scene(place, pattern(place))

    check_sampled(clipped(tmp_path, [[scene]], grid), [scene], grid)


def test_blocks_beside_a_region_that_lies_aslant_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the east a tile is turned by 18 degrees; the corners would be fetched for nothing."""
    grid = Grid.of(Bounds(218680, -946310, 224680, -940310), 10.0)
    place = Place.around(Bounds(218680, -946310, 224680, -940310), 32626, margin=0)
    scene = Scene(place, pattern(place))
    read: list[int] = []

    def counted(dataset: DatasetReader, window: Window) -> Pixels:
        pixels = read_pixels(dataset, window)
        read.append(pixels.size)
        return pixels

    monkeypatch.setattr(mosaic, "_CHUNK_PIXELS", 64)
    monkeypatch.setattr(mosaic, "read_pixels", counted)
    write_cog(tmp_path / "a.tif", place, scene.pixels, block=64)
    clip([[str(tmp_path / "a.tif")]], grid, tmp_path / "out.tif")

    assert sum(read) < 0.85 * scene.pixels.size
    check_sampled(read_raster(tmp_path / "out.tif")[0], [scene], grid)


def test_tile_in_strips_gives_the_same_as_one_in_blocks(tmp_path: Path) -> None:
    """Raw tiles that other programs have written are no cloud-optimised files."""
    scene = whole()
    expected = clipped(tmp_path, [[scene]])
    with rasterio.open(
        tmp_path / "strips.tif",
        "w",
        driver="GTiff",
        width=scene.place.width,
        height=scene.place.height,
        count=1,
        dtype="uint16",
        crs="EPSG:32622",
        transform=rasterio.Affine(10.0, 0.0, scene.place.left, 0.0, -10.0, scene.place.top),
    ) as dataset:
        dataset.write(scene.pixels, 1)

    clip([[str(tmp_path / "strips.tif")]], GRID, tmp_path / "again.tif")

    assert (read_raster(tmp_path / "again.tif")[0] == expected).all()


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (lambda scene: replace(scene, place=replace(scene.place, epsg=32623)), "EPSG:32622"),
        (lambda scene: replace(scene, place=replace(scene.place, resolution=20.0)), "10 m"),
        (lambda scene: replace(scene, pixels=scene.pixels.astype(np.uint8)), "uint8"),
    ],
    ids=["projection", "resolution", "type"],
)
def test_tile_that_does_not_go_with_the_others_is_refused(
    tmp_path: Path, second: object, reason: str
) -> None:
    """A wrong tile in a mosaic would be seen by nobody."""
    assert callable(second)
    first = whole()
    first.pixels[:100] = 0

    with pytest.raises(StepFailed, match=reason):
        clipped(tmp_path, [[first, second(whole())]])


@pytest.mark.parametrize("resolution", [0.1, 1000.0])
def test_tile_with_absurd_pixels_is_refused(tmp_path: Path, resolution: float) -> None:
    """A region in pixels of 10 cm does not fit into memory."""
    scene = whole()
    tiny = replace(scene, place=replace(scene.place, resolution=resolution))

    with pytest.raises(StepFailed, match="10 m is wanted"):
        clipped(tmp_path, [[tiny]])


def test_raster_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    """Its head alone says nothing about the rest."""
    scene = whole()
    path = tmp_path / "cut.tif"
    write_cog(path, scene.place, scene.pixels)
    path.write_bytes(path.read_bytes()[:60_000])

    with pytest.raises(StepFailed, match=r"cut\.tif"):
        clip([[str(path)]], GRID, tmp_path / "out.tif")


def test_only_tiffs_are_opened(tmp_path: Path) -> None:
    """Other formats of GDAL can name any file of this machine as their pixels."""
    scene = whole()
    write_cog(tmp_path / "secret.tif", scene.place, scene.pixels)
    virtual = tmp_path / "B08.tif"
    virtual.write_text(
        '<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand dataType="UInt16" band="1">'
        "<SimpleSource><SourceFilename>secret.tif</SourceFilename></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )

    with pytest.raises(StepFailed, match="B08"):
        clip([[str(virtual)]], GRID, tmp_path / "out.tif")
