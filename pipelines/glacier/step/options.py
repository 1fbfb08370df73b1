"""The options of the processing step that both satellites have, and what they mean together.

Their names are frozen, underscores and all: handlers and batch scripts of other projects use them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipelines.glacier.dates import BadWindow, Window
from pipelines.glacier.lines.flag import Flag
from pipelines.glacier.region_file import REGION_FILE, load_regions
from pipelines.glacier.regions import BadSelection, Region, Selection, select_regions
from pipelines.glacier.values import DATE, NAMES, SLICE, TEXT, Kind, Values, matching
from shared.errors import UsageError

REGION_FILE_VARIABLE = "GLACIER_REGION_FILE"
STAC_URL_VARIABLE = "GLACIER_STAC_URL"

_URL = matching(
    re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?"), "http:// or https:// with a host and a path"
)
_PATH = Kind(str, "a path")
_SQUARE_KILOMETRES = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9})?")


def _parse_area(text: str) -> float:
    if not _SQUARE_KILOMETRES.fullmatch(text):
        raise ValueError(text)
    return float(text)


def _parse_log_name(text: str) -> str:
    # An absolute name leads elsewhere on purpose; that is the caller's own affair. A relative one
    # that climbs out of the folder is a slip, or somebody's trick.
    last = text.rstrip("/").rpartition("/")[2]
    if not text.isprintable() or last in {"", "."} or ".." in text.split("/"):
        raise ValueError(text)
    return text


AREA = Kind(_parse_area, "square kilometres, a number from 0")
REGIONS = Flag("--regions", NAMES, "regions by name", "NAME,NAME", old_spelling="-r")
POSITIONS = Flag(
    "--start_end_index", SLICE, "regions by position in the sorted list, from 0", "START:END"
)
DATE1 = Flag("--date1", DATE, "first day", "DATE", old_spelling="-d1")
DATE2 = Flag("--date2", DATE, "last day, included (default: today)", "DATE", old_spelling="-d2")
BASE_DIR = Flag(
    "--base_dir", _PATH, "output folder; it ends in the satellite's name by custom", "DIR"
)
REGION_FILE_FLAG = Flag(
    "--region_file",
    _PATH,
    f"GeoPackage of the regions (variable {REGION_FILE_VARIABLE}; default: the project's)",
    "FILE",
)
LOG_NAME_KIND = Kind(_parse_log_name, "the name of a file below --base_dir")
COLLECTION = Kind(TEXT.parse, "the name of a collection")


def stac_url_flag(default: str) -> Flag[str]:
    """Return the flag of the catalogue that is searched."""
    text = f"catalogue to search (variable {STAC_URL_VARIABLE}; default: {default})"
    return Flag("--stac_url", _URL, text, "URL")


@dataclass(frozen=True, slots=True)
class StepOptions:
    """What the step is asked for, whichever satellite."""

    regions: tuple[Region, ...]
    """In the order in which they are done."""
    window: Window
    base_dir: Path
    log_path: Path
    stac_url: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepDefaults:
    """What a satellite has where the line has nothing."""

    first_day: date
    log_name: str
    stac_url: str


@dataclass(frozen=True, slots=True)
class StepFlags:
    """The flags that are named alike for both satellites and have help or spelling of their own."""

    log_name: Flag[str]
    stac_url: Flag[str]


def resolve_options(
    line: Values,
    selection: Selection,
    flags: StepFlags,
    defaults: StepDefaults,
    environ: Mapping[str, str],
    today: date,
) -> StepOptions:
    """Return what the line means; UsageError has a line for each mistake.

    `selection` holds what the satellite itself adds; names and positions are those of the line.
    """
    problems: list[str] = []
    window = _window(line, defaults.first_day, today, problems)
    base_dir = line.get(BASE_DIR)
    if not base_dir:
        problems.append(f"{BASE_DIR.name} is missing; give the output folder")
    regions: tuple[Region, ...] = ()
    warnings: tuple[str, ...] = ()
    try:
        selected = select_regions(load_regions(region_file(line, environ)), selection)
        regions, warnings = selected.regions, selected.warnings
    except (BadSelection, UsageError) as error:
        problems.extend(str(error).splitlines())
    stac_url = line.get(flags.stac_url) or _variable_url(environ, problems) or defaults.stac_url
    if problems or window is None or base_dir is None:
        raise UsageError("\n".join(problems))
    folder = Path(base_dir)
    log_path = folder / (line.get(flags.log_name) or defaults.log_name)
    return StepOptions(regions, window, folder, log_path, stac_url.rstrip("/"), warnings)


def region_file(line: Values, environ: Mapping[str, str]) -> Path:
    """Return where the region file lies: flag, variable, else beside the code."""
    named = line.get(REGION_FILE_FLAG) or environ.get(REGION_FILE_VARIABLE)
    # Relative to the code and not to the working folder, which may be anywhere.
    return Path(named) if named else Path(__file__).resolve().parents[3] / REGION_FILE


def _window(line: Values, first_day: date, today: date, problems: list[str]) -> Window | None:
    try:
        return Window(line.get(DATE1) or first_day, line.get(DATE2) or today)
    except BadWindow as error:
        problems.append(f"{error}; exchange them")
        return None


def _variable_url(environ: Mapping[str, str], problems: list[str]) -> str | None:
    given = environ.get(STAC_URL_VARIABLE)
    if not given:
        return None
    try:
        return _URL.read(given, f"variable {STAC_URL_VARIABLE}")
    except ValueError as error:
        problems.append(str(error))
        return None
