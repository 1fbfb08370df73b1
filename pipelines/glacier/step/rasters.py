"""GeoTIFFs of a region, written band of rows by band of rows, and there whole or not at all.

Rule: only GeoTIFFs are opened. Other formats of GDAL can name files of this machine.
"""

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader, DatasetWriter
from rasterio.session import DummySession
from rasterio.windows import Window

from pipelines.glacier.step.drafts import draft_of
from pipelines.glacier.step.errors import StepFailed
from pipelines.glacier.step.grid import CRS, Grid

Pixels: TypeAlias = npt.NDArray[np.uint16]

NODATA = 0
MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""What a TIFF begins with; the last two are BigTIFF."""
# The library says so of the arrays that it warps, and silences itself in a way that fails where
# several threads warp. A file without a place on earth is refused by name.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)

_PLAIN: Mapping[str, object] = {}
_EDGE_PIXELS_MAX = 100_000
_BLOCK_PIXELS_MAX = 1 << 27
_BLOCKS_MAX = 1_000_000
_METRES_MAX = 1e8
"""Around the earth it is less than half of that, in any projection of use here."""
_GDAL: Mapping[str, object] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    # The default is 5 % of the machine's memory, which here is never read twice.
    "GDAL_CACHEMAX": 64 * 1024 * 1024,
    # Statistics and the like would lie beside the results as .aux.xml.
    "GDAL_PAM_ENABLED": False,
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 0.5,
    "GDAL_HTTP_RETRY_CODES": "429,500,502,503,504",
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_LOW_SPEED_LIMIT": 1000,
    "GDAL_HTTP_LOW_SPEED_TIME": 60,
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": True,
    # What was read, or refused, under a URL is no answer to the next scene that asks there.
    "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/",
    # The head of a cloud-optimised file with its table of blocks, in one request.
    "GDAL_INGESTED_BYTES_AT_OPEN": 32768,
}


def gdal(**settings: object) -> rasterio.Env:
    """Return GDAL's settings for a block; each thread needs its own."""
    # Another session would ask AWS's library for what GDAL finds itself.
    return rasterio.Env(**{"session": DummySession(), **_GDAL, **settings})


class AbsurdRaster(StepFailed):
    """A raster says of itself what no scene has; fetching it again brings the same."""


@contextmanager
def opened(name: str) -> Iterator[DatasetReader]:
    """Open a GeoTIFF by path or `/vsi` name; StepFailed also for what goes wrong while it is read.

    The block runs within `gdal()`.
    """
    with (
        gdal_errors(f"raster {_bare(name)!r} cannot be read"),
        rasterio.open(name, driver="GTiff") as dataset,
    ):
        _refuse_absurd(dataset)
        yield dataset


@contextmanager
def gdal_errors(what: str) -> Iterator[None]:
    """Raise StepFailed for what GDAL says, beginning with what happened."""
    try:
        yield
    except (RasterioError, CRSError, CPLE_BaseError) as error:
        # All links of the chain: the last alone does not say which request, which status.
        said = "; ".join(dict.fromkeys(_chain(error)))
        raise StepFailed(f"{what}: {said}") from error


def read_pixels(dataset: DatasetReader, window: Window) -> Pixels:
    """Read a window of the first band of a 16-bit raster."""
    if dataset.dtypes[0] != "uint16":
        raise StepFailed(
            f"raster {_bare(dataset.name)!r} has {dataset.dtypes[0]} pixels; uint16 is wanted"
        )
    pixels: Pixels = dataset.read(1, window=window)
    return pixels


@dataclass(slots=True)
class RasterWriter:
    """A raster that is being written."""

    _dataset: DatasetWriter
    valid_pixels: int = 0
    """Those written so far that are not nodata."""

    def write(self, rows: npt.NDArray[Any], row: int) -> None:
        """Write whole rows from `row` on."""
        height, width = rows.shape
        self._dataset.write(rows, 1, window=Window(0, row, width, height))
        self.valid_pixels += int(np.count_nonzero(rows))


@contextmanager
def raster_draft(
    target: Path, grid: Grid, *, dtype: str = "uint16", creation: Mapping[str, object] = _PLAIN
) -> Iterator[RasterWriter]:
    """Write a raster of one band, uncompressed; it has its name once the block has ended well.

    The block runs within `gdal()`; `creation` are GDAL's creation options.

    Raises:
        StepFailed: it could not be written, or is not what was meant when it is read back.
    """
    with draft_of(target) as path, new_raster(path, grid, dtype=dtype, creation=creation) as writer:
        yield writer


@contextmanager
def new_raster(
    path: Path, grid: Grid, *, dtype: str = "uint16", creation: Mapping[str, object] = _PLAIN
) -> Iterator[RasterWriter]:
    """Write a raster as `raster_draft` does, but under this very name: that of a draft."""
    profile = {
        "driver": "GTiff",
        "width": grid.width,
        "height": grid.height,
        "count": 1,
        "dtype": dtype,
        "nodata": NODATA,
        "crs": CRS,
        "transform": rasterio.Affine(*grid.transform),
        "bigtiff": "IF_SAFER",
        **creation,
    }
    with gdal_errors(f"raster {str(path)!r} cannot be written"):
        with rasterio.open(path, "w", **profile) as dataset:
            yield RasterWriter(dataset)
        _check(path, profile)


def write_raster(
    target: Path, grid: Grid, pixels: npt.NDArray[Any], creation: Mapping[str, object] = _PLAIN
) -> None:
    """Write a raster that is in memory, as `raster_draft` does."""
    with gdal(), raster_draft(target, grid, dtype=str(pixels.dtype), creation=creation) as draft:
        draft.write(pixels, 0)


def is_whole(path: Path) -> bool:
    """Tell whether a file is there, is a GeoTIFF, and holds every block that its table lists."""
    try:
        return is_received(path)
    except AbsurdRaster:
        return False


def is_received(path: Path) -> bool:
    """Tell the same of what has just been fetched; AbsurdRaster."""
    if not is_tiff(path):
        return False
    try:
        with gdal(), opened(str(path)) as dataset:
            return max(_block_ends(dataset), default=1) <= path.stat().st_size
    except AbsurdRaster:
        raise
    except StepFailed:
        return False


def is_tiff(path: Path) -> bool:
    """Tell whether a file is there and begins as a TIFF does."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) in MAGICS
    except FileNotFoundError:
        return False


def count_valid(path: Path, grid: Grid) -> int:
    """Return the number of pixels of a raster that are not nodata; StepFailed.

    A raster that is not on the grid is refused.
    """
    with gdal(), opened(str(path)) as dataset:
        _check_grid(dataset, path, grid)
        return sum(
            int(np.count_nonzero(dataset.read(1, window=window)))
            for window in row_windows(dataset.width, dataset.height)
        )


def row_windows(width: int, height: int, rows: int = 512) -> Iterator[Window]:
    """Cut a raster into bands of whole rows."""
    for row in range(0, height, rows):
        yield Window(0, row, width, min(rows, height - row))


def _refuse_absurd(dataset: DatasetReader) -> None:
    """Refuse sizes that only somebody who means harm, or a broken file, announces."""
    size = (dataset.width, dataset.height)
    high, wide = dataset.block_shapes[0]
    if max(size) > _EDGE_PIXELS_MAX or high * wide > _BLOCK_PIXELS_MAX:
        raise AbsurdRaster(
            f"raster {_bare(dataset.name)!r} says it has {size[0]} x {size[1]} pixels in blocks of "
            f"{wide} x {high}; no scene has"
        )
    place = tuple(dataset.transform)[:6]
    # What is no number, or beyond all measure, breaks the arithmetic of whoever reads a part.
    if not all(math.isfinite(each) and abs(each) < _METRES_MAX for each in place):
        raise AbsurdRaster(f"raster {_bare(dataset.name)!r} says it lies at {place!r}")


def _block_ends(dataset: DatasetReader) -> Iterator[int]:
    """Yield where the blocks of the first band end; those of nodata alone may be left out."""
    height, width = dataset.block_shapes[0]
    rows, columns = -(-dataset.height // height), -(-dataset.width // width)
    if rows * columns > _BLOCKS_MAX:
        raise AbsurdRaster(f"raster {_bare(dataset.name)!r} has {rows * columns} blocks")
    for row in range(rows):
        for column in range(columns):
            found = [
                dataset.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", bidx=1)
                for what in ("OFFSET", "SIZE")
            ]
            if None not in found:
                yield sum(map(int, found))


def _check_grid(dataset: DatasetReader, path: Path, grid: Grid) -> None:
    size, affine = (dataset.width, dataset.height), rasterio.Affine(*grid.transform)
    if size != (grid.width, grid.height) or not dataset.transform.almost_equals(affine):
        raise StepFailed(f"raster {str(path)!r} is not on the grid of its region")


def _check(path: Path, profile: Mapping[str, Any]) -> None:
    """Read back the head, the table of blocks, and the last one: a full disk leaves gaps."""
    with rasterio.open(path, driver="GTiff") as dataset:
        wanted = tuple(profile[name] for name in ("width", "height", "dtype", "nodata"))
        found = (dataset.width, dataset.height, dataset.dtypes[0], dataset.nodata)
        if found != wanted or dataset.crs != profile["crs"]:
            raise StepFailed(f"raster {str(path)!r} reads back as {found!r}, not {wanted!r}")
        if not dataset.transform.almost_equals(profile["transform"]):
            raise StepFailed(f"raster {str(path)!r} reads back with another origin")
        ends = list(_block_ends(dataset))
        if len(ends) != sum(1 for _ in dataset.block_windows(1)) or max(ends) > path.stat().st_size:
            raise StepFailed(f"raster {str(path)!r} lacks some of its blocks when it is read back")
        dataset.read(1, window=Window(dataset.width - 1, dataset.height - 1, 1, 1))


def _chain(error: BaseException) -> Iterator[str]:
    seen: BaseException | None = error
    while seen is not None:
        yield str(seen)[:300] or type(seen).__name__
        seen = seen.__cause__ or seen.__context__


def _bare(name: str) -> str:
    """Leave out the query of a URL: it may be a signature."""
    return name.partition("?")[0]
