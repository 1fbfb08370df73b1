"""A run of one site, phase by phase, over the in-memory S3 and an account that can refuse."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import anyio

from daemons.ingester.account.functions import CallRefused, Distributions, Functions
from daemons.ingester.account.sessions import Central, RoleRefused, SiteAccount
from daemons.ingester.phases.outcome import Phase, PhaseStatus
from daemons.ingester.project.loading import ProjectSite
from daemons.ingester.project.mappings import SiteMapping
from daemons.ingester.project.sites import Podcast, Site
from daemons.ingester.run_tools import RunTools
from daemons.ingester.runs.results import SiteResult
from daemons.ingester.settings import Settings
from daemons.ingester.site_run import SiteRun
from daemons.ingester.speech.transcribe import Transcriber
from daemons.ingester.web.fetch import FetchedFeed, Web, WebLimits
from daemons.ingester.web.headers import NO_VALIDATORS, Validators
from shared.errors import UsageError
from tests.support.syncing import (
    AUDIO,
    BUCKET,
    NOON,
    SITE,
    TRANSCRIPT,
    SyncGround,
    episode,
    manifest_bytes,
    manifest_path,
)

PODCAST = Podcast(
    "hard-fork", "Hard Fork", "https://feeds.example/1", "hard-fork.xml", active=False
)
"""Inactive: no feed is asked for, and all else is done."""
ARCHIVED = episode(
    1, fileKey="2022-09-27_Pilot--1749472638931", publishedAt="2022-09-27T09:00:00.000Z"
)
SRT = b"1\n00:00:00,000 --> 00:00:01,000\nHello.\n"
ENTRIES = AUDIO.replace("audio/", "search-entries/").replace(".mp3", ".json")
IN_AWS = (Phase.PRE_SYNC, Phase.CONSISTENCY, Phase.UPLOAD, Phase.INDEXING, Phase.INVALIDATION)


@dataclass
class Account:
    """What a site's session is, as the phases see it; each opening is noted."""

    ground: SyncGround
    refusals: int = 0
    """So many openings are refused."""
    functions_there: bool = True
    caches_there: bool = True
    opened: int = 0
    invoked: list[tuple[str, bytes]] = field(default_factory=list)
    invalidated: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def site(
        self, _site_id: str, _mapping: SiteMapping, *, step: str
    ) -> AsyncIterator[SiteAccount]:
        """Open a session, or refuse."""
        assert step
        self.opened += 1
        if self.opened <= self.refusals:
            raise RoleRefused("role 'a' cannot be assumed: AccessDenied; create it")
        yield SiteAccount(self.ground.store, cast("Functions", self), cast("Distributions", self))

    async def invoke_event(self, name: str, payload: bytes) -> None:
        """Note an invocation, or say that there is no such function."""
        if not self.functions_there:
            raise CallRefused(f"function {name!r} was not found")
        self.invoked.append((name, payload))

    async def invalidate(self, distribution: str, _paths: Sequence[str], reference: str) -> str:
        """Note an invalidation."""
        assert reference
        if not self.caches_there:
            raise CallRefused(f"distribution {distribution!r} was not invalidated")
        self.invalidated.append(distribution)
        return "I1"


def feed_of(audio_url: str) -> str:
    """Return a feed of one episode."""
    return (
        "<rss><channel><item><title>Pilot</title><pubDate>Tue, 27 Sep 2022 09:00:00 GMT</pubDate>"
        f'<enclosure url="{audio_url}"/></item></channel></rss>'
    )


@dataclass
class OneFeed:
    """A web of one page."""

    text: str = ""
    limits: WebLimits = field(default_factory=lambda: WebLimits(user_agent="test/1"))

    def apart(self) -> "OneFeed":
        """Return the web of one site."""
        return self

    async def feed(self, _url: str, _validators: Validators) -> FetchedFeed:
        """Return the page."""
        assert self.text, "nobody was to be asked"
        return FetchedFeed(self.text.encode(), "utf-8", NO_VALIDATORS)


class RunGround(SyncGround):
    """A site whose runs can be looked at from inside."""

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        self.state = base / "state"
        self.account = Account(self)
        self.web = OneFeed()
        self.podcast = PODCAST

    async def run(self, *, dry_run: bool = False, **options: object) -> SiteResult:
        """Do one run of the site with these options."""
        run = self.prepared(dry_run=dry_run, **options)
        await run.run()
        return run.result

    def prepared(self, *, dry_run: bool = False, **options: object) -> SiteRun:
        """Make a run, as a new process would."""
        site = Site(SITE, "Hard Fork", "hardfork.example", self.data, "Hello.", (self.podcast,))
        mapping = SiteMapping(accountId="222222222222", bucketName=BUCKET, cloudfrontId="E2EXAMPLE")
        tools = RunTools(
            web=cast("Web", self.web),
            central=cast("Central", self.account),
            transcriptions=anyio.CapacityLimiter(1),
            transcriber_for=_no_transcriber,
            started_at=NOON,
            now=lambda: NOON,
        )
        settings = Settings.model_validate(options)
        target = ProjectSite(site, self.place, mapping)
        return SiteRun(target, settings, tools, self.state, dry_run=dry_run)

    def fill_here(self) -> None:
        """Lay an archive down that is complete but for its search entries."""
        self.file(AUDIO)
        self.file(TRANSCRIPT, SRT)
        self.file(manifest_path(), manifest_bytes([ARCHIVED]))


def _no_transcriber(_target: ProjectSite) -> Transcriber:
    raise UsageError("WHISPER_API_PROVIDER is not set; choose one")


def statuses(result: SiteResult) -> dict[Phase, PhaseStatus]:
    """Return how each phase ended."""
    return {phase: outcome.status for phase, outcome in result.outcomes.items()}
