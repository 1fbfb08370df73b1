"""Where the work of a delivery is done: project, regions, workspace, and enough room.

Rule: what cannot be done as it is asked for is refused before anything is fetched, and the
workspace is gone when this returns.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio import to_thread

from pipelines.glacier.job_record import RunStatus
from pipelines.glacier.regions import BadSelection, Region, select_regions
from pipelines.glacier.run.processing import Processing, command_of
from pipelines.glacier.run.project import ProjectHere, compare, open_project
from pipelines.glacier.run.request import RunRequest
from pipelines.glacier.run.settings import RunSettings
from pipelines.glacier.run.space import needed_bytes
from pipelines.glacier.run.workspace import Workspace, make_workspace


class Refused(Exception):
    """The job cannot be done as it is asked for, or not here; nothing was run."""

    def __init__(self, status: RunStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(slots=True)
class Work:
    """One delivery's work and what is known of it."""

    processing: Processing
    warnings: list[str] = field(default_factory=list)
    project: ProjectHere | None = None
    cut_off: bool = False
    """The time was up before everything was tried."""

    @property
    def _settings(self) -> RunSettings:
        return self.processing.settings

    @property
    def _request(self) -> RunRequest:
        return self.processing.request

    async def run(self) -> None:
        """Do it all, within the limits; Refused, `shared.s3.errors`, OSError."""
        limits = self.processing.limits
        limits.arm(
            keeps_raw_tiles=self._request.keeps_raw_tiles,
            reserve_seconds=self._settings.reserve_seconds,
        )
        with limits.work as scope:
            async with self._opened() as (project, workspace):
                regions = await self._check(project)
                await self._check_space(workspace, regions)
                await self.processing.run(project, workspace, regions)
        self.cut_off = scope.cancelled_caught

    async def rehearse(self) -> None:
        """Check everything, and run nothing."""
        async with self._opened() as (project, workspace):
            await self._check(project)
            self.processing.command = command_of(self._request, self._settings, project, workspace)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[tuple[ProjectHere, Workspace]]:
        bucket = self._request.place.bucket
        async with open_project(self._settings, self.processing.store, bucket) as project:
            self.project = project
            folder = Path(self._settings.work_folder)
            workspace = await to_thread.run_sync(make_workspace, folder, self._request.satellite)
            try:
                yield project, workspace
            finally:
                with anyio.CancelScope(shield=True):
                    await to_thread.run_sync(workspace.remove)

    async def _check(self, project: ProjectHere) -> Sequence[Region]:
        """Return the regions of the job; Refused where they or the project are not those meant."""
        differing, unknown = compare(self._request, project)
        if differing and not self._request.allow_stale:
            raise Refused("failed", "stale_project: " + "; ".join(differing))
        self.warnings += [*differing, *unknown]
        try:
            selected = select_regions(await project.regions(), self._request.selection)
        except BadSelection as error:
            raise Refused("invalid", "; ".join(str(error).splitlines())) from error
        self.warnings += selected.warnings
        return selected.regions

    async def _check_space(self, workspace: Workspace, regions: Iterable[Region]) -> None:
        needed = needed_bytes(self._request, regions)
        free = await to_thread.run_sync(workspace.free_bytes)
        if free < needed:
            raise Refused(
                "failed",
                f"no space: {self._settings.work_folder!r} has {free} bytes free, the job needs "
                f"{needed}; give the function more ephemeral storage, or use --service batch",
            )
