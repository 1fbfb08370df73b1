"""The step for one region after the other: search, fetch, merge, clip, scene by scene.

Tiles are fetched ahead of the scene that is worked on. Rule: whatever happens to a scene is told as
an event, and never stops another scene or region.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

import anyio
import structlog
from anyio.to_thread import run_sync
from structlog.typing import FilteringBoundLogger

from pipelines.glacier.finished import Finished
from pipelines.glacier.layout import Sentinel2Layout
from pipelines.glacier.regions import Region
from pipelines.glacier.step.drafts import draft_of
from pipelines.glacier.step.errors import LOST, StepFailed, told
from pipelines.glacier.step.fetching import Download, Fetcher, check_url, open_fetcher
from pipelines.glacier.step.grid import Grid
from pipelines.glacier.step.rasters import is_whole
from pipelines.glacier.step.reporting import Reporter
from pipelines.glacier.step.search import Query, search_items
from pipelines.glacier.step.sentinel2.clipping import clip
from pipelines.glacier.step.sentinel2.options import Sentinel2Options
from pipelines.glacier.step.sentinel2.region_files import RegionFiles
from pipelines.glacier.step.sentinel2.scenes import (
    ASSET,
    Acquisition,
    Broken,
    Chosen,
    Tile,
    choose_files,
    choose_tiles,
    plan_acquisitions,
)
from pipelines.glacier.step_events import SceneDone, SceneStatus

log: FilteringBoundLogger = structlog.get_logger()

RESOLUTION = 10.0
"""Metres."""
_LEAST_COVERAGE = 0.5
"""A scene must cover more than this part of the region."""
_FETCHED_AHEAD = 3
"""Scenes, which may have four tiles of 200 MB each, where disks are small."""
_REMOTE = "/vsicurl/"
_READ_AT_ONCE = 4
"""Scenes that are read where they are: servers are asked no more than for downloads."""


@dataclass(frozen=True, slots=True)
class Sentinel2Run:
    """The step."""

    options: Sentinel2Options
    reporter: Reporter
    finished: Finished
    """What need not be done again, whose rasters are not here."""

    async def run(self) -> None:
        """Do all regions; what went wrong is in the reporter."""
        async with open_fetcher() as fetcher:
            for region in self.options.step.regions:
                try:
                    work = await run_sync(self._prepared, region, fetcher)
                    await work.do()
                except LOST as error:
                    self.reporter.region_failed(region.name, error)

    def _prepared(self, region: Region, fetcher: Fetcher) -> "_RegionWork":
        """Search, look at the disk, and plan; this blocks."""
        options = self.options
        try:
            grid = Grid.of(region.bounds, RESOLUTION)
        except ValueError as error:
            raise StepFailed(f"region {region.name!r}: {error}") from error
        layout = Sentinel2Layout(region.name, options.layout)
        window = options.step.window
        years = range(window.first.year, window.last.year + 1)
        files = RegionFiles(options.step.base_dir, region, layout, grid, years)
        chosen = Chosen()
        if options.download:
            query = Query(options.collection, region.bounds, window, assets=(ASSET,))
            items = search_items(options.step.stac_url, query)
            chosen = choose_tiles(items, region.tiles, window)
        on_disk: Sequence[Tile] = ()
        if options.post_processing:
            files.prepare()
            on_disk = choose_files(files.raw_files(), region.tiles)
        plan = plan_acquisitions(
            chosen.tiles, on_disk, region.tiles, latest_only=options.latest_baseline_only
        )
        for warning in plan.warnings:
            log.warning("baselines_differ", glacier_region=region.name, reason=warning)
        return _RegionWork(self, fetcher, files, plan.acquisitions, chosen.broken)


@dataclass(slots=True)
class _Turn:
    """An acquisition whose rasters are being fetched."""

    acquisition: Acquisition
    ready: anyio.Event = field(default_factory=anyio.Event)
    rasters: tuple[tuple[str, ...], ...] = ()
    """By zone, in merge order."""
    fetched: bool = False
    error: BaseException | None = None


@dataclass(slots=True)
class _RegionWork:
    """What is to be done for one region."""

    run: Sentinel2Run
    fetcher: Fetcher
    files: RegionFiles
    acquisitions: Sequence[Acquisition]
    broken: Sequence[Broken]
    failed: int = 0
    _template_lock: Lock = field(default_factory=Lock)
    _clips: anyio.CapacityLimiter = field(init=False)
    """Threads for merging alone: those that all share write what is fetched meanwhile."""

    def __post_init__(self) -> None:
        """Have as many threads as scenes are merged at a time."""
        options = self.run.options
        workers = min(options.cores, _READ_AT_ONCE) if options.reads_windows else options.cores
        self._clips = anyio.CapacityLimiter(workers)

    @property
    def region(self) -> str:
        return self.files.region.name

    async def do(self) -> None:
        """Do every acquisition, then what is left to be done for the region as a whole."""
        names = [each.id for each in self.broken] + [each.id for each in self.acquisitions]
        self.run.reporter.scenes_found(self.region, names)
        for each in self.broken:
            self._tell(SceneDone(self.region, each.id, "failed", each.reason))
        settled = await run_sync(lambda: list(map(self._settled, self.acquisitions)))
        for done in filter(None, settled):
            self._tell(done)
        todo = zip(self.acquisitions, settled, strict=True)
        await self._do_all([acquisition for acquisition, done in todo if done is None])
        options = self.run.options
        if options.post_processing:
            await run_sync(self.files.write_combined)
            if options.clear_downloads and not self.failed:
                await run_sync(self.files.clear_downloads)

    def _settled(self, acquisition: Acquisition) -> SceneDone | None:
        """Return what is known of an acquisition that need not be done."""
        known = self.run.finished.get((self.region, acquisition.id))
        if known is not None:
            return known
        if self.run.options.post_processing and self.files.has_scene(acquisition.id):
            files = self.files.results(acquisition.id)
            return SceneDone(self.region, acquisition.id, "present", files=files)
        return None

    async def _do_all(self, acquisitions: Sequence[Acquisition]) -> None:
        workers = int(self._clips.total_tokens)
        ahead = anyio.Semaphore(workers + _FETCHED_AHEAD)
        turns = [_Turn(each) for each in acquisitions]
        queue = iter(turns)
        async with anyio.create_task_group() as tasks:
            for turn in turns:
                tasks.start_soon(self._fetch, turn, ahead)
            for _ in range(workers):
                tasks.start_soon(self._finish_turns, queue, ahead)

    async def _fetch(self, turn: _Turn, ahead: anyio.Semaphore) -> None:
        # In the order of the turns: the semaphore lets through who has waited longest.
        await ahead.acquire()
        await self._have_rasters(turn, windows=self.run.options.reads_windows)
        turn.ready.set()

    async def _have_rasters(self, turn: _Turn, *, windows: bool) -> None:
        """Have the rasters on the disk, or where they can be read in parts."""
        rasters: dict[Tile, str] = {}

        async def have(tile: Tile) -> None:
            try:
                rasters[tile] = await self._raster(turn, tile, windows=windows)
            except LOST as error:
                turn.error = turn.error or error

        async with anyio.create_task_group() as tasks:
            for tile in turn.acquisition.tiles:
                tasks.start_soon(have, tile)
        if turn.error is None:
            zones = turn.acquisition.zones
            turn.rasters = tuple(tuple(rasters[tile] for tile in zone) for zone in zones)

    async def _raster(self, turn: _Turn, tile: Tile, *, windows: bool) -> str:
        path = self.files.raw_tile(tile)
        if not tile.href:
            return str(path)
        if windows and not await run_sync(is_whole, path):
            check_url(tile.href)
            return f"{_REMOTE}{tile.href}"
        turn.fetched |= await self.fetcher.fetch(Download(tile.href, path))
        return str(path)

    async def _finish_turns(self, queue: Iterator[_Turn], ahead: anyio.Semaphore) -> None:
        for turn in queue:
            # Every request of the fetch has its limits.
            await turn.ready.wait()
            done, error = await self._finished(turn)
            self._tell(done, error)
            ahead.release()

    async def _finished(self, turn: _Turn) -> tuple[SceneDone, BaseException | None]:
        """Return what becomes of an acquisition, and why it failed."""
        done = SceneDone(self.region, turn.acquisition.id, "written")
        try:
            if turn.error is not None:
                raise turn.error
            if self.run.options.post_processing:
                return await self._clipped(turn, done), None
        except LOST as error:
            return replace(done, status="failed", reason=told(error)), error
        status: SceneStatus = "written" if turn.fetched else "present"
        return replace(done, status=status, files=self._raw_files(turn.acquisition)), None

    async def _clipped(self, turn: _Turn, done: SceneDone) -> SceneDone:
        """Merge and clip an acquisition; what cannot be read in parts is fetched whole."""
        try:
            return await run_sync(self._clip, turn, done, limiter=self._clips)
        except StepFailed as error:
            if not any(name.startswith(_REMOTE) for zone in turn.rasters for name in zone):
                raise
            log.warning("windows_failed", scene=done.id, reason=told(error))
        # Downloads know more of what may go wrong on the way, and try again.
        await self._have_rasters(turn, windows=False)
        if turn.error is not None:
            raise turn.error
        return await run_sync(self._clip, turn, done, limiter=self._clips)

    def _clip(self, turn: _Turn, done: SceneDone) -> SceneDone:
        """Merge and clip an acquisition; this blocks."""
        files, acquisition = self.files, turn.acquisition
        with draft_of(files.scene(acquisition.id)) as draft:
            coverage = files.coverage(clip(turn.rasters, files.grid, draft))
            with self._template_lock:
                template = files.offer_template(draft, coverage)
            enough = coverage > _LEAST_COVERAGE
            if enough:
                # Before the raster has its name: whoever sees that has the lineage, too.
                files.write_lineage(acquisition)
            else:
                draft.unlink()
        told_files = (*template, *self._raw_files(acquisition))
        if enough:
            told_files = (*files.results(acquisition.id), *told_files)
            return replace(done, files=told_files)
        reason = f"coverage {coverage:.4f} is not above {_LEAST_COVERAGE:g}"
        return replace(done, status="skipped", reason=reason, files=told_files)

    def _raw_files(self, acquisition: Acquisition) -> tuple[str, ...]:
        """Return the raw tiles that stay."""
        if self.run.options.clear_downloads and self.run.options.post_processing:
            return ()
        return tuple(map(self.files.raw_name, acquisition.tiles))

    def _tell(self, done: SceneDone, error: BaseException | None = None) -> None:
        self.failed += done.status == "failed"
        self.run.reporter.scene_done(done, error)
