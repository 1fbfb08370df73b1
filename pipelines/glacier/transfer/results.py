"""Which of a satellite's results somebody wants on a disk, and what is done about each. Pure.

A path is one below the satellite's folder, in either layout. What begins with `_runs` is about jobs
and no result. Of the raw tiles that all regions share (layout `new`) a region has those of its
tiles, as far as their names tell.

| here      | rule             | content       | then                                          |
|-----------|------------------|---------------|-----------------------------------------------|
| no        |                  |               | fetched                                       |
| yes       | never touch      |               | kept                                          |
| yes       | replace          | equal         | kept                                          |
| yes       | replace          | other, unknown| replaced                                      |
| no file   |                  |               | failed: a folder or link has its name         |
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import PurePosixPath

from pipelines.glacier.layout import REFERENCE, RUNS, is_raw_tile
from pipelines.glacier.satellite import SatelliteName
from shared.s3.store import ObjectInfo

_DOWNLOAD = "download"
_SHARED = frozenset({"clipped", "template", "metadata", _DOWNLOAD})
"""The folders at the top of layout `new`."""
_TILE = re.compile(r"_T([0-9]{1,2}[A-Z]{3})(?=[_.])")
_TABLE = "_stac_query_results"


@dataclass(frozen=True, slots=True)
class Filter:
    """What is wanted of a satellite's results."""

    regions: Mapping[str, frozenset[str]] | None = None
    """The tiles of each region that is wanted; None: all regions."""
    downloads: bool = True
    """Raw tiles as well."""
    runs: bool = False
    """Records and logs of jobs as well."""

    def wants(self, path: str, satellite: SatelliteName) -> bool:
        """Tell whether an object belongs to what is wanted."""
        parts = path.split("/")
        if parts[0] == RUNS.name:
            return self.runs and self.regions is None
        if is_raw_tile(PurePosixPath(path)):
            return self.downloads and self._wants_tile(parts)
        return self.regions is None or region_of(path, satellite) in self.regions

    def _wants_tile(self, parts: list[str]) -> bool:
        if self.regions is None:
            return True
        if parts[0] != _DOWNLOAD:
            return parts[0] in self.regions
        found = _TILE.search(parts[-1])
        wanted = frozenset().union(*self.regions.values())
        return found is not None and found[1] in wanted


class Fate(Enum):
    """What becomes of an object."""

    FETCHED = "fetched"
    KEPT = "kept"
    """The file that is here stays, whatever S3 has."""
    REPLACED = "replaced"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Item:
    """An object, and the file it belongs to."""

    path: str
    info: ObjectInfo
    fate: Fate
    """What is to become of it."""
    reason: str = ""
    """Why it fails."""
    differs: bool = False
    """The file that is kept has another size."""


@dataclass(slots=True)
class Pulled:
    """What became of the objects."""

    fates: dict[str, Fate] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """Why, by the path."""
    size: int = 0
    """Bytes that were fetched."""


def region_of(path: str, satellite: SatelliteName) -> str:
    """Return the region that a path belongs to, empty where it belongs to none.

    >>> region_of("134_Arsuk/clipped/S2B.tif", "sentinel2")
    '134_Arsuk'
    >>> region_of("metadata/individual_csv/134_Arsuk/S2B.csv", "sentinel2")
    '134_Arsuk'
    >>> region_of("_reference/134_Arsuk_stac_query_results.csv", "landsat")
    '134_Arsuk'
    """
    parts = path.split("/")
    stem = parts[-1].rpartition(".")[0]
    if parts[0] == REFERENCE.name:
        return stem.removesuffix(_TABLE)
    if satellite == "sentinel2" and parts[0] in _SHARED:
        in_folder = parts[0] == "clipped" or parts[1:2] == ["individual_csv"]
        return parts[-2] if in_folder and len(parts) > 2 else stem  # noqa: PLR2004 - folder, file
    return parts[0] if len(parts) > 1 else ""
