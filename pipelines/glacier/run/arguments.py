"""The command of the processing step: the argument list that the cluster's scripts have. Pure.

The built-in step takes the same list, so a job can be given to either. Landsat's script refuses the
options that only Sentinel-2's knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.glacier.finished import FINISHED_VARIABLE
from pipelines.glacier.run.request import RunRequest
from pipelines.glacier.run.settings import StepKind
from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.step_events import EVENTS_VARIABLE

GDAL_SETTINGS: Mapping[str, str] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "AWS_REQUEST_PAYER": "requester",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif,.TIF,.tiff",
}
STEP_FOLDER = "1_download_merge_and_clip"

_MODULES: Mapping[SatelliteName, str] = {
    "sentinel2": "pipelines.glacier.step.sentinel2",
    "landsat": "pipelines.glacier.landsat",
}
_SCRIPTS: Mapping[SatelliteName, str] = {
    "sentinel2": "download_merge_clip_sentinel2.py",
    "landsat": "download_clip_landsat.py",
}


@dataclass(frozen=True, slots=True)
class StepPlaces:
    """Where the step finds and leaves things; paths as text."""

    output: str
    """Its `base_dir`, which ends in the satellite's folder."""
    events: str
    finished: str
    temporary: str
    region_file: str
    project_root: str
    own_root: str
    """The folder that holds this program's packages."""


@dataclass(frozen=True, slots=True)
class StepCommand:
    """What is run."""

    argv: tuple[str, ...]
    folder: str
    environment: Mapping[str, str]
    """In addition to the environment that there is."""


def step_arguments(request: RunRequest, *, output: str, log_name: str) -> tuple[str, ...]:
    """Return the options of the step, in the order and spelling of the scripts."""
    chosen = request.selection
    which = (
        ("--regions", ",".join(chosen.names))
        if chosen.names
        else ("--start_end_index", str(chosen.positions))
    )
    days = (
        "--date1", request.window.first.isoformat(),
        "--date2", request.window.last.isoformat(),
    )  # fmt: skip
    places = ("--base_dir", output, "--log_name", log_name)
    own = _sentinel2_arguments(request) if request.satellite == "sentinel2" else ((), ())
    return (*which, *days, *own[0], *places, *own[1])


def step_command(
    request: RunRequest, kind: StepKind, places: StepPlaces, *, python: str, log_name: str
) -> StepCommand:
    """Return the command of the built-in step or of the project's own script."""
    arguments = step_arguments(request, output=places.output, log_name=log_name)
    environment = {
        **GDAL_SETTINGS,
        EVENTS_VARIABLE: places.events,
        FINISHED_VARIABLE: places.finished,
        "GLACIER_REGION_FILE": places.region_file,
        "TMPDIR": places.temporary,
        "PYTHONUNBUFFERED": "1",
    }
    if kind == "builtin":
        argv = (python, "-m", _MODULES[request.satellite], *arguments)
        return StepCommand(argv, places.output, {**environment, "PYTHONPATH": places.own_root})
    folder = f"{places.project_root}/{STEP_FOLDER}/{request.satellite}"
    argv = (python, _SCRIPTS[request.satellite], *arguments)
    return StepCommand(argv, folder, {**environment, "PYTHONPATH": folder})


def _sentinel2_arguments(request: RunRequest) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what stands before the places, and what the scripts have no need of behind them."""
    flags = request.flags
    always = (
        "--download_flag", str(int(flags.download)),
        "--post_processing_flag", str(int(flags.post_processing)),
        "--cores", str(flags.cores),
    )  # fmt: skip
    cleared = ("--clear_downloads", "1") if flags.clear_downloads else ()
    layout = ("--folder_structure", flags.layout) if flags.layout != "old" else ()
    return always, (*cleared, *layout)
