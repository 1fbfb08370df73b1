"""What results have to be: the folders of a region, and the head and the pixels of a raster. Pure.

| satellite | resolution | beside it                                      |
|-----------|------------|------------------------------------------------|
| sentinel2 | 10 m       | EPSG:3413, uint16, nodata 0, one band          |
| landsat   | 15 m       | the same                                       |

A raster that is nodata everywhere is a clip that failed, one with a single value is no image, and
two of a region with the same pixels are one scene that was written under two names.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath

from pipelines.glacier.layout import REFERENCE, LandsatLayout, Layout, Sentinel2Layout
from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.step.grid import EPSG, Grid

RESOLUTIONS: dict[SatelliteName, float] = {"sentinel2": 10.0, "landsat": 15.0}
_DTYPE = "uint16"
_NODATA = 0
_METRES = 1e-6
"""Closer than this is the same."""


@dataclass(frozen=True, slots=True)
class RasterFacts:
    """A raster as it was found."""

    epsg: int | None
    resolution: tuple[float, float]
    origin: tuple[float, float]
    """The upper left corner."""
    size: tuple[int, int]
    """Width and height."""
    bands: int
    dtype: str
    nodata: float | None
    lowest: float
    highest: float
    digest: str
    """Of size and pixels."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the results of one region have to lie, relative to the satellite's folder."""

    scenes: PurePosixPath
    required: tuple[PurePosixPath, ...]
    optional: tuple[PurePosixPath, ...] = ()
    """Removed by some to have the space back."""


def places_of(satellite: SatelliteName, region: str, layout: Layout) -> Places:
    """Return where a region's results have to lie."""
    if satellite == "landsat":
        scenes = LandsatLayout(region).scenes
        return Places(scenes, (scenes, REFERENCE))
    found = Sentinel2Layout(region, layout)
    if layout == "new":
        required = (found.clipped, found.individual_csv, found.template)
        return Places(found.clipped, required, (found.downloads,))
    folder = PurePosixPath(region)
    required = (found.clipped, folder / "metadata", folder / "template")
    return Places(found.clipped, required, (found.downloads,))


def judge_raster(facts: RasterFacts, satellite: SatelliteName, grid: Grid | None) -> list[str]:
    """Return what is wrong with a raster; `grid` is its region's, where that is known."""
    resolution = RESOLUTIONS[satellite]
    problems = []
    if facts.epsg != EPSG:
        found = "no EPSG code" if facts.epsg is None else f"EPSG:{facts.epsg}"
        problems.append(f"projection is {found}, not EPSG:{EPSG}")
    if not _near(facts.resolution, (resolution, resolution)):
        problems.append(f"resolution is {_pair(facts.resolution)} m, not {resolution:g} m")
    if facts.dtype != _DTYPE:
        problems.append(f"pixels are {facts.dtype}, not {_DTYPE}")
    if facts.nodata != _NODATA:
        problems.append(f"nodata is {_plain(facts.nodata)}, not {_NODATA}")
    if facts.bands != 1:
        problems.append(f"it has {facts.bands} bands, not 1")
    return [*problems, *_misplaced(facts, grid), *_empty(facts)]


def _misplaced(facts: RasterFacts, grid: Grid | None) -> list[str]:
    if grid is None:
        return []
    problems = []
    if not _near(facts.origin, (grid.minx, grid.maxy)):
        problems.append(
            f"origin is {_pair(facts.origin)}, its region's is {_pair((grid.minx, grid.maxy))}"
        )
    if facts.size != (grid.width, grid.height):
        problems.append(
            f"size is {_pair(facts.size)}, its region's is {_pair((grid.width, grid.height))}"
        )
    return problems


def _empty(facts: RasterFacts) -> list[str]:
    if facts.lowest != facts.highest:
        return []
    if facts.lowest == _NODATA:
        return ["it is nodata everywhere"]
    return [f"it has the value {facts.lowest:g} everywhere"]


def _near(found: tuple[float, float], wanted: tuple[float, float]) -> bool:
    return all(abs(one - other) < _METRES for one, other in zip(found, wanted, strict=True))


def _pair(values: tuple[float, float]) -> str:
    return f"{values[0]:.12g} x {values[1]:.12g}"


def _plain(value: float | None) -> str:
    return "not set" if value is None else f"{value:g}"
