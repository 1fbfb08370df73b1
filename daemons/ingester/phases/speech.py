"""Phase 2: the episodes of a site that lack a transcript get one, each at most once.

| what happens to an episode                          | then                                       |
|-----------------------------------------------------|--------------------------------------------|
| transcribed                                         | counted; its older versions are superseded |
| a transcript was there by then                      | nothing                                    |
| another worker is at it, or has taken it over       | left to that one: a warning                |
| its audio is none, recognition failed               | a problem; the next run tries again        |
| the disk is full                                    | the phase ends: nothing else would fit     |

Which episodes these are says `backlog`. Rule: the recogniser is chosen and looked at only when
there is something to transcribe, and then once; without one the phase has failed, once.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import anyio
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.ingester.archive.folders import (
    Folder,
    comparable,
    episode_path,
    transcript_path,
)
from daemons.ingester.archive.holdings import Holdings, by_identity, superseded_files
from daemons.ingester.mirror.inventory import read_holdings
from daemons.ingester.mirror.manifest_file import load_manifest
from daemons.ingester.phases.backlog import (
    Backlog,
    UnderWay,
    Waiting,
    plan_backlog,
    seconds_left,
)
from daemons.ingester.phases.outcome import Outcome
from daemons.ingester.project.sites import Site
from daemons.ingester.speech.corrections import Correction
from daemons.ingester.speech.progress import Pace, format_left
from daemons.ingester.speech.spelling import load_corrections
from daemons.ingester.speech.transcribe import (
    AlreadyThere,
    EpisodeAudio,
    Held,
    LockLost,
    Transcribed,
    Transcriber,
)
from daemons.ingester.syncing.manifests import ManifestUnreadable
from daemons.ingester.syncing.place import SitePlace
from daemons.ingester.syncing.transfer import is_full, no_step
from shared.errors import SuiteError, UsageError
from shared.files import contained

log: FilteringBoundLogger = structlog.get_logger()

PROGRESS_SECONDS = 30.0
"""How often a site says how far it is."""

_MOST_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class SpeechRules:
    """What the command says about transcribing."""

    limit: int | None = None
    """Episodes of a site that are transcribed at most. One that fails uses nothing of it up: it
    would otherwise keep the others waiting, run after run."""
    only: str = ""
    """What a key must contain."""
    avoid: Collection[str] = ()
    """Paths that S3 may have and that could not be had: nothing is made anew in their place."""
    avoid_folders: Collection[Folder] = ()
    """Folders of which it is not known what S3 has in them."""
    dry_run: bool = False
    coming: Collection[str] = ()
    """In a dry run: audio that earlier phases would bring here, each with an entry."""


@dataclass(slots=True)
class SpeechReport:
    """What phase 2 did to a site."""

    outcome: Outcome = field(default_factory=Outcome)
    transcribed: int = 0
    left_to_others: int = 0
    corrections: int = 0
    """Replacements of spelling corrections that changed something."""
    superseded: tuple[str, ...] = ()
    """Files of older versions whose newer one has its transcript."""
    orphans: tuple[str, ...] = ()
    """Audio without an entry in the manifest."""
    made: set[str] = field(default_factory=set)
    """Paths written, relative to the site; in a dry run those that would be."""
    planned: list[str] = field(default_factory=list)
    """What a dry run would do, a line each."""

    @property
    def failures(self) -> int:
        """Episodes that have no transcript because something failed."""
        return self.outcome.problems.count


@dataclass(frozen=True, slots=True)
class _Found:
    """What the disk says."""

    holdings: Holdings
    backlog: Backlog
    listed: Mapping[tuple[str, str], object]


async def transcribe_site(
    site: Site,
    place: SitePlace,
    transcriber_for: Callable[[], Transcriber],
    rules: SpeechRules = SpeechRules(),
    *,
    slots: anyio.CapacityLimiter,
    step: Callable[[str], None] = no_step,
    alive: Callable[[], None] = lambda: None,
    report: SpeechReport | None = None,
) -> SpeechReport:
    """Transcribe what waits for it, within `slots`, which all sites share.

    `transcriber_for` raises UsageError where nothing can be transcribed; it is called, in a thread,
    when there is something to do. `step` is called with a name at every point where a process may
    die. A `report` that is handed in is true at any moment, also when this is cancelled.

    Raises:
        LocalListingFailed: a folder of the site cannot be read.
    """
    report = report or SpeechReport()
    try:
        found = await to_thread.run_sync(_look, place, rules)
    except ManifestUnreadable as error:
        report.outcome.blocked = str(error)
        return report
    alive()
    with structlog.contextvars.bound_contextvars(site=site.id):
        _note(report, found.backlog)
        waiting = found.backlog.waiting
        if rules.dry_run:
            wanted = [*(each.transcript for each in waiting), *_coming(rules, found.holdings)]
            report.planned += [f"transcribe {path}" for path in wanted[: rules.limit]]
            report.made.update(wanted[: rules.limit])
        elif waiting:
            work = _Work(site, place, found, report, slots)
            await work.run(transcriber_for, rules.limit, step, alive)
    report.superseded = superseded_files(found.holdings, found.listed)
    return report


def _look(place: SitePlace, rules: SpeechRules) -> _Found:
    manifest = load_manifest(place)
    holdings = read_holdings(place.root)
    backlog = plan_backlog(
        holdings,
        manifest.episodes,
        only=rules.only,
        avoid=rules.avoid,
        avoid_folders=rules.avoid_folders,
    )
    return _Found(holdings, backlog, by_identity(manifest.episodes))


def _coming(rules: SpeechRules, holdings: Holdings) -> Iterator[str]:
    """Yield the transcripts that would be made of audio which is not here yet."""
    if Folder.TRANSCRIPTS in rules.avoid_folders:
        return
    avoided = frozenset(map(comparable, rules.avoid))
    for found in filter(None, map(episode_path, sorted(rules.coming))):
        transcript = transcript_path(found.podcast_id, found.file_key)
        is_there = holdings.has(Folder.TRANSCRIPTS, (found.podcast_id, found.file_key))
        if rules.only in found.file_key and not is_there and transcript not in avoided:
            yield transcript


def _note(report: SpeechReport, backlog: Backlog) -> None:
    """Say what is left, and why."""
    report.orphans = backlog.orphans
    for path in backlog.orphans:
        report.outcome.warnings.add(path, "audio without an entry in the manifest")
    for path in backlog.undecided:
        reason = "S3 may have its transcript, which could not be had; left for the next run"
        report.outcome.warnings.add(path, reason)
    log.info(
        "transcription_planned",
        waiting=len(backlog.waiting),
        orphans=len(backlog.orphans),
        undecided=len(backlog.undecided),
        older_versions=backlog.older,
    )


class _Work:
    """The episodes of one site on their way through one transcriber."""

    def __init__(
        self,
        site: Site,
        place: SitePlace,
        found: _Found,
        report: SpeechReport,
        slots: anyio.CapacityLimiter,
    ) -> None:
        self._site = site
        self._place = place
        self._holdings = found.holdings
        self._queue = deque(found.backlog.waiting)
        self._report = report
        self._slots = slots
        self._at_once = max(1, min(int(min(slots.total_tokens, _MOST_AT_ONCE)), len(self._queue)))
        self._under_way: dict[str, UnderWay] = {}
        self._ended = anyio.Event()

    async def run(
        self,
        transcriber_for: Callable[[], Transcriber],
        limit: int | None,
        step: Callable[[str], None],
        alive: Callable[[], None],
    ) -> None:
        """Transcribe until the queue is empty or the limit is reached."""
        try:
            transcriber = await to_thread.run_sync(transcriber_for)
            await transcriber.check()
        except UsageError as error:
            self._report.outcome.fatal = str(error)
            return
        corrections = await to_thread.run_sync(
            load_corrections, self._site.corrections, self._note_broken
        )
        most = len(self._queue) if limit is None else min(limit, len(self._queue))
        log.info("transcriptions_started", episodes=most)

        async def worker() -> None:
            while self._may_begin(most):
                async with self._slots:
                    # While it waited for a slot, others may have reached the limit or the end.
                    if self._may_begin(most):
                        await self._one(self._queue.popleft(), transcriber, corrections, step)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tell, transcriber.pace, most, alive)
            async with anyio.create_task_group() as workers:
                for _ in range(self._at_once):
                    workers.start_soon(worker)
            self._ended.set()

    def _note_broken(self, path: Path, reason: str) -> None:
        self._report.outcome.warnings.add(path.name, f"corrections that are not used: {reason}")

    def _may_begin(self, most: int) -> bool:
        if self._report.outcome.fatal:
            return False
        return bool(self._queue) and len(self._under_way) + self._report.transcribed < most

    async def _one(
        self,
        waiting: Waiting,
        transcriber: Transcriber,
        corrections: tuple[Correction, ...],
        step: Callable[[str], None],
    ) -> None:
        """Transcribe one episode; what goes wrong is noted and costs this episode alone."""
        self._under_way[waiting.audio] = UnderWay(waiting.seconds, anyio.current_time())
        try:
            step("transcription_begun")
            audio, transcript = await to_thread.run_sync(self._paths, waiting)
            podcast, key = waiting.episode.identity
            done = await transcriber.transcribe(
                EpisodeAudio(podcast, key, audio, transcript, self._site.prompt, corrections)
            )
            self._settle(waiting, done)
            step("transcription_settled")
        except LockLost as error:
            self._leave(waiting, str(error))
        except (SuiteError, OSError) as error:
            self._fail(waiting, error)
        finally:
            del self._under_way[waiting.audio]

    def _paths(self, waiting: Waiting) -> tuple[Path, Path]:
        root = self._place.root
        return contained(root, waiting.audio), contained(root, waiting.transcript)

    def _settle(self, waiting: Waiting, done: Transcribed | AlreadyThere | Held) -> None:
        if isinstance(done, Held):
            self._leave(waiting, f"another worker is at it: {done.owner}")
            return
        self._holdings.add(comparable(waiting.transcript), waiting.transcript)
        if isinstance(done, Transcribed):
            self._report.transcribed += 1
            self._report.corrections += done.corrections
            self._report.made.add(waiting.transcript)

    def _leave(self, waiting: Waiting, reason: str) -> None:
        self._report.left_to_others += 1
        self._report.outcome.warnings.add(waiting.audio, reason)

    def _fail(self, waiting: Waiting, error: Exception) -> None:
        outcome = self._report.outcome
        outcome.problems.add(waiting.audio, str(error))
        if is_full(error):
            outcome.fatal = "the disk is full; nothing else was begun"
        log.error("transcription_failed", key=waiting.episode.file_key, reason=str(error))

    async def _tell(self, pace: Pace, most: int, alive: Callable[[], None]) -> None:
        """Say how far the site is, every now and then, until it is done."""
        while True:
            with anyio.move_on_after(PROGRESS_SECONDS):
                await self._ended.wait()
                return
            alive()
            under_way = list(self._under_way.values())
            still = max(0, most - self._report.transcribed - len(under_way))
            later = [each.seconds for each in islice(self._queue, still)]
            left = seconds_left(
                pace, under_way, later, now=anyio.current_time(), at_once=self._at_once
            )
            log.info(
                "transcriptions_progressed",
                done=self._report.transcribed,
                failed=self._report.failures,
                episodes=most,
                left=format_left(left),
            )
