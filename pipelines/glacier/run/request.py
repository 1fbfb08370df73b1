"""What a run is asked for: an event of either generation, or an environment, checked. Pure.

| given                                    | taken as                                          |
|------------------------------------------|---------------------------------------------------|
| `region`, `regions`, or both and equal   | these regions; a comma list or a list             |
| `region` and `regions` that differ       | a problem                                         |
| `start_end_index` and no names           | the regions of the index                          |
| `start_end_index` and names              | a problem                                         |
| neither                                  | a problem: there is no default glacier            |
| `start_date`, `end_date`                 | `date1`, `date2`, with a warning                  |
| alias and new name that differ           | a problem                                         |
| null, or an empty text                   | not given                                         |
| `base_dir`, `log_name`                   | not used; paths are the runner's own              |
| any other name                           | a warning                                         |
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import cast

from pipelines.glacier.dates import BadWindow, Window
from pipelines.glacier.layout import Layout
from pipelines.glacier.regions import Selection, is_region_name, parse_names
from pipelines.glacier.run.fields import Fields, shortened
from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.values import (
    BUCKET,
    DATE,
    FLAG,
    PREFIX,
    SLICE,
    SWITCH,
    TEXT,
    Kind,
    choice,
    matching,
    whole,
)
from shared.s3.uri import bucket_fault

DEFAULT_BUCKET = "greenland-glacier-data"
DEFAULT_BASE_PATH = "1_download_merge_and_clip"
JOB_NAME_MAX = 128

_DATES = (("date1", "start_date"), ("date2", "end_date"))
_IGNORED = ("base_dir", "log_name")
_REGION_NAMES = ("regions", "region")
_SATELLITES = choice("sentinel2", "landsat")
_LAYOUTS = choice("old", "new")
_CORES = whole(1, 256)
_BASE_PATH_MAX = 400
"""A key has 1024 bytes at most, and needs some for the names below it."""
_JOB_NAME = matching(
    re.compile(rf"[A-Za-z0-9-][A-Za-z0-9_-]{{0,{JOB_NAME_MAX - 1}}}"),
    f"at most {JOB_NAME_MAX} letters, digits, '_' and '-', the first of them no '_'",
)
_ID = matching(re.compile(r"[A-Za-z0-9_.:/+=-]{1,256}"), "an identifier of at most 256 characters")


@dataclass(frozen=True, slots=True)
class StepFlags:
    """How the step works; Landsat's knows none of them."""

    download: bool = True
    post_processing: bool = True
    clear_downloads: bool = False
    cores: int = 1
    layout: Layout = "old"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job's results and its record lie."""

    bucket: str
    base_path: str
    satellite: SatelliteName
    job_name: str

    def key(self, relative: str) -> str:
        """Return the key of a file, by its path below the output folder."""
        return f"{self.base_path}/{self.satellite}/{relative}"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One job."""

    place: Place
    selection: Selection
    """Names or positions, never both and never neither."""
    window: Window
    flags: StepFlags = StepFlags()
    submission_id: str = ""
    """Empty where nobody gave one."""
    force_reprocess: bool = False
    allow_stale: bool = False
    dry_run: bool = False
    project_digest: str = ""
    config_sha256: str = ""

    @property
    def satellite(self) -> SatelliteName:
        """Which satellite."""
        return self.place.satellite

    @property
    def regions_text(self) -> str:
        """The names as they are written in a list, or the index."""
        return ",".join(self.selection.names) or str(self.selection.positions)

    @property
    def keeps_raw_tiles(self) -> bool:
        """Tell whether whole tiles are results, too."""
        flags = self.flags
        return self.satellite == "sentinel2" and flags.download and not flags.clear_downloads


@dataclass(frozen=True, slots=True)
class Parsed:
    """What became of an event."""

    request: RunRequest | None
    """None where there are problems."""
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    place: Place | None = None
    """Where its record lies; None where what is wrong leaves that open."""
    ignored: tuple[str, ...] = ()
    """Fields that are known and have no effect."""
    submission_id: str = ""


def parse_event(event: object) -> Parsed:
    """Check an event; everything that is wrong with it is told at once."""
    if not isinstance(event, Mapping):
        return Parsed(None, (f"the event is {shortened(event)}; allowed: an object",))
    fields = Fields(event)
    selection = _selection(fields)
    place = _place(fields, selection)
    window = _window(fields)
    flags = _flags(fields)
    submission_id = fields.default("submission_id", _ID, "")
    force, allow_stale, dry_run = (
        fields.default(name, SWITCH, default=False)
        for name in ("force_reprocess", "allow_stale", "dry_run")
    )
    project, config = (
        fields.default(name, _ID, "") for name in ("project_digest", "config_sha256")
    )
    # Who is told of a job's end is the submitter's affair.
    fields.get("email", TEXT)
    ignored = tuple(fields.given(_IGNORED))
    warnings = (*fields.warnings, *fields.unknown())
    problems = tuple(dict.fromkeys(fields.problems))
    if problems or place is None or selection is None or window is None:
        return Parsed(None, problems, warnings, place, ignored, submission_id)
    request = RunRequest(
        place,
        selection,
        window,
        flags,
        submission_id=submission_id,
        force_reprocess=force,
        allow_stale=allow_stale,
        dry_run=dry_run,
        project_digest=project,
        config_sha256=config,
    )
    return Parsed(request, (), warnings, place, ignored, submission_id)


def default_job_name(satellite: str, selection: Selection) -> str:
    """Return the name of a job that was sent without one."""
    what = "_".join(selection.names) or str(selection.positions).replace(":", "_")
    return f"lambda-{satellite}-{what}"[:JOB_NAME_MAX]


def _selection(fields: Fields) -> Selection | None:
    names = fields.one_of(_REGION_NAMES, _REGIONS)
    positions = fields.get("start_end_index", SLICE)
    if fields.is_wrong(*_REGION_NAMES, "start_end_index"):
        return None
    if names and positions:
        fields.problems.append(
            f"event has regions and the index {str(positions)!r}; give one of the two"
        )
        return None
    if not names and positions is None:
        fields.missing("regions", "region names such as '134_Arsuk', or 'start_end_index'")
        return None
    return Selection(tuple(dict.fromkeys(names or ())), positions)


def _window(fields: Fields) -> Window | None:
    days = [_day(fields, name, alias) for name, alias in _DATES]
    first, last = days
    if first is None or last is None:
        return None
    try:
        return Window(first, last)
    except BadWindow as error:
        fields.problems.append(f"event: {error}")
        return None


def _day(fields: Fields, name: str, alias: str) -> date | None:
    found = fields.one_of((name, alias), DATE)
    if found is None and not fields.is_wrong(name, alias):
        fields.missing(name, DATE.allowed)
    if fields.get(alias, DATE) is not None:
        fields.warnings.append(f"event field {alias!r} is an old name; give {name!r}")
    return found


def _flags(fields: Fields) -> StepFlags:
    return StepFlags(
        download=fields.default("download_flag", FLAG, default=True),
        post_processing=fields.default("post_processing_flag", FLAG, default=True),
        clear_downloads=fields.default("clear_downloads", FLAG, default=False),
        cores=fields.default("cores", _CORES, 1),
        layout=cast("Layout", fields.default("layout", _LAYOUTS, "old")),
    )


def _place(fields: Fields, selection: Selection | None) -> Place | None:
    """Return where the record lies; None where that cannot be told."""
    satellite = fields.get("satellite", _SATELLITES)
    if satellite is None and not fields.is_wrong("satellite"):
        fields.missing("satellite", _SATELLITES.allowed)
    bucket = fields.default("s3_bucket", _BUCKET, DEFAULT_BUCKET)
    base_path = fields.default("s3_base_path", _BASE_PATH, DEFAULT_BASE_PATH)
    job_name = fields.get("job_name", _JOB_NAME)
    if satellite is None or fields.is_wrong("s3_bucket", "s3_base_path", "job_name"):
        return None
    if job_name is None and selection is None:
        return None
    name = job_name or default_job_name(satellite, selection or Selection())
    return Place(bucket, base_path, cast("SatelliteName", satellite), name)


def _parse_regions(text: str) -> tuple[str, ...]:
    names = parse_names(text)
    if not names or not all(map(is_region_name, names)):
        raise ValueError(text)
    return names


def _parse_bucket(text: str) -> str:
    if bucket_fault(BUCKET.parse(text)):
        raise ValueError(text)
    return text


def _parse_base_path(text: str) -> str:
    if len(text) > _BASE_PATH_MAX:
        raise ValueError(text)
    return PREFIX.parse(text)


_BUCKET = Kind(_parse_bucket, BUCKET.allowed)
_BASE_PATH = Kind(_parse_base_path, f"{PREFIX.allowed}; at most {_BASE_PATH_MAX} characters")
_REGIONS = Kind(_parse_regions, "region names such as 134_Arsuk, joined by ','")
