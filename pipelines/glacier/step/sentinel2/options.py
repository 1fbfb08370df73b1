"""The options of Sentinel-2's step. Pure but for the region file, which `resolve` reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import cast

from pipelines.glacier.layout import Layout
from pipelines.glacier.lines.flag import Flag
from pipelines.glacier.lines.syntax import Syntax
from pipelines.glacier.regions import Selection
from pipelines.glacier.step.options import (
    AREA,
    BASE_DIR,
    COLLECTION,
    DATE1,
    DATE2,
    LOG_NAME_KIND,
    POSITIONS,
    REGION_FILE_FLAG,
    REGIONS,
    StepDefaults,
    StepFlags,
    StepOptions,
    resolve_options,
    stac_url_flag,
)
from pipelines.glacier.values import FLAG, NAMES, SWITCH, Values, choice, whole
from shared.errors import UsageError

DEFAULT_COLLECTION = "sentinel-2-l2a"
_DEFAULTS = StepDefaults(
    first_day=date(2015, 6, 23),
    log_name="sentinel_glacier.log",
    stac_url="https://earth-search.aws.element84.com/v1",
)

COLLECTION_NAME = Flag(
    "--collection_name", COLLECTION, f"collection (default: {DEFAULT_COLLECTION})", "NAME"
)
IGNORE_REGIONS = Flag("--ignore_regions", NAMES, "regions that are left out", "NAME,NAME")
MIN_AREA = Flag("--min_area", AREA, "least area of a region in km2, included", "KM2")
MAX_AREA = Flag("--max_area", AREA, "greatest area of a region in km2, excluded", "KM2")
DOWNLOAD_FLAG = Flag("--download_flag", FLAG, "fetch scenes, 0 or 1 (default: 0)", "0|1")
POST_PROCESSING_FLAG = Flag(
    "--post_processing_flag", FLAG, "merge and clip, 0 or 1 (default: 0)", "0|1"
)
CLEAR_DOWNLOADS = Flag(
    "--clear_downloads",
    FLAG,
    "keep no raw tiles, 0 or 1 (default: 0); with both flags above, only what a region needs of a "
    "tile is fetched",
    "0|1",
)
CORES = Flag("--cores", whole(1, 256), "scenes merged at the same time (default: 1)", "N")
FOLDER_STRUCTURE = Flag(
    "--folder_structure", choice("old", "new"), "folders of the results (default: old)", "NAME"
)
LOG_NAME = Flag(
    "--log_name", LOG_NAME_KIND, f"log, below --base_dir (default: {_DEFAULTS.log_name})", "FILE"
)
STAC_URL = stac_url_flag(_DEFAULTS.stac_url)
LATEST_BASELINE_ONLY = Flag(
    "--latest-baseline-only",
    SWITCH,
    "of scenes that were processed twice use the later baseline",
    switch=True,
    old_spelling="--latest_baseline_only",
)

SYNTAX = Syntax(
    program="python -m pipelines.glacier.step.sentinel2",
    description="""
    Find the scenes of Sentinel-2 of each region, fetch, merge and clip them.

    Without regions and index all regions of the file are done. Scenes that are there are not done
    again.
    """,
    groups={
        "what": (
            COLLECTION_NAME,
            DATE1,
            DATE2,
            REGIONS,
            IGNORE_REGIONS,
            POSITIONS,
            MIN_AREA,
            MAX_AREA,
            LATEST_BASELINE_ONLY,
        ),
        "processing": (DOWNLOAD_FLAG, POST_PROCESSING_FLAG, CLEAR_DOWNLOADS, CORES),
        "where": (BASE_DIR, FOLDER_STRUCTURE, LOG_NAME, REGION_FILE_FLAG, STAC_URL),
    },
)


@dataclass(frozen=True, slots=True)
class Sentinel2Options:
    """What the step is asked for."""

    step: StepOptions
    collection: str = DEFAULT_COLLECTION
    download: bool = True
    post_processing: bool = True
    clear_downloads: bool = False
    cores: int = 1
    layout: Layout = "old"
    latest_baseline_only: bool = False

    @property
    def reads_windows(self) -> bool:
        """Whether tiles are read where they are: nobody wants to keep them."""
        return self.download and self.post_processing and self.clear_downloads


def resolve(line: Values, environ: Mapping[str, str], today: date) -> Sentinel2Options:
    """Return what the line means; UsageError has a line for each mistake."""
    download = line.get(DOWNLOAD_FLAG) or False
    post_processing = line.get(POST_PROCESSING_FLAG) or False
    selection = Selection(
        names=tuple(line.get(REGIONS) or ()),
        positions=line.get(POSITIONS),
        ignored=tuple(line.get(IGNORE_REGIONS) or ()),
        min_area_km2=line.get(MIN_AREA),
        max_area_km2=line.get(MAX_AREA),
    )
    step = resolve_options(
        line, selection, StepFlags(LOG_NAME, STAC_URL), _DEFAULTS, environ, today
    )
    if not (download or post_processing):
        raise UsageError(
            f"there is nothing to do; give {DOWNLOAD_FLAG.name} 1, {POST_PROCESSING_FLAG.name} 1, "
            "or both"
        )
    return Sentinel2Options(
        step,
        collection=line.get(COLLECTION_NAME) or DEFAULT_COLLECTION,
        download=download,
        post_processing=post_processing,
        clear_downloads=line.get(CLEAR_DOWNLOADS) or False,
        cores=line.get(CORES) or 1,
        layout=cast("Layout", line.get(FOLDER_STRUCTURE) or "old"),
        latest_baseline_only=line.get(LATEST_BASELINE_ONLY) or False,
    )
