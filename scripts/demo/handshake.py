"""Second chapter: CIDs go from PROD to EC2 and their closest detections come back.

A dispatcher and a collector on PROD, two watchers on two machines, all real processes with folders
of their own and nothing in common but the bucket. One watcher is killed while it computes, one
chunk lies where the catalogue is damaged; at the end every row is compared with the known truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio import to_thread

from scripts.demo.bell import open_bell
from scripts.demo.board import Row
from scripts.demo.children import open_children
from scripts.demo.heavens import ANSWERED, POISON, Heavens, make_heavens, place_chunks, waves
from scripts.demo.matches import Comparison, compare
from scripts.demo.sites import BUCKET, LEASE_SECONDS, RADIUS_ARCSEC, Daemons, Site
from scripts.demo.sky_picture import ChunkOnSky, draw_sky
from scripts.demo.stage import Stage, within
from scripts.demo.standing import Standing, look, open_view
from shared.handshake.board import State
from shared.handshake.layout import MANIFEST, Layout
from shared.s3.store import ObjectStore
from tests.support.strict_s3.history import MutationKind
from tests.support.strict_s3.server import StrictS3

TITLE = "Hand-shake"
MEANING = (
    "chunks of positions go PROD -> S3 -> EC2, and their closest NEOWISE detections come back "
    "EC2 -> S3 -> PROD"
)
_LAYOUT = Layout(BUCKET)
_TICK_SECONDS = 0.5
_LOOK_SECONDS = 0.02
_WORK_SECONDS = 30.0
_DONE_SECONDS = 180.0
_PICTURE = "sky.png"


async def run_chapter(stage: Stage) -> bool:
    """Play the chapter; returns whether every promise was kept.

    Raises:
        DemoFailed: it could not be played to its end.
    """
    with StrictS3([BUCKET]) as server:
        async with open_children() as children, open_bell() as bell:
            daemons = Daemons(stage.folder, children, bell, server.environment())
            stage.board.chapter(TITLE, MEANING)
            async with open_view(server.url, server.environment()) as store:
                story = _Story(stage, server, daemons, store)
                with stage.board.live():
                    ending = await story.play()
                checks = judge(ending)
                await story.show(ending, checks)
                if stage.keep:
                    await story.linger()
    return all(check.holds for check in checks)


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, and whether it was kept."""

    claim: str
    holds: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """What was seen of one run."""

    heavens: Heavens
    standing: Standing
    comparison: Comparison
    victim: str
    """The CID that the killed watcher had in hand."""
    commits: Sequence[str]
    """CIDs whose result was committed, once for each time."""
    requests: int
    left_in_work: Sequence[str]
    statuses: Sequence[int]


class _Story:
    """The chapter's course."""

    def __init__(
        self, stage: Stage, server: StrictS3, daemons: Daemons, store: ObjectStore
    ) -> None:
        self._stage = stage
        self._server = server
        self._daemons = daemons
        self._store = store
        self._prod, self._ec2_a, self._ec2_b = (
            daemons.site(name) for name in ("prod", "ec2-a", "ec2-b")
        )
        self._standing = Standing()
        self._changed = anyio.Event()

    async def play(self) -> Ending:
        """Play it from the making of the sky to the last result."""
        say = self._stage.board.say
        heavens = await to_thread.run_sync(
            make_heavens, self._stage.folder / "catalogue", self._stage.scale
        )
        sky = heavens.sky
        say(
            f"a sky of {sky.detections} detections in {sky.leaves} Parquet files, "
            f"{len(heavens.truths)} chunks of {len(next(iter(heavens.truths.values())).ids)} "
            f"positions, {sum(cid in heavens.truths for cid in ANSWERED)} answered by the archive"
        )
        say(f"an S3 at {self._server.url}, bucket {BUCKET}")
        await self._start_all(heavens)
        first, rest = waves(heavens)
        await to_thread.run_sync(place_chunks, heavens, self._prod.positions, first)
        say(f"{len(first)} chunks appear on PROD")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, len(heavens.to_compute))
            victim = await self._strike()
            await to_thread.run_sync(place_chunks, heavens, self._prod.positions, rest)
            say(f"{len(rest)} more chunks appear")
            # As its unit would: later than the lease, so that the other machine may be the heir.
            await anyio.sleep(LEASE_SECONDS)
            await self._start_watcher(self._ec2_a, heavens)
            say("the watcher on EC2 a is started again")
            await self._until_done(heavens)
            tasks.cancel_scope.cancel()
        say("every CID is collected or parked")
        statuses = [] if self._stage.keep else list((await self._daemons.stop_all()).values())
        return await to_thread.run_sync(self._ending, heavens, victim, statuses)

    async def linger(self) -> None:
        """Leave everything running until a person ends it."""
        variables = " ".join(f"{k}={v}" for k, v in self._server.environment().items())
        with self._stage.board.live():
            self._stage.board.say(f"still running; {variables} BUCKET={BUCKET} towpath status")
            await self._stage.linger.wait()
        await self._daemons.stop_all()

    async def show(self, ending: Ending, checks: Sequence[Check]) -> None:
        """Draw the picture and sum up."""
        folder, board = self._stage.folder, self._stage.board
        status = await self._daemons.ask_status()
        await to_thread.run_sync(_draw, folder / _PICTURE, ending)
        board.summary("What `towpath status` says", [Row("", line) for line in status.splitlines()])
        results = len(ending.heavens.to_compute)
        board.summary(
            "What came back",
            [
                Row("results", f"{results} tables, {ending.comparison.rows} closest detections"),
                Row("requests", f"{ending.requests} to S3, live table and status included"),
            ],
        )
        board.summary("Checked", [_shown(check) for check in checks])
        board.summary(
            "To look at",
            [
                Row("folder", str(folder)),
                Row(_PICTURE, "the sky, chunks by state, and the separations"),
                Row("prod/", "chunks, ledgers, inbox, and the central folder with the results"),
                Row("*.log", "what each daemon said, a line of JSON an event"),
            ],
        )
        failed = [check.claim for check in checks if not check.holds]
        if failed:
            board.verdict(f"Not true this time: {'; '.join(failed)}.", good=False)
        else:
            board.verdict("Every result is the known truth, each computed once.", good=True)

    async def _start_all(self, heavens: Heavens) -> None:
        await self._daemons.start("dispatcher", self._prod, "--stability", "0.5")
        await self._daemons.start("collector", self._prod)
        await self._start_watcher(self._ec2_a, heavens)
        await self._start_watcher(self._ec2_b, heavens)
        self._stage.board.say("ready: dispatcher and collector on PROD, watchers on EC2 a and b")

    async def _start_watcher(self, site: Site, heavens: Heavens) -> None:
        await self._daemons.start("watcher", site, "--catalogue", str(heavens.catalogue))

    async def _watch(self, planned: int) -> None:
        while True:
            self._daemons.check()
            self._standing = await look(self._store, _LAYOUT, planned)
            self._stage.board.show(self._standing)
            self._changed.set()
            self._changed = anyio.Event()
            await anyio.sleep(_TICK_SECONDS)

    async def _strike(self) -> str:
        """Kill a watcher that has a CID in hand."""
        say = self._stage.board.say
        with within(_WORK_SECONDS, "the watcher on EC2 a to have a CID in hand"):
            # A folder tells nobody that something was made in it, so it is looked at.
            while not (cids := [cid for cid in self._ec2_a.cids_in_work() if cid != POISON]):  # noqa: ASYNC110 - another process makes it
                await anyio.sleep(_LOOK_SECONDS)
        await self._daemons.kill("watcher", self._ec2_a)
        say(
            f"SIGKILL: the watcher on EC2 a dies with CID {cids[0]} in hand; "
            f"its lease runs out after {LEASE_SECONDS:g} s",
            "bold red",
        )
        return cids[0]

    async def _until_done(self, heavens: Heavens) -> None:
        say = self._stage.board.say
        told: set[str] = set()
        with within(_DONE_SECONDS, "every CID to be collected or parked"):
            while True:
                states = self._standing.states
                if states.get(POISON) is State.PARKED and POISON not in told:
                    told.add(POISON)
                    say(f"CID {POISON} is parked: its part of the catalogue is damaged")
                collected = all(states.get(c) is State.COLLECTED for c in heavens.to_compute)
                if collected and POISON in told:
                    return
                await self._changed.wait()

    def _ending(self, heavens: Heavens, victim: str, statuses: Sequence[int]) -> Ending:
        history = self._server.mutations()
        return Ending(
            heavens=heavens,
            standing=self._standing,
            comparison=compare(self._prod.central, heavens.truths, heavens.to_compute),
            victim=victim,
            commits=[
                found[0].cid
                for one in history
                if one.kind is MutationKind.PUT
                and (found := _LAYOUT.runout_of(one.key)) is not None
                and found[1] == MANIFEST
            ],
            requests=self._server.count(),
            left_in_work=[*self._ec2_a.cids_in_work(), *self._ec2_b.cids_in_work()],
            statuses=statuses,
        )


def judge(ending: Ending) -> Sequence[Check]:
    """Decide which promises were kept."""
    comparison, states = ending.comparison, ending.standing.states
    answered = [cid for cid in ANSWERED if cid in ending.heavens.truths]
    twice = len(ending.commits) - len(set(ending.commits))
    return [
        Check(
            f"{comparison.rows} rows equal the truth, {comparison.without_match} positions "
            "without a match have none",
            not comparison.differences and comparison.rows > 0,
            "; ".join(comparison.differences[:3]),
        ),
        Check("no CID has a second result", twice == 0, f"{twice} have" if twice else ""),
        Check(
            f"CID {ending.victim}, whose watcher was killed, came back",
            states.get(ending.victim) is State.COLLECTED,
        ),
        Check(
            f"CID {POISON} is parked with its reason, and held nobody up",
            states.get(POISON) is State.PARKED,
        ),
        Check(
            f"{len(answered)} chunks with an answer of the archive were not sent",
            all(states.get(cid) is State.ANSWERED for cid in answered),
        ),
        Check("the work folders are empty", not ending.left_in_work),
        Check("every daemon ended with status 0", not any(ending.statuses)),
    ]


def _shown(check: Check) -> Row:
    text = f"{check.claim}; {check.detail}" if check.detail else check.claim
    return Row("ok", text, "green") if check.holds else Row("FAILED", text, "bold red")


def _draw(path: Path, ending: Ending) -> None:
    chunks = [
        ChunkOnSky(
            cid,
            str(ending.standing.states.get(cid, "new")),
            truth.ra_deg.tolist(),
            truth.dec_deg.tolist(),
        )
        for cid, truth in ending.heavens.truths.items()
    ]
    draw_sky(path, chunks, ending.comparison.separations_arcsec, RADIUS_ARCSEC)
