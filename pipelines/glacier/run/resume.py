"""What is in the bucket already and need not be done again; brought into the run's empty folder.

| a scene's                                   | is                                            |
|---------------------------------------------|-----------------------------------------------|
| raster and lineage in the bucket            | finished, whoever made it                     |
| raster without lineage                      | done again: its maker was killed in between   |
| entry `skipped` in this submission          | finished: it would be looked at in vain again |
| entry `written` in this submission          | finished, also where all is to be done anew   |

With `force_reprocess`, and where raw tiles alone are wanted, only this submission's own entries
count. Landsat has no lineage; its raster is enough.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import anyio
from anyio import to_thread

from pipelines.glacier.job_record import RunEntry
from pipelines.glacier.layout import LandsatLayout, Sentinel2Layout, run_log
from pipelines.glacier.regions import Region
from pipelines.glacier.run.progress import Progress
from pipelines.glacier.run.raw_tiles import is_wanted_tile
from pipelines.glacier.run.request import RunRequest
from pipelines.glacier.run.workspace import Workspace
from pipelines.glacier.step_events import SceneDone, SceneStatus
from shared.files import contained
from shared.fswatch.stability import FileIdentity
from shared.handshake.transfer import fetch_file
from shared.s3.errors import NotFound, TooLarge
from shared.s3.pinned import identity_of
from shared.s3.store import ObjectStore
from shared.s3.uri import S3Uri

_AT_ONCE = 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,200}")
_YEAR = re.compile(r"[0-9]{4}")
_CSV_BYTES_MAX = 1 << 20
_TEMPLATE_BYTES_MAX = 1 << 30
_LOG_BYTES_MAX = 4 << 20
"""A log that is longer begins anew."""
_TILE_BYTES_MAX = 2 << 30
_KEPT: dict[str, SceneStatus] = {"written": "present", "present": "present", "skipped": "skipped"}


@dataclass(slots=True)
class Brought:
    """What a run begins with."""

    finished: dict[tuple[str, str], SceneDone] = field(default_factory=dict)
    """By region and id."""
    files: dict[str, FileIdentity] = field(default_factory=dict)
    """Local copies of objects, by path below the output folder."""
    in_bucket: set[str] = field(default_factory=set)
    """Paths of objects that were listed."""


@dataclass(slots=True)
class Resume:
    """Brings what a run of this request begins with."""

    store: ObjectStore
    request: RunRequest
    workspace: Workspace
    earlier: RunEntry | None = None
    """This submission's entry, if there is one that is not finished."""
    brought: Brought = field(default_factory=Brought)
    _wanted: dict[str, int] = field(default_factory=dict)
    """What is to be fetched, and how large it may be."""

    async def bring(self, regions: Iterable[Region], names: Progress) -> Brought:
        """List and fetch; raises `shared.s3.errors`, OSError. `names` is how scenes are called."""
        self._wanted[str(run_log(self.request.place.job_name))] = _LOG_BYTES_MAX
        slots = anyio.CapacityLimiter(_AT_ONCE)
        async with anyio.create_task_group() as tasks:
            for region in regions:
                tasks.start_soon(self._look_at, region, names, slots)
        async with anyio.create_task_group() as tasks:
            for path, limit in self._wanted.items():
                tasks.start_soon(self._fetch, path, limit, slots)
        return self.brought

    def mark(self, scenes: Iterable[SceneDone]) -> None:
        """Leave an empty file in the place of each scene: scripts that know no list look there.

        The files count as delivered, and never reach the bucket. Blocks.
        """
        for scene in scenes:
            path = contained(self.workspace.output, self._place_of(scene))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            self.brought.files[self._place_of(scene)] = identity_of(path.stat())

    def _place_of(self, scene: SceneDone) -> str:
        if self.request.satellite == "landsat":
            return str(LandsatLayout(scene.region).scene(scene.id))
        return str(Sentinel2Layout(scene.region, self.request.flags.layout).scene(scene.id))

    async def _look_at(self, region: Region, names: Progress, slots: anyio.CapacityLimiter) -> None:
        async with slots:
            if self.request.satellite == "sentinel2":
                await self._look_at_sentinel2(region)
            else:
                await self._look_at_landsat(region)
        self._take_own(region, names)

    async def _look_at_sentinel2(self, region: Region) -> None:
        flags = self.request.flags
        layout = Sentinel2Layout(region.name, flags.layout)
        if flags.post_processing:
            rasters = await self._names(layout.clipped, ".tif")
            lineages = await self._names(layout.individual_csv, ".csv")
            self.brought.in_bucket.update(str(layout.scene(name)) for name in rasters)
            if not self.request.force_reprocess:
                self._wanted[str(layout.template)] = _TEMPLATE_BYTES_MAX
                done = sorted(set(rasters) & set(lineages))
                self._finish(region, done)
                self._wanted.update((str(layout.lineage(name)), _CSV_BYTES_MAX) for name in done)
        if flags.post_processing and not flags.download:
            # Nothing is fetched from the archive then: the tiles are those of an earlier run.
            for year in await self._years(layout.downloads):
                folder = layout.downloads / year
                tiles = await self._names(folder, ".tif")
                wanted = [
                    name for name in tiles if is_wanted_tile(name, region, self.request.window)
                ]
                self._wanted.update((f"{folder}/{name}.tif", _TILE_BYTES_MAX) for name in wanted)

    async def _look_at_landsat(self, region: Region) -> None:
        layout = LandsatLayout(region.name)
        rasters = await self._names(layout.scenes, ".tif")
        self.brought.in_bucket.update(str(layout.scene(name)) for name in rasters)
        if not self.request.force_reprocess:
            self._wanted[str(layout.template)] = _TEMPLATE_BYTES_MAX
            self._finish(region, rasters)

    async def _years(self, downloads: PurePosixPath) -> list[str]:
        """Return those of the window that have a folder: it may be open at both ends."""
        key = self.request.place.key(f"{downloads}/")
        window = self.request.window
        years: list[str] = []
        async for page in self.store.pages(S3Uri(self.request.place.bucket, key), delimiter="/"):
            names = (prefix.removeprefix(key).rstrip("/") for prefix in page.prefixes)
            years += [
                name
                for name in names
                if _YEAR.fullmatch(name) and window.first.year <= int(name) <= window.last.year
            ]
        return years

    def _finish(self, region: Region, names: Iterable[str]) -> None:
        for name in names:
            self.brought.finished[region.name, name] = SceneDone(region.name, name, "present")

    def _take_own(self, region: Region, names: Progress) -> None:
        """Count what this submission has done before."""
        entries = self.earlier.scenes if self.earlier is not None else ()
        own = self.request.force_reprocess or not self.request.flags.post_processing
        for entry in entries:
            scene = entry.id.rpartition("/")[2]
            status = _KEPT.get(entry.status)
            if names.name_of(region.name, scene) == entry.id and (
                status == "skipped" or (own and status is not None)
            ):
                done = SceneDone(region.name, scene, status, entry.reason)
                self.brought.finished.setdefault((region.name, scene), done)

    async def _names(self, folder: PurePosixPath, suffix: str) -> list[str]:
        """Return the names, without their suffix, of the objects right below a folder."""
        key = self.request.place.key(f"{folder}/")
        names = []
        async for page in self.store.pages(S3Uri(self.request.place.bucket, key), delimiter="/"):
            for info in page.objects:
                name = info.uri.key.removeprefix(key)
                # An empty object is nobody's result, and a name like `..` is nobody's scene.
                if info.size and name.endswith(suffix) and _NAME.fullmatch(name):
                    names.append(name.removesuffix(suffix))
        return names

    async def _fetch(self, path: str, limit: int, slots: anyio.CapacityLimiter) -> None:
        uri = S3Uri(self.request.place.bucket, self.request.place.key(path))
        target = contained(self.workspace.output, path)
        async with slots:
            await to_thread.run_sync(lambda: target.parent.mkdir(parents=True, exist_ok=True))
            try:
                await fetch_file(self.store, uri, target, limit=limit)
            except (NotFound, TooLarge):
                return
            self.brought.files[path] = identity_of(await to_thread.run_sync(target.stat))
            self.brought.in_bucket.add(path)
