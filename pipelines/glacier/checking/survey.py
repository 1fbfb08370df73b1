"""Looks into the folders of the results and reads every raster, a few rows at a time."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rasterio.io import DatasetReader

from pipelines.glacier.checking.expectation import RasterFacts, judge_raster, places_of
from pipelines.glacier.checking.report import RegionReport
from pipelines.glacier.layout import Layout
from pipelines.glacier.regions import is_region_name
from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.step.errors import StepFailed
from pipelines.glacier.step.grid import Grid
from pipelines.glacier.step.rasters import gdal, opened, row_windows


@dataclass(frozen=True, slots=True)
class Survey:
    """One satellite's results."""

    folder: Path
    """It ends in the satellite's name, as the step's `--base_dir` does."""
    satellite: SatelliteName
    layout: Layout
    grids: Mapping[str, Grid] = field(default_factory=dict)
    """Of the regions, where a region file is known."""

    def regions(self) -> list[str]:
        """Return the regions that have a folder."""
        above = self.folder
        if self.satellite == "sentinel2" and self.layout == "new":
            above = self.folder / "clipped"
        if not above.is_dir():
            return []
        return sorted(each.name for each in above.iterdir() if self._is_region(each))

    def check(self, region: str) -> RegionReport:
        """Look at one region's folders and rasters."""
        places = places_of(self.satellite, region, self.layout)
        problems = [
            f"{place} is missing" for place in places.required if not (self.folder / place).exists()
        ]
        notes = [
            f"{place} is not there, which is allowed"
            for place in places.optional
            if not (self.folder / place).exists()
        ]
        rasters = sorted((self.folder / places.scenes).glob("[!.]*.tif"))
        if not rasters and not problems:
            notes.append(f"{places.scenes} holds no raster")
        problems += self._check_rasters(region, rasters)
        return RegionReport(region, len(rasters), tuple(problems), tuple(notes))

    def _check_rasters(self, region: str, rasters: Iterable[Path]) -> list[str]:
        grid = self.grids.get(region)
        problems: list[str] = []
        names: dict[str, str] = {}
        for path in rasters:
            name = path.relative_to(self.folder).as_posix()
            try:
                facts = read_facts(path)
            except (StepFailed, OSError) as error:
                problems.append(f"{name}: {error}")
                continue
            problems += [f"{name}: {each}" for each in judge_raster(facts, self.satellite, grid)]
            other = names.setdefault(facts.digest, name)
            if other != name:
                problems.append(f"{name}: its pixels are those of {other}")
        return problems

    def _is_region(self, folder: Path) -> bool:
        return folder.is_dir() and is_region_name(folder.name)


def find_layout(folder: Path, satellite: SatelliteName) -> Layout:
    """Return the layout that a folder has: in `new` the kinds of files come before the regions."""
    return "new" if satellite == "sentinel2" and (folder / "clipped").is_dir() else "old"


def read_facts(path: Path) -> RasterFacts:
    """Read a raster, all of it; StepFailed."""
    with gdal(), opened(str(path)) as dataset:
        if dataset.dtypes[0].startswith("complex"):
            raise StepFailed(f"pixels are {dataset.dtypes[0]}, which have no order")
        lowest, highest, digest = _content(dataset)
        transform = dataset.transform
        return RasterFacts(
            epsg=dataset.crs.to_epsg() if dataset.crs else None,
            resolution=(transform.a, -transform.e),
            origin=(transform.c, transform.f),
            size=(dataset.width, dataset.height),
            bands=dataset.count,
            dtype=dataset.dtypes[0],
            nodata=dataset.nodata,
            lowest=lowest,
            highest=highest,
            digest=digest,
        )


def _content(dataset: DatasetReader) -> tuple[float, float, str]:
    """Return the lowest and the highest value of the first band, and its digest."""
    digest = hashlib.blake2b(f"{dataset.width} {dataset.height}\n".encode())
    lowest, highest = math.inf, -math.inf
    for window in row_windows(dataset.width, dataset.height):
        rows = dataset.read(1, window=window)
        digest.update(rows.tobytes())
        lowest = min(lowest, float(rows.min()))
        highest = max(highest, float(rows.max()))
    return lowest, highest, digest.hexdigest()
