"""What a project's own scripts did, told from the files they left: they say no events. Pure.

A raster in the place of a scene is a scene. Landsat's script ends with 0 whatever happens, and
writes each failure as a line of `*_errored_downloads*`.
"""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from pipelines.glacier.layout import LandsatLayout, Sentinel2Layout
from pipelines.glacier.run.request import RunRequest
from pipelines.glacier.step_events import SceneDone

ERRORS_MARK = "_errored_downloads"
_ERROR = re.compile(r"REGION: (?P<region>[^,]*), SUBSET ID: (?P<id>[^,]*), Err: (?P<reason>.*)")
_SUFFIX = ".tif"


def scenes_of(request: RunRequest, regions: Iterable[str], paths: Iterable[str]) -> list[SceneDone]:
    """Return the scenes among some stored files."""
    folders = {str(_scenes_folder(request, region)): region for region in regions}
    found = []
    for path in map(PurePosixPath, paths):
        region = folders.get(str(path.parent))
        if region is not None and path.suffix == _SUFFIX:
            found.append(SceneDone(region, path.stem, "written"))
    return found


def failures_of(lines: Iterable[str]) -> list[SceneDone]:
    """Return the scenes that the lines of the errors' file are about."""
    return [
        SceneDone(found["region"], found["id"], "failed", found["reason"])
        for found in map(_ERROR.match, lines)
        if found is not None
    ]


def _scenes_folder(request: RunRequest, region: str) -> PurePosixPath:
    if request.satellite == "landsat":
        return LandsatLayout(region).scenes
    return Sentinel2Layout(region, request.flags.layout).clipped
