"""The step and the uploads beside it, in a workspace that begins with what is finished already.

Rule: a scene counts as written once it is stored. What is known stays here when it is cut off, so
that the record can tell how far it came.
"""

import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

import anyio
import structlog
from anyio import to_thread
from anyio.abc import TaskGroup
from structlog.typing import FilteringBoundLogger

from pipelines.glacier.finished import finished_text
from pipelines.glacier.job_record import RunEntry
from pipelines.glacier.layout import is_raw_tile, run_log
from pipelines.glacier.regions import Region
from pipelines.glacier.run.arguments import StepCommand, StepPlaces, step_command
from pipelines.glacier.run.delivery import Delivery
from pipelines.glacier.run.limits import Limits
from pipelines.glacier.run.opening import own_root
from pipelines.glacier.run.progress import Progress, StepEnd
from pipelines.glacier.run.project import ProjectHere
from pipelines.glacier.run.request import RunRequest
from pipelines.glacier.run.resume import Brought, Resume
from pipelines.glacier.run.settings import RunSettings
from pipelines.glacier.run.silent_step import ERRORS_MARK, failures_of, scenes_of
from pipelines.glacier.run.step import StepRun
from pipelines.glacier.run.workspace import Workspace
from pipelines.glacier.step_events import SceneDone, StepEvent
from shared.aws.default_keys import default_keys
from shared.files import contained
from shared.s3.store import ObjectStore

log: FilteringBoundLogger = structlog.get_logger()

_SETTLED_SECONDS = 30.0
"""A file that nobody vouches for is taken for whole once it has not changed for so long."""
_NANOSECONDS = 1_000_000_000
_ERRORS_BYTES_MAX = 1 << 20


async def _nobody() -> None:
    """Stand in for whoever wants to know of stored scenes."""


@dataclass(slots=True)
class Processing:
    """One run of the step, and what became of it so far."""

    settings: RunSettings
    store: ObjectStore
    request: RunRequest
    limits: Limits
    earlier: RunEntry | None = None
    """This submission's entry as an earlier delivery left it."""
    on_stored: Callable[[], Awaitable[None]] = _nobody
    """Called after each scene that was stored."""
    progress: Progress = field(default_factory=Progress)
    delivery: Delivery | None = None
    end: StepEnd | None = None
    command: StepCommand | None = None
    brought: Brought = field(default_factory=Brought)
    _not_stored: list[SceneDone] = field(default_factory=list)
    _has_spoken: bool = False
    _swept_at: float = 0.0

    @property
    def is_silent(self) -> bool:
        """Whether nothing but its files tells what the step did."""
        return self.settings.step == "project" and not self._has_spoken

    async def run(
        self, project: ProjectHere, workspace: Workspace, regions: Sequence[Region]
    ) -> None:
        """Process the regions; raises `shared.s3.errors`, OSError."""
        self.progress.several_regions = len(regions) > 1
        self.command = command_of(self.request, self.settings, project, workspace)
        resume = Resume(self.store, self.request, workspace, self.earlier)
        self.brought = await resume.bring(regions, self.progress)
        await to_thread.run_sync(self._prepare, resume, workspace)
        delivery = Delivery(
            self.store, self.request.place, workspace.output, frozenset(self.brought.in_bucket)
        )
        delivery.leave_alone(self.brought.files)
        self.delivery = delivery
        if self.limits.is_over:
            self.end = StepEnd(stopped=True, ok=False, returncode=-1, reason="no time was left")
            return
        keys = await default_keys(os.environ)
        async with anyio.create_task_group() as uploads:
            step = StepRun(self.command, workspace, keys)
            take = partial(self._take, delivery, uploads)
            self.end = end = await step.run(self.limits.step, take)
        await to_thread.run_sync(self._keep_words, workspace, end)
        # A script that was stopped may have left half a file under a final name.
        halves = self.is_silent and not end.ok
        await delivery.send_all(settled_before_ns=self._settled_ns() if halves else None)
        for scene in self._not_stored:
            if not any(path in delivery.failures for path in scene.files):
                self.progress.add(scene)
        if self.is_silent:
            await to_thread.run_sync(self._account, workspace, delivery, regions)

    def _prepare(self, resume: Resume, workspace: Workspace) -> None:
        scenes = self.brought.finished.values()
        workspace.finished.write_text(finished_text(scenes), encoding="utf-8")
        log_file = workspace.output / run_log(self.request.place.job_name)
        log_file.parent.mkdir(parents=True, exist_ok=True)
        if self.is_silent:
            resume.mark(scene for scene in scenes if scene.status == "present")

    def _take(self, delivery: Delivery, uploads: TaskGroup, events: Sequence[StepEvent]) -> None:
        """Take what the step has said since the last time; scenes are stored beside it."""
        self._has_spoken = self._has_spoken or bool(events)
        for event in events:
            if isinstance(event, SceneDone) and event.files:
                uploads.start_soon(self._store_scene, delivery, event)
            else:
                self.progress.add(event)
        now = anyio.current_time()
        if self.is_silent and now - self._swept_at >= _SETTLED_SECONDS:
            self._swept_at = now
            uploads.start_soon(partial(delivery.send_all, settled_before_ns=self._settled_ns()))

    async def _store_scene(self, delivery: Delivery, scene: SceneDone) -> None:
        # The raster first: with its lineage it counts as finished.
        paths = sorted(scene.files, key=lambda path: not path.endswith(".tif"))
        if reason := await delivery.send_in_order(paths):
            self._not_stored.append(scene)
            self.progress.not_stored(scene, reason)
            return
        self.progress.add(scene)
        if not self.progress.several_regions:
            await to_thread.run_sync(_remove_tiles, delivery.output, scene.files)
        await self.on_stored()

    def _settled_ns(self) -> int:
        return time.time_ns() - int(_SETTLED_SECONDS * _NANOSECONDS)

    def _keep_words(self, workspace: Workspace, end: StepEnd) -> None:
        """Put into the log what a step said that failed before it could log anything itself."""
        if end.stderr and not end.ok and self.progress.summary is None:
            path = workspace.output / run_log(self.request.place.job_name)
            try:
                with path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
                    stream.write(f"--- {end.reason}; its error output ends with:\n{end.stderr}\n")
            except OSError as error:
                # On a full disk; what is finished is to be stored all the same.
                log.warning("log_not_written", path=str(path), reason=str(error))

    def _account(self, workspace: Workspace, delivery: Delivery, regions: Sequence[Region]) -> None:
        """Tell what a silent step did by what is there now."""
        for scene in self.brought.finished.values():
            self.progress.add(scene)
        names = [region.name for region in regions]
        for scene in scenes_of(self.request, names, delivery.sent):
            self.progress.add(scene)
        for path in workspace.output.rglob(f"*{ERRORS_MARK}*"):
            with path.open("rb") as stream:
                lines = stream.read(_ERRORS_BYTES_MAX).decode("utf-8", "replace").splitlines()
            for scene in failures_of(lines):
                self.progress.add(scene)


def _remove_tiles(output: Path, files: Sequence[str]) -> None:
    """Make room: tiles are large, and once stored nobody needs them here.

    Regions of one job may share tiles; then they stay.
    """
    for path in files:
        if is_raw_tile(PurePosixPath(path)):
            contained(output, path).unlink(missing_ok=True)


def command_of(
    request: RunRequest, settings: RunSettings, project: ProjectHere, workspace: Workspace
) -> StepCommand:
    """Return what is run in a workspace."""
    places = StepPlaces(
        output=str(workspace.output),
        events=str(workspace.events),
        finished=str(workspace.finished),
        temporary=str(workspace.temporary),
        region_file=str(project.region_file),
        project_root=str(project.root),
        own_root=str(own_root()),
    )
    log_name = str(run_log(request.place.job_name))
    return step_command(request, settings.step, places, python=sys.executable, log_name=log_name)
