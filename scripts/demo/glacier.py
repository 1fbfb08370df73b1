"""Fourth chapter: a dozen glaciers, and a satellite that came by three times.

The catalogue, S3, Lambda and Batch are on loopback; every function and every job is a real process
that runs what the image runs. One instance goes away in the middle; one tile is an error page.
"""

import json
from collections.abc import Mapping, Sequence

import anyio
from anyio import to_thread

from scripts.demo.board import Row
from scripts.demo.checks import Check
from scripts.demo.children import Children, open_children
from scripts.demo.ended import Ended, run_to_end
from scripts.demo.glacier_board import standing
from scripts.demo.glacier_facts import Ending, find, job_of, scene_key, struck_job
from scripts.demo.glacier_land import FIRST_DAY, LAST_DAY, PASSES
from scripts.demo.glacier_picture import draw_scene
from scripts.demo.glacier_verdict import judge
from scripts.demo.glacier_world import (
    BUCKET,
    BUSY,
    STRUCK,
    GlacierWorld,
    open_glacier_world,
)
from scripts.demo.stage import Stage

TITLE = "Glacier runs"
MEANING = (
    "satellite x regions x days: a plan, one job a region on Lambda or Batch, scenes merged and "
    "clipped next to the imagery, results pulled and checked"
)
_TICK_SECONDS = 0.1
_RUN_SECONDS = 150.0
_WAITS = ("--wait", "--poll-seconds", "1")


async def run_chapter(stage: Stage) -> bool:
    """Play the chapter; returns whether every promise was kept.

    Raises:
        DemoFailed: it could not be played to its end.
    """
    stage.board.chapter(TITLE, MEANING)
    opening = open_glacier_world(stage.folder, stage.scale)
    world = await to_thread.run_sync(opening.__enter__)
    try:
        async with open_children() as children:
            story = _Story(stage, world, children)
            with stage.board.live():
                ending = await story.play()
                checks = judge(ending, await to_thread.run_sync(find, world))
            await story.show(ending, checks)
            if stage.keep:
                await story.linger()
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(opening.__exit__, None, None, None)
    return all(check.holds for check in checks)


class _Story:
    """The chapter's course."""

    def __init__(self, stage: Stage, world: GlacierWorld, children: Children) -> None:
        self._stage = stage
        self._world = world
        self._children = children
        self._names = [glacier.name for glacier in world.glaciers]
        self._struck = False

    async def play(self) -> Ending:
        """Play it from the plan to the check of what was pulled."""
        world, say = self._world, self._stage.board.say
        tiles = len(world.stac.items)
        say(
            f"{len(world.glaciers)} regions, {tiles} tiles of {len(PASSES)} passes; catalogue at "
            f"{world.stac.url}, S3 at {world.s3.url}, Lambda and Batch at {world.aws.url}"
        )
        planned, services, touched = await self._plan()
        synced = await self._run("sync", "--expected-regions", str(len(world.glaciers)))
        self._tell("sync", synced)
        say("submit --service auto --wait")
        first = await self._run("submit", "--all", "--service", "auto", *_WAITS, watched=True)
        await to_thread.run_sync(world.aws.wait)
        after_first = world.records()
        attempts = await to_thread.run_sync(struck_job, world)
        self._tell("submit", first)
        again = ",".join(filter(None, (first.line("failed: --regions "), BUSY.name)))
        say(f"submit --regions {again}: what has failed, and one that has not")
        second = await self._run("submit", "--regions", again, *_WAITS, name="again", watched=True)
        self._tell("submit", second)
        pulled = await self._run("pull", "sentinel2", "--exclude-downloads")
        self._tell("pull", pulled)
        checked = await self._run("check", "--satellite", "sentinel2")
        self._tell("check", checked)
        return Ending(
            planned=planned,
            plan_touched=touched,
            glaciers=world.glaciers,
            services=services,
            synced=synced,
            first=first,
            after_first=after_first,
            attempts=attempts,
            had_begun=self._struck,
            second=second,
            pulled=pulled,
            checked=checked,
        )

    async def show(self, ending: Ending, checks: Sequence[Check]) -> None:
        """Sum up, with a picture."""
        board, folder, world = self._stage.board, self._stage.folder, self._world
        picture = folder / f"{STRUCK.name}.png"
        raster = world.results / scene_key(STRUCK, world.scenes[STRUCK.name][0])
        if raster.exists():
            await to_thread.run_sync(draw_scene, raster, picture)
        board.summary(
            "What the submission said", [Row("", line) for line in ending.first.said[-4:]]
        )
        board.summary("Checked", [check.row() for check in checks])
        board.summary(
            "To look at",
            [
                Row("folder", str(folder)),
                Row(
                    picture.name,
                    f"{STRUCK.name}, merged from {len(STRUCK.tiles)} tiles, each a little brighter "
                    "than the one before, so that the seams show",
                ),
                Row("results/", "what was pulled: scenes, templates, lineage"),
                Row("project/", "the project folder: config.ini, aws_config.ini, the regions"),
                Row("aws/", "the functions' and the jobs' folders, each with its log"),
                Row("*.log", "what each command said"),
            ],
        )
        failed = [check.claim for check in checks if not check.holds]
        if failed:
            board.verdict(f"Not true this time: {'; '.join(failed)}.", good=False)
        else:
            board.verdict("Every region is what the satellite saw of it.", good=True)

    async def linger(self) -> None:
        """Leave the catalogue, S3 and the rest of AWS running until a person ends it."""
        environ = self._world.environ()
        variables = " ".join(f"{name}={value}" for name, value in environ.items())
        command = " ".join(self._world.command("status"))
        with self._stage.board.live():
            self._stage.board.say(f"still running; {variables} {command}")
            await self._stage.linger.wait()

    async def _plan(self) -> tuple[Ended, Mapping[str, str], Sequence[str]]:
        """Plan without credentials; returns what was said, the services, and who was asked."""
        world = self._world
        before = len(world.s3.requests()), len(world.stac.asked)
        ended = await self._run(
            "submit", "--all", "--service", "auto", "--dry-run", "--output", "json",
            name="plan", environ={},
        )  # fmt: skip
        asked = [
            name
            for name, seen, now in zip(
                ("S3", "the catalogue"),
                before,
                (len(world.s3.requests()), len(world.stac.asked)),
                strict=True,
            )
            if seen != now
        ]
        document = json.loads("\n".join(ended.said)) if ended.status == 0 else {"jobs": []}
        services = {job["region"]: job["service"] for job in document["jobs"]}
        self._stage.board.say(
            f"submit --dry-run: {len(services)} jobs from {FIRST_DAY} to {LAST_DAY}, nothing sent"
        )
        return ended, services, asked

    async def _run(
        self,
        verb: str,
        *words: str,
        name: str = "",
        environ: Mapping[str, str] | None = None,
        watched: bool = False,
    ) -> Ended:
        """Run a command of `towpath glacier` to its end."""
        log = self._stage.folder / f"{name or verb}.log"
        async with anyio.create_task_group() as tasks:
            if watched:
                tasks.start_soon(self._watch)
            ended = await run_to_end(
                self._children,
                verb,
                self._world.command(verb, *words),
                log=log,
                seconds=_RUN_SECONDS,
                environ=self._world.environ() if environ is None else environ,
            )
            tasks.cancel_scope.cancel()
        return ended

    async def _watch(self) -> None:
        """Show where things stand, and take an instance away at the right moment."""
        while True:
            keys = self._world.stored()
            self._stage.board.show(standing(self._names, keys, self._world.records()))
            if not self._struck and scene_key(STRUCK, self._world.scenes[STRUCK.name][0]) in keys:
                self._struck = True
                await to_thread.run_sync(self._strike)
            await anyio.sleep(_TICK_SECONDS)

    def _strike(self) -> None:
        job = job_of(STRUCK)
        self._stage.board.say(
            f"the Spot instance of {job} goes away, one of its scenes in s3://{BUCKET}", "bold red"
        )
        self._world.aws.jobs.reclaim(self._world.aws.jobs.ids[job])
        self._world.held.open()

    def _tell(self, verb: str, ended: Ended) -> None:
        line = ended.said[-1] if ended.said else "nothing"
        self._stage.board.say(f"{verb}: exit status {ended.status}; {line.strip()}")
