"""The command `towpath glacier check`: finished results, looked at and reported, and no decisions.

Exit statuses: 0 all is right · 1 something is not · 2 bad input, or nothing was found to check.
"""

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from pipelines.glacier.checking import flags
from pipelines.glacier.checking.expectation import RESOLUTIONS
from pipelines.glacier.checking.report import Report, render_json, render_text
from pipelines.glacier.layout import Layout
from pipelines.glacier.lines import where
from pipelines.glacier.lines.loading import Loaded, load_sources, path_of
from pipelines.glacier.project import config_keys
from pipelines.glacier.region_file import REGION_FILE, load_regions
from pipelines.glacier.regions import is_region_name
from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.step.grid import Grid
from shared.errors import UsageError

SUMMARY = "check finished results: folders, grids, pixels"

_RESULTS = "1_download_merge_and_clip"
_CLUSTER_COMMAND = "sbatch"


def main(argv: Sequence[str]) -> int:
    """Check what is asked for, print the report, and return the exit status."""
    loaded = load_sources(flags.SYNTAX, argv, Path.cwd())
    line = loaded.sources.line
    satellite = _satellite(loaded)
    folder = _folder(loaded, satellite)
    if not folder.is_dir():
        raise UsageError(f"folder {str(folder)!r} is not there; see --base-dir")
    # Rasters take a moment to import, and a mistake in the line is told without them.
    from pipelines.glacier.checking.survey import Survey, find_layout  # noqa: PLC0415 - see above

    layout = cast("Layout", line.get(flags.LAYOUT) or find_layout(folder, satellite))
    survey = Survey(folder, satellite, layout, _grids(loaded, satellite))
    regions = _named_regions(loaded) or survey.regions()
    report = Report(satellite, str(folder), layout, [survey.check(each) for each in regions])
    as_json = line.get(where.OUTPUT) == "json"
    sys.stdout.write(render_json(report) if as_json else render_text(report))
    return report.status


def _satellite(loaded: Loaded) -> SatelliteName:
    found = loaded.sources.from_config(flags.SATELLITE, config_keys.SATELLITE, "")
    if not found:
        raise UsageError("no satellite is given; see --satellite")
    return cast("SatelliteName", found)


def _folder(loaded: Loaded, satellite: SatelliteName) -> Path:
    """Return the satellite's folder: as it is given, else where config.ini has results lie."""
    given = path_of(loaded.sources.line, flags.BASE_DIR)
    if given is not None:
        return given
    # Cluster and laptop share the file, and each has its own folder in it.
    on_cluster = shutil.which(_CLUSTER_COMMAND) is not None
    key = config_keys.BASE_DIR if on_cluster else config_keys.LOCAL_BASE_DIR
    base = loaded.sources.config.values.get(key)
    if not base:
        raise UsageError(
            f"no folder is given, and config.ini has no [{key.section}] {key.name}; see --base-dir"
        )
    return Path(base) / _RESULTS / satellite


def _named_regions(loaded: Loaded) -> list[str]:
    names = list(dict.fromkeys(loaded.sources.line.get(flags.REGIONS) or ()))
    wrong = [name for name in names if not is_region_name(name)]
    if wrong:
        raise UsageError(
            "\n".join(f"--regions {name[:80]!r} is no region's name" for name in wrong)
        )
    return names


def _grids(loaded: Loaded, satellite: SatelliteName) -> Mapping[str, Grid]:
    """Return the grids of all regions, none where there is no region file."""
    path = path_of(loaded.sources.line, flags.REGION_FILE)
    if path is None:
        path = loaded.project and loaded.project / REGION_FILE
        if path is None or not path.is_file():
            return {}
    resolution = RESOLUTIONS[satellite]
    try:
        return {each.name: Grid.of(each.bounds, resolution) for each in load_regions(path)}
    except ValueError as error:
        raise UsageError(f"region file {str(path)!r}: {error}") from error
