"""Proves that an image is whole: versions, entry points, regions, and one warped raster.

It runs at the end of each build, as the image's own user and without a network; a failure ends the
build. `python -m pipelines.glacier.image.self_check` in a container says the same again.
"""

import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject, transform

from pipelines.glacier.region_file import load_regions
from shared.errors import UsageError

GDAL_VERSION, RASTERIO_VERSION = "3.10.3", "1.4.4"
"""The pair that the golden rasters were made with; another one needs that test to pass first."""
ENTRY_MODULES = (
    "awslambdaric",
    "lambda_handler",
    "pipelines.glacier.landsat.__main__",
    "pipelines.glacier.landsat.region_run",
    "pipelines.glacier.run.lambda_handler",
    "pipelines.glacier.run.runner",
    "pipelines.glacier.step.sentinel2.__main__",
    "pipelines.glacier.step.sentinel2.region_run",
)
"""With what they import late: a package that is missing must end the build, not a run."""
REGION_FILE_VARIABLE = "GLACIER_REGION_FILE"
_PIXELS, _METRES = 4, 10.0


class CheckFailed(Exception):
    """Something that a run needs is not there or not as it must be."""


def main() -> int:
    """Run every check and print a line for each; 1 if one fails."""
    checks: Mapping[str, Callable[[], str]] = {
        "versions": check_versions,
        "entry points": check_entry_points,
        "regions": lambda: check_regions(os.environ),
        "warp": check_warp,
        "settings": lambda: check_settings(Path("/")),
    }
    failed = 0
    for name, check in checks.items():
        try:
            sys.stdout.write(f"ok      {name}: {check()}\n")
        except (CheckFailed, ImportError, UsageError) as error:
            failed += 1
            sys.stdout.write(f"failed  {name}: {error}\n")
    return 1 if failed else 0


def check_versions() -> str:
    """Tell the versions of what decides about pixels."""
    found = rasterio.__gdal_version__, rasterio.__version__
    if found != (GDAL_VERSION, RASTERIO_VERSION):
        raise CheckFailed(
            f"GDAL {found[0]!r} with rasterio {found[1]!r}; the verified pair is "
            f"{GDAL_VERSION!r} and {RASTERIO_VERSION!r}"
        )
    return f"GDAL {found[0]}, rasterio {found[1]}, Python {sys.version.split()[0]}, {_client()}"


def check_entry_points() -> str:
    """Import everything that a run begins with."""
    for name in ENTRY_MODULES:
        import_module(name)
    handler = import_module("lambda_handler")
    for name in ("handler", "lambda_handler"):
        if not callable(getattr(handler, name, None)):
            raise CheckFailed(f"lambda_handler exports no {name!r}")
    return f"{len(ENTRY_MODULES)} modules"


def check_regions(environ: Mapping[str, str]) -> str:
    """Open the region file that is baked in."""
    named = environ.get(REGION_FILE_VARIABLE, "")
    if not named:
        raise CheckFailed(f"{REGION_FILE_VARIABLE} is not set; the image has no regions")
    regions = load_regions(Path(named))
    if not regions:
        raise CheckFailed(f"{named!r} has no regions")
    return f"{len(regions)} in {named}"


def check_warp() -> str:
    """Warp a 4x4 raster from UTM to the projection of the results, by nearest neighbour."""
    source = np.arange(1, _PIXELS * _PIXELS + 1, dtype=np.uint16).reshape(_PIXELS, _PIXELS)
    target = np.zeros((_PIXELS, _PIXELS), dtype=np.uint16)
    # The centre of the zone, where its north is the north of the projection but for a turn.
    reproject(
        source,
        target,
        src_transform=_grid(500_000.0, 7_000_040.0),
        src_crs=CRS.from_epsg(32624),
        src_nodata=0,
        dst_transform=_around(500_020.0, 7_000_020.0),
        dst_crs=CRS.from_epsg(3413),
        dst_nodata=0,
        resampling=Resampling.nearest,
    )
    valid = target[target > 0]
    if valid.size == 0 or not set(valid.tolist()) <= set(source.ravel().tolist()):
        raise CheckFailed("a warped raster has other values than its source")
    return f"{valid.size} of {target.size} pixels reached, EPSG:32624 to EPSG:3413"


def check_settings(root: Path) -> str:
    """Look for what must never be in an image."""
    folder = root / "opt/glacier"
    wrong = [
        str(path)
        for pattern in ("config.ini", "aws_config.ini", "*credentials*.csv", ".env*", ".git")
        for path in (*folder.glob(f"app/**/{pattern}"), *folder.glob(f"project/**/{pattern}"))
    ]
    if wrong:
        raise CheckFailed(f"{wrong[0]!r} is in the image")
    return "no settings, no credentials"


def _around(x: float, y: float) -> rasterio.Affine:
    """Return a grid of EPSG:3413 whose centre is a point of EPSG:32624."""
    [east], [north] = transform(CRS.from_epsg(32624), CRS.from_epsg(3413), [x], [y])[:2]
    half = _PIXELS / 2 * _METRES
    return _grid(east - half, north + half)


def _grid(left: float, top: float) -> rasterio.Affine:
    """Return a grid whose first corner is a point, with north up."""
    return rasterio.Affine(_METRES, 0.0, left, 0.0, -_METRES, top)


def _client() -> str:
    try:
        return f"awslambdaric {version('awslambdaric')}"
    except PackageNotFoundError as error:
        raise CheckFailed("awslambdaric is not installed") from error


if __name__ == "__main__":
    sys.exit(main())
