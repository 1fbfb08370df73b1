"""What is known of a run's scenes: found, finished, stored; and what that makes of the run. Pure.

| the step                       | uploads       | the run    |
|--------------------------------|---------------|------------|
| was stopped before it ended    | any           | partial    |
| ended                          | not all tried | partial    |
| ended with another status      | any           | failed     |
| says that it failed            | any           | failed     |
| ended well                     | one failed    | failed     |
| says that there was nothing    | all well      | no_data    |
| ended well                     | all well      | success    |

A step that says nothing, a project's own, has done something if there are scenes now.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pipelines.glacier.job_record import RunStatus, SceneEntry
from pipelines.glacier.step_events import (
    Found,
    SceneDone,
    SceneStatus,
    StepEvent,
    Summary,
)

SCENES_MAX = 20_000
"""Far more than any window has; what says more is not a processing step."""
REASON_MAX = 500


@dataclass(frozen=True, slots=True)
class StepEnd:
    """How the step's process ended."""

    stopped: bool
    """At the deadline or by a signal, before it ended by itself."""
    ok: bool
    returncode: int = 0
    """As `subprocess` counts it; -1 where it was stopped."""
    reason: str = ""
    stdout: str = ""
    stderr: str = ""
    peak_memory_bytes: int = 0


@dataclass(slots=True)
class Progress:
    """The account of one delivery; events are added as they come."""

    several_regions: bool = False
    """An acquisition may be in two regions; a scene is then called `REGION/ID`."""
    found: dict[str, None] = field(default_factory=dict)
    scenes: dict[str, SceneDone] = field(default_factory=dict)
    """By name; what was written is here once it is stored."""
    summary: Summary | None = None

    def add(self, event: StepEvent) -> None:
        """Take what the step said."""
        if isinstance(event, Found):
            names = [self.name_of(event.region, scene) for scene in event.scenes]
            self.found.update(dict.fromkeys(names[: SCENES_MAX - len(self.found)]))
        elif isinstance(event, Summary):
            self.summary = event
        elif len(self.scenes) < SCENES_MAX:
            self.scenes[self.name_of(event.region, event.id)] = event

    def not_stored(self, scene: SceneDone, reason: str) -> None:
        """Note that a scene was finished and could not be stored, so that it must be done again."""
        self.add(replace(scene, status="failed", reason=f"not stored: {reason}"))

    def name_of(self, region: str, scene: str) -> str:
        """Return what the record calls a scene."""
        return f"{region}/{scene}" if self.several_regions else scene

    @property
    def pending(self) -> list[str]:
        """The scenes that were found and not reached."""
        return [scene for scene in self.found if scene not in self.scenes]

    def with_status(self, status: SceneStatus) -> list[tuple[str, str]]:
        """Return the scenes that ended so, with the reasons."""
        return [
            (name, scene.reason[:REASON_MAX])
            for name, scene in self.scenes.items()
            if scene.status == status
        ]

    def entries(self, before: Iterable[SceneEntry] = ()) -> tuple[SceneEntry, ...]:
        """Return the record's scenes; what an earlier delivery wrote stays written."""
        earlier = {entry.id: entry for entry in before if entry.status != "pending"}
        written = {name for name, entry in earlier.items() if entry.status == "written"}
        now = {
            name: SceneEntry(name, _status(name, scene, written), scene.reason[:REASON_MAX])
            for name, scene in self.scenes.items()
        }
        pending = {name: SceneEntry(name, "pending") for name in self.found}
        return tuple({**pending, **earlier, **now}.values())


def judge(
    progress: Progress, end: StepEnd | None, *, failures: Mapping[str, str], cut_off: bool
) -> RunStatus:
    """Say how the run went, as the table has it.

    `end` is None where the step did not end; `cut_off`: there was no time for all uploads.
    """
    summary = progress.summary
    if end is None or cut_off or (end.stopped and summary is None):
        return "partial"
    if failures or not (end.ok or end.stopped):
        return "failed"
    if summary is not None:
        return summary.status
    if progress.with_status("failed"):
        return "failed"
    return "success" if progress.scenes else "no_data"


def explain(progress: Progress, end: StepEnd, failures: Mapping[str, str]) -> str:
    """Say in a line why a run failed."""
    failed = progress.with_status("failed")
    scenes = f"{failed[0][0]}: {failed[0][1]}" if failed else ""
    if not (end.ok or end.stopped):
        said = f"the processing step failed: {end.reason}"
        return "; ".join(filter(None, (said, scenes)))
    if failures:
        key, reason = next(iter(failures.items()))
        return f"{len(failures)} files could not be stored; {key}: {reason}"[: 2 * REASON_MAX]
    return f"{len(failed)} scenes or regions failed; {scenes}"


def _status(name: str, scene: SceneDone, written: set[str]) -> str:
    return "written" if scene.status == "present" and name in written else scene.status
