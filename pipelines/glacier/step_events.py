"""What the processing step says while it works: one JSON object a line. Pure.

The step appends them to the file that the variable `GLACIER_EVENTS` names, each line whole, and
prints the last one, the summary, on stdout as well. Whoever runs the step uploads what they name.

| event     | when                                    | says                                   |
|-----------|-----------------------------------------|----------------------------------------|
| `found`   | a region's scenes are selected          | region, ids of all scenes to be done   |
| `scene`   | a scene is finished, in whatever way    | region, id, status, reason, files      |
| `summary` | at the end, once                        | status, counts                         |
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias, cast, get_args

EVENTS_VARIABLE = "GLACIER_EVENTS"

SceneStatus: TypeAlias = Literal["written", "present", "skipped", "failed"]
StepStatus: TypeAlias = Literal["success", "no_data", "failed"]
_SCENE_STATUSES = frozenset(get_args(SceneStatus))
_STEP_STATUSES = frozenset(get_args(StepStatus))
_COUNTS = ("found", "written", "present", "skipped", "failed")


@dataclass(frozen=True, slots=True)
class Found:
    """The scenes of a region that are to be done, in the order of their times."""

    region: str
    scenes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SceneDone:
    """One acquisition (Sentinel-2) or subset (Landsat), finished."""

    region: str
    id: str
    status: SceneStatus
    reason: str = ""
    """Why it was skipped, or what failed."""
    files: tuple[str, ...] = ()
    """What belongs to it and is complete, relative to the output folder, with `/`."""


@dataclass(frozen=True, slots=True)
class Summary:
    """How the step went, over all regions."""

    status: StepStatus
    found: int = 0
    written: int = 0
    present: int = 0
    skipped: int = 0
    failed: int = 0
    """Scenes; a region that failed as a whole counts as one."""


StepEvent: TypeAlias = Found | SceneDone | Summary
_NAMES: Mapping[type[StepEvent], str] = {Found: "found", SceneDone: "scene", Summary: "summary"}


def to_line(event: StepEvent) -> str:
    """Return the event as a line, with its end."""
    return json.dumps({"event": _NAMES[type(event)], **asdict(event)}) + "\n"


def parse_lines(lines: Iterable[str]) -> list[StepEvent]:
    """Read the events of some lines; what is none, or is cut off, is left out."""
    return [event for event in map(_parse, lines) if event is not None]


def _parse(line: str) -> StepEvent | None:
    try:
        said = json.loads(line)
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    try:
        return _read(said)
    except (KeyError, TypeError, ValueError):
        return None


def _read(said: Mapping[str, object]) -> StepEvent | None:
    match said["event"]:
        case "found":
            return Found(_text(said["region"]), _texts(said["scenes"]))
        case "scene" if said["status"] in _SCENE_STATUSES:
            status = cast("SceneStatus", said["status"])
            reason, files = _text(said.get("reason", "")), _texts(said.get("files", []))
            return SceneDone(_text(said["region"]), _text(said["id"]), status, reason, files)
        case "summary" if said["status"] in _STEP_STATUSES:
            ended = cast("StepStatus", said["status"])
            return Summary(ended, *(_count(said.get(name, 0)) for name in _COUNTS))
    return None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(value)
    return tuple(map(_text, value))


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(value)
    return value
