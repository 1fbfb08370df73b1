"""Where results lie below a satellite's folder, in both layouts and for both satellites. Pure.

The same relative paths are files below the output folder and keys below
`{s3_base_path}/{satellite}/`. Names and folders are frozen: later steps of the chain read them.

| Sentinel-2  | layout `old`, below `{region}/`        | layout `new`                             |
|-------------|----------------------------------------|------------------------------------------|
| raw tile    | `download/{year}/{product}_B08.tif`    | the same                                 |
| scene       | `clipped/{acq}.tif`                    | `clipped/{region}/{acq}.tif`             |
| template    | `template/{region}.tif`                | the same                                 |
| lineage     | `metadata/individual_csv/{acq}.csv`    | `metadata/individual_csv/{region}/...`   |
| all lineage | `metadata/combined_csv/{region}.csv`   | the same                                 |

Landsat has one layout: `{region}/{subset_id}.tif`, `_reference/{region}.tif` and
`_reference/{region}_stac_query_results.csv`. A first part that begins with `_` is never a region.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, TypeAlias

Layout: TypeAlias = Literal["old", "new"]
"""Of Sentinel-2: all files below a folder of their region, or the regions below each kind."""

RUNS = PurePosixPath("_runs")
"""Records and logs of jobs, beside the results."""
REFERENCE = PurePosixPath("_reference")


@dataclass(frozen=True, slots=True)
class Sentinel2Layout:
    """The places of one region's files."""

    region: str
    layout: Layout = "old"

    @property
    def downloads(self) -> PurePosixPath:
        """The folder of the raw tiles; in layout `new` all regions share it."""
        return self._folder("download")

    def raw_tile(self, year: str, name: str) -> PurePosixPath:
        """Return the place of a raw tile; `name` ends in `_B08.tif`."""
        return self.downloads / year / name

    @property
    def clipped(self) -> PurePosixPath:
        """The folder of the scenes."""
        return self._own_folder("clipped")

    def scene(self, acquisition: str) -> PurePosixPath:
        """Return the place of a merged and clipped acquisition."""
        return self.clipped / f"{acquisition}.tif"

    @property
    def template(self) -> PurePosixPath:
        """The raster that shows the region's grid."""
        return self._folder("template") / f"{self.region}.tif"

    @property
    def individual_csv(self) -> PurePosixPath:
        """The folder with a line of lineage for each acquisition."""
        shared = self._folder("metadata") / "individual_csv"
        return shared if self.layout == "old" else shared / self.region

    def lineage(self, acquisition: str) -> PurePosixPath:
        """Return the place of an acquisition's lineage."""
        return self.individual_csv / f"{acquisition}.csv"

    @property
    def combined_csv(self) -> PurePosixPath:
        """The lineage of all acquisitions of the region."""
        return self._folder("metadata") / "combined_csv" / f"{self.region}.csv"

    def _folder(self, name: str) -> PurePosixPath:
        if self.layout == "old":
            return PurePosixPath(self.region) / name
        return PurePosixPath(name)

    def _own_folder(self, name: str) -> PurePosixPath:
        if self.layout == "old":
            return PurePosixPath(self.region) / name
        return PurePosixPath(name) / self.region


@dataclass(frozen=True, slots=True)
class LandsatLayout:
    """The places of one region's files."""

    region: str

    @property
    def scenes(self) -> PurePosixPath:
        """The folder of the scenes."""
        return PurePosixPath(self.region)

    def scene(self, subset_id: str) -> PurePosixPath:
        """Return the place of a clipped scene."""
        return self.scenes / f"{subset_id}.tif"

    @property
    def template(self) -> PurePosixPath:
        """The raster that shows the region's grid."""
        return REFERENCE / f"{self.region}.tif"

    @property
    def query_results(self) -> PurePosixPath:
        """The table of the scenes that the last search left to be done."""
        return REFERENCE / f"{self.region}_stac_query_results.csv"


def run_record(job_name: str) -> PurePosixPath:
    """Return the place of a job's record."""
    return RUNS / f"{job_name}.json"


def run_log(job_name: str) -> PurePosixPath:
    """Return the place of a job's log."""
    return RUNS / f"{job_name}.log"


def is_raw_tile(path: PurePosixPath) -> bool:
    """Tell whether a file lies in a download folder, of either layout."""
    return "download" in path.parts[:2] and path.parts[0] != REFERENCE.name
