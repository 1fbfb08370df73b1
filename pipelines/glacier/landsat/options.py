"""The options of Landsat's step. Pure but for the region file, which `resolve` reads.

The three options that only Sentinel-2's step has are refused, as they always were.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

from pipelines.glacier.dates import Window
from pipelines.glacier.landsat.plan import Limits
from pipelines.glacier.lines.flag import Flag
from pipelines.glacier.lines.syntax import Syntax
from pipelines.glacier.regions import Selection
from pipelines.glacier.step.options import (
    BASE_DIR,
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
from pipelines.glacier.values import SWITCH, Kind, Values

COLLECTION = "landsat-c2l1"
PAGE_SIZE = 500
RESOLUTION = 15.0
"""Metres."""
_DEFAULTS = StepDefaults(
    first_day=date(1970, 1, 1),
    log_name="landsat_glacier.log",
    stac_url="https://landsatlook.usgs.gov/stac-server",
)
_COVERED = 0.05
_TEST_REGION = "049_jakobshavn"
_TEST_WINDOW = Window(date(2023, 1, 1), date(2023, 12, 31))
_FRACTION = re.compile(r"(0|1|[01]?\.[0-9]{1,9}|[01]\.)")


def _parse_fraction(text: str) -> float:
    if not _FRACTION.fullmatch(text) or float(text) > 1:
        raise ValueError(text)
    return float(text)


def _parse_switch(text: str) -> bool:
    # The one switch of these scripts that a single letter is enough for.
    return SWITCH.parse({"t": "true", "f": "false"}.get(text, text))


FRACTION = Kind(_parse_fraction, "a number from 0 to 1")
INTERSECT_THRESH = Flag(
    "--intersect_thresh",
    FRACTION,
    f"fraction of the region that a footprint must exceed (default: {_COVERED})",
    "FRACTION",
    old_spelling="-it",
)
MIN_COVERAGE = Flag(
    "--min-coverage",
    FRACTION,
    "fraction of the region that a scene's pixels must exceed (default: any pixel will do)",
    "FRACTION",
    old_spelling="--min_coverage",
)
LOG_NAME = Flag(
    "--log_name",
    LOG_NAME_KIND,
    f"log, below --base_dir (default: {_DEFAULTS.log_name})",
    "FILE",
    old_spelling="-l",
)
TEST_RUN = Flag(
    "--test_run",
    Kind(_parse_switch, SWITCH.allowed),
    f"only {_TEST_REGION} in {_TEST_WINDOW.first.year}, whatever else is given (default: false)",
    "true|false",
    old_spelling="-t",
    bare="true",
)
STAC_URL = stac_url_flag(_DEFAULTS.stac_url)

SYNTAX = Syntax(
    program="python -m pipelines.glacier.landsat",
    description="""
    Find the scenes of Landsat of each region, clip them, and write them on the region's grid.

    Without regions and index all regions of the file are done. Scenes that are there are not
    fetched again.
    """,
    groups={
        "what": (REGIONS, POSITIONS, DATE1, DATE2, INTERSECT_THRESH, MIN_COVERAGE, TEST_RUN),
        "where": (BASE_DIR, LOG_NAME, REGION_FILE_FLAG, STAC_URL),
    },
)


@dataclass(frozen=True, slots=True)
class LandsatOptions:
    """What the step is asked for."""

    step: StepOptions
    limits: Limits


def resolve(line: Values, environ: Mapping[str, str], today: date) -> LandsatOptions:
    """Return what the line means; UsageError has a line for each mistake."""
    selection = Selection(names=tuple(line.get(REGIONS) or ()), positions=line.get(POSITIONS))
    testing = line.get(TEST_RUN)
    if testing:
        selection = Selection(names=(_TEST_REGION,))
    step = resolve_options(
        line, selection, StepFlags(LOG_NAME, STAC_URL), _DEFAULTS, environ, today
    )
    if testing:
        step = replace(step, window=_TEST_WINDOW)
    covered = line.get(INTERSECT_THRESH)
    limits = Limits(_COVERED if covered is None else covered, line.get(MIN_COVERAGE))
    return LandsatOptions(step, limits)
