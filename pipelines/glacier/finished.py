"""What a processing step need not do again: scenes whose results lie in the bucket already. Pure.

A handler's folder begins empty. Whoever runs the step writes a file and names it in the variable
`GLACIER_FINISHED`; it consists of `scene` lines as in `pipelines.glacier.step_events`. The step
does not fetch, process or write a scene that is listed; it repeats the line as its own event, so
that the run's account is complete.

| status in the file | means                                                           |
|--------------------|-----------------------------------------------------------------|
| `present`          | raster and lineage are in the bucket                            |
| `skipped`          | an earlier delivery looked at it and left it out, for `reason`  |
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from pipelines.glacier.step_events import SceneDone, parse_lines, to_line

FINISHED_VARIABLE = "GLACIER_FINISHED"

Finished: TypeAlias = Mapping[tuple[str, str], SceneDone]
"""By region and id of the scene."""


def finished_text(scenes: Iterable[SceneDone]) -> str:
    """Return the file's content."""
    return "".join(map(to_line, scenes))


def parse_finished(lines: Iterable[str]) -> Finished:
    """Read the file; lines that say something else are left out."""
    return {
        (event.region, event.id): event
        for event in parse_lines(lines)
        if isinstance(event, SceneDone) and event.status in {"present", "skipped"}
    }
