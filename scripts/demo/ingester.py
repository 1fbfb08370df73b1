"""Third chapter: podcasts on the web, an archive here, buckets in two accounts; one night's work.

Feeds, audio, S3, STS, Lambda and CloudFront are on loopback; the ingester is the real one, a
process a run. One run is killed while it listens; the next one finishes; the one after that has
nothing to do.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from anyio import to_thread

from daemons.ingester.archive.keys import cut_slug
from scripts.demo.board import Row
from scripts.demo.checks import Check
from scripts.demo.children import open_children
from scripts.demo.ingester_board import Tail, standing
from scripts.demo.ingester_facts import Ending, find
from scripts.demo.ingester_model import Listener, find_listener
from scripts.demo.ingester_runs import Ended, Runs
from scripts.demo.ingester_shows import (
    FAIRPLAY,
    FORK,
    LABELLED,
    LONG,
    NADD,
    NEW,
    OLD,
    SITES,
    Show,
    republished,
    shows_of,
    speak_all,
)
from scripts.demo.ingester_speech import require_tools
from scripts.demo.ingester_verdict import judge
from scripts.demo.stage import Stage
from tests.support.daemon import start_fresh
from tests.support.ingest_archive import EARLIER, archive, lay_here, lay_there
from tests.support.ingest_project import SiteSetup
from tests.support.ingest_world import IngestWorld, open_world

TITLE = "Ingester"
MEANING = (
    "three podcast sites in two AWS accounts: S3 -> here, feeds -> audio -> transcripts -> search "
    "entries -> S3 -> index, and nothing twice"
)


async def run_chapter(stage: Stage) -> bool:
    """Play the chapter; returns whether every promise was kept.

    Raises:
        NotPlayed: what it needs is not installed.
        DemoFailed: it could not be played to its end.
    """
    stage.board.chapter(TITLE, MEANING)
    how = require_tools()
    with open_world(stage.folder, start_fresh) as world:
        async with open_children() as children:
            story = _Story(stage, world, Runs(stage.folder, world, children))
            with stage.board.live():
                ending = await story.play(how)
            checks = judge(ending, await to_thread.run_sync(find, world, ending.listener))
            story.show(ending, checks)
            if stage.keep:
                await story.linger()
    return all(check.holds for check in checks)


class _Story:
    """The chapter's course."""

    def __init__(self, stage: Stage, world: IngestWorld, runs: Runs) -> None:
        self._stage = stage
        self._world = world
        self._runs = runs
        self._told = 0

    async def play(self, how: str) -> Ending:
        """Play it from the making of the audio to the run that has nothing to do."""
        say, world = self._stage.board.say, self._world
        episodes, seconds = await to_thread.run_sync(speak_all)
        say(f"{episodes} episodes, {seconds / 60:.0f} minutes, {how}; feeds at {world.web.url('')}")
        listener = await to_thread.run_sync(find_listener, self._stage.folder / "tiny-model")
        await to_thread.run_sync(self._lay_out, listener)
        say(f"S3 at {world.s3.url}; STS, Lambda and CloudFront at {world.aws.url}")
        say(
            f"{_count(OLD)} episodes of earlier days: those of {NADD.id} only in S3, those of "
            f"{FAIRPLAY.id} only here; {_count(NEW)} new ones in the feeds"
        )
        say(f"{LABELLED!r} is {listener.words}")
        before = self._all_there_is()
        planned = await self._runs.run("plan", "--dry-run")
        plan_changed = before != self._all_there_is()
        say(f"a dry run lists {self._planned(planned)} things to do, and does none of them")
        killed = await self._strike()
        finished = await self._runs.run("night", show=self._show)
        say(f"that run has ended, exit status {finished.status}; and again:")
        written, fetched, aws = world.writes(), [each.path for each in world.web.seen], world.aws
        assumed, invoked, invalidated = list(aws.assumed), list(aws.invoked), list(aws.invalidated)
        before = self._all_there_is()
        world.forget()
        idle = await self._runs.run("second", show=self._show_table)
        say(f"{idle.tail.said[0]}; nothing to do: {', '.join(_idle_sites(idle)) or 'none'}")
        return Ending(
            planned=planned,
            plan_changed=plan_changed,
            killed=killed,
            finished=finished,
            idle=idle,
            idle_wrote=[*self._calls(), *(["a file"] if before != self._all_there_is() else [])],
            written=written,
            fetched=fetched,
            assumed=assumed,
            invoked=invoked,
            invalidated=invalidated,
            listener=listener,
        )

    def show(self, ending: Ending, checks: Sequence[Check]) -> None:
        """Sum up."""
        board, folder = self._stage.board, self._stage.folder
        said = [Row("", line) for line in ending.finished.tail.said]
        board.summary("What the night's run says", said or [Row("", "nothing")])
        board.summary("Checked", [check.row() for check in checks])
        board.summary(
            "To look at",
            [
                Row("folder", str(folder)),
                Row("project/aws-local-dev/s3", "the sites' files: audio, transcripts, manifest"),
                Row("state/runs.md", "what people read of each run, newest first"),
                Row("*.log", "what each run said, a line of JSON an event, and its summary"),
            ],
        )
        failed = [check.claim for check in checks if not check.holds]
        if failed:
            board.verdict(f"Not true this time: {'; '.join(failed)}.", good=False)
        else:
            board.verdict("Everything is in step, and nothing was done twice.", good=True)

    async def linger(self) -> None:
        """Leave the web, S3 and the rest of AWS running until a person ends it."""
        birth = self._world.birth()
        kept = {name: value for name, value in birth.environ.items() if name.startswith("AWS_")}
        variables = " ".join(f"{name}={value}" for name, value in kept.items())
        with self._stage.board.live():
            self._stage.board.say(
                f"still running; {variables} {sys.executable} -m daemons.ingester "
                f"{' '.join(birth.argv)}"
            )
            await self._stage.linger.wait()

    async def _strike(self) -> Ended:
        """Kill the first run while it listens to the long episode."""
        self._stage.board.say("the first run begins")
        killed = await self._runs.run("killed", show=self._show, strike_at=_hears_the_long_one)
        heard = len(killed.tail.of("transcription_finished"))
        made = "1 transcript" if heard == 1 else f"{heard} transcripts"
        self._stage.board.say(
            f"SIGKILL: the run dies while it listens to {LONG!r}, {made} made; another begins",
            "bold red",
        )
        self._told = 0
        return killed

    def _lay_out(self, listener: Listener) -> None:
        """Set up the project, what earlier days have left, and what the double knows."""
        world = self._world
        for site in (FORK, replace(FAIRPLAY, variables=listener.variables), NADD):
            self._set_up(site)
        lay_here(world, FAIRPLAY.id, archive(world, FAIRPLAY.id, OLD[FAIRPLAY.id]), EARLIER)
        lay_there(world, NADD.id, archive(world, NADD.id, OLD[NADD.id]))

    def _set_up(self, site: SiteSetup) -> None:
        world = self._world
        world.add_site(site)
        world.publish(site.id, *OLD[site.id], *NEW[site.id])
        if site.id == FAIRPLAY.id:
            world.repeat(site.id, *republished())
        for show in shows_of(site.id):
            (world.known / f"{show.stem}.srt").write_bytes(show.transcript)

    def _show(self, tail: Tail) -> None:
        """Tell the phases that have ended, and show the table."""
        for entry in tail.seen[self._told :]:
            if entry["event"] == "phase_ended" and entry["status"] != "skipped":
                self._stage.board.say(
                    f"{entry['site']:<15} {entry['phase']:<24} {entry['status']:<8} "
                    f"{entry['duration_seconds']:.1f} s"
                )
        self._told = len(tail.seen)
        self._show_table(tail)

    def _show_table(self, tail: Tail) -> None:
        in_s3 = sum(len(self._world.s3.keys(site.bucket)) for site in SITES)
        self._stage.board.show(standing([site.id for site in SITES], tail.seen, in_s3))

    def _planned(self, planned: Ended) -> int:
        return sum("\t" in line for line in planned.tail.said)

    def _all_there_is(self) -> object:
        """Return what changes when anybody writes anything, here or in S3."""
        here = self._world.touched()
        there = {site.id: self._world.s3.objects(site.bucket) for site in SITES}
        return here, there

    def _calls(self) -> list[str]:
        """Name what was written in AWS since it was forgotten."""
        aws = self._world.aws
        return [
            *(f"{each.kind.value} {each.key}" for each in self._world.writes()),
            *(f"invoked {each.function}" for each in aws.invoked),
            *(f"invalidated {each.distribution}" for each in aws.invalidated),
        ]


def _hears_the_long_one(tail: Tail) -> bool:
    begun, over = (
        {entry["key"] for entry in tail.of(f"transcription_{name}")}
        for name in ("started", "finished")
    )
    return any(cut_slug(LONG) in key for key in begun - over)


def _count(episodes: Mapping[str, Sequence[Show]]) -> int:
    return sum(map(len, episodes.values()))


def _idle_sites(run: Ended) -> Sequence[str]:
    """Return the sites of which the summary of a run says that there was nothing to do."""
    lines = run.tail.said
    return [
        before.split()[0] for before, line in pairwise(lines) if line.strip() == "nothing to do"
    ]
