"""The step for one region after the other: search, table, template, and scene by scene.

Rule: whatever happens to a scene is told as an event, and never stops another scene or region.

Scenes come one after the other. Rasterio keeps Python's lock while it closes a remote raster, and
GDAL one of its own while it reads another: two threads can wait for each other. Of one scene, GDAL
asks for many pieces at once by itself.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import structlog
from anyio.to_thread import run_sync
from rasterio.env import setenv
from shapely.errors import ShapelyError
from structlog.typing import FilteringBoundLogger

from pipelines.glacier.finished import Finished
from pipelines.glacier.landsat.bucket_access import gdal_path
from pipelines.glacier.landsat.clipping import read_cut, resample, write_template
from pipelines.glacier.landsat.options import COLLECTION, PAGE_SIZE, RESOLUTION, LandsatOptions
from pipelines.glacier.landsat.plan import Plan, errored_line, plan_region, reason_to_drop
from pipelines.glacier.landsat.query_table import QueryTable, read_table
from pipelines.glacier.landsat.scenes import BANDS, Choice, Item, Scene, choose_scenes
from pipelines.glacier.layout import LandsatLayout
from pipelines.glacier.regions import Region
from pipelines.glacier.step.drafts import remove_stale
from pipelines.glacier.step.errors import LOST, StepFailed, told
from pipelines.glacier.step.grid import Grid
from pipelines.glacier.step.rasters import gdal, is_whole, write_raster
from pipelines.glacier.step.reporting import Reporter
from pipelines.glacier.step.search import Query, search_items
from pipelines.glacier.step_events import SceneDone
from shared.files import make_folders, write_durably

log: FilteringBoundLogger = structlog.get_logger()

_STRANGE = (ValueError, TypeError, LookupError, ArithmeticError, RecursionError, ShapelyError)
"""What the libraries of tables raise where a catalogue sends something that nobody expects."""


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be done for one region."""

    region: Region
    grid: Grid
    plan: Plan
    reference: tuple[str, ...] = ()
    """Template and table, where they are written."""


@dataclass(frozen=True, slots=True)
class LandsatRun:
    """The step."""

    options: LandsatOptions
    reporter: Reporter
    finished: Finished
    """What need not be done again, whose rasters are not here."""
    reading: Mapping[str, str]
    """GDAL's options for the bucket."""

    async def run(self) -> None:
        """Do all regions; what went wrong is in the reporter."""
        for region in self.options.step.regions:
            try:
                work = await run_sync(self._prepare, region)
            except LOST as error:
                self.reporter.region_failed(region.name, error)
                continue
            self.reporter.scenes_found(region.name, work.plan.found)
            for done in work.plan.done:
                self.reporter.scene_done(done)
            for scene in work.plan.to_do:
                await self._do_scene(work, scene)

    async def _do_scene(self, work: _Work, scene: Scene) -> None:
        done = SceneDone(work.region.name, scene.subset_id, "written")
        try:
            reason = await run_sync(self._make, work, scene)
        except LOST as error:
            self.reporter.scene_done(replace(done, status="failed", reason=told(error)), error)
            await run_sync(self._list_error, work, scene, told(error))
        else:
            self.reporter.scene_done(
                replace(done, status="skipped", reason=reason)
                if reason
                else replace(done, files=(str(_place(work, scene)), *work.reference))
            )

    def _prepare(self, region: Region) -> _Work:
        """Search, and write what lies beside the scenes; this blocks."""
        step, limits = self.options.step, self.options.limits
        grid = _grid(region)
        layout = LandsatLayout(region.name)
        query = Query(COLLECTION, region.bounds, step.window, PAGE_SIZE, BANDS)
        items = search_items(step.stac_url, query)
        choice = choose_scenes(items)
        table = _tabulate(items, choice, region)
        folder = step.base_dir / layout.scenes
        self._remove_drafts(folder, step.base_dir / layout.template.parent)
        plan = plan_region(
            region.name,
            table.covered,
            (*choice.broken, *table.broken),
            limits,
            on_disk=[path.name for path in folder.glob("[!.]*.tif") if is_whole(path)],
            finished=self.finished,
        )
        log.info(
            "region_searched",
            glacier_region=region.name,
            items=len(items),
            of_other_sensors=choice.unused,
            covering_too_little=len(items) - choice.unused - len(plan.found),
            to_do=len(plan.to_do),
        )
        # As ever, a search that leaves nothing to be done leaves the last table as well.
        reference = self._write_reference(layout, grid, table, plan) if plan.to_do else ()
        return _Work(region, grid, plan, reference)

    def _write_reference(
        self, layout: LandsatLayout, grid: Grid, table: QueryTable, plan: Plan
    ) -> tuple[str, ...]:
        base = self.options.step.base_dir
        make_folders(base / layout.scenes)
        make_folders(base / layout.template.parent)
        write_durably(base / layout.query_results, table.to_csv(plan.to_do).encode())
        if not (base / layout.template).exists():
            write_template(base / layout.template, grid)
        return str(layout.template), str(layout.query_results)

    def _make(self, work: _Work, scene: Scene) -> str:
        """Clip a scene and write it, or return why it is not kept; this blocks."""
        with gdal():
            setenv(**self.reading)
            cut = read_cut(gdal_path(scene.href), work.grid)
        pixels = resample(cut, work.grid)
        valid = int(np.count_nonzero(pixels))
        reason = reason_to_drop(valid, work.grid, work.region.area_km2, self.options.limits)
        if not reason:
            write_raster(self.options.step.base_dir / _place(work, scene), work.grid, pixels)
        return reason

    def _list_error(self, work: _Work, scene: Scene, said: str) -> None:
        """Add a line to the list of scenes that failed, which lies beside the log."""
        path = self.options.step.log_path
        listed = path.with_name(f"{path.stem}_errored_downloads{path.suffix}")
        try:
            with listed.open("a", encoding="utf-8", errors="backslashreplace") as stream:
                stream.write(errored_line(work.region.name, scene.subset_id, said))
        except OSError as error:
            log.warning("errored_downloads_not_written", path=str(listed), error=error.strerror)

    def _remove_drafts(self, *folders: Path) -> None:
        for folder in folders:
            for path in remove_stale(folder, time.time()):
                log.info("stale_draft_removed", path=str(path))


def _grid(region: Region) -> Grid:
    try:
        return Grid.of(region.bounds, RESOLUTION)
    except ValueError as error:
        raise StepFailed(f"region {region.name!r}: {error}") from error


def _tabulate(items: Sequence[Item], choice: Choice, region: Region) -> QueryTable:
    try:
        return read_table(items, choice.scenes, region.bounds)
    except _STRANGE as error:
        said = f"{type(error).__name__}: {told(error)[:200]}"
        raise StepFailed(f"what the catalogue sent makes no table: {said}") from error


def _place(work: _Work, scene: Scene) -> PurePosixPath:
    return LandsatLayout(work.region.name).scene(scene.subset_id)
