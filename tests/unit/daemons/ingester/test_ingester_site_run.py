"""One site's phases in their order: what a failure in one of them means for the next."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import anyio
import pytest

from daemons.ingester.account.functions import CallRefused, Distributions, Functions
from daemons.ingester.account.sessions import Central, RoleRefused, SiteAccount
from daemons.ingester.archive.episode import epoch_ms
from daemons.ingester.archive.folders import INDEX_PATH
from daemons.ingester.phases.index_marker import PendingMarker, pending_marker, stale_marker
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
from shared.s3.errors import AccessDenied, ObjectError
from shared.s3.memory_buckets import Verb
from shared.s3.uri import S3Uri
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


@pytest.fixture
def ground(tmp_path: Path) -> RunGround:
    """A site with nothing in it."""
    return RunGround(tmp_path)


def statuses(result: SiteResult) -> dict[Phase, PhaseStatus]:
    """Return how each phase ended."""
    return {phase: outcome.status for phase, outcome in result.outcomes.items()}


@pytest.mark.asyncio
async def test_a_first_backlog_goes_up_is_indexed_once_and_then_nothing_more_is_done(
    ground: RunGround,
) -> None:
    """Every visitor's search depends on the trigger, every dollar on there being only one."""
    ground.fill_here()

    first = await ground.run()
    ground.requests.seen.clear()
    second = await ground.run()

    assert set(statuses(first).values()) == {PhaseStatus.OK}
    assert set(ground.objects()) == {AUDIO, TRANSCRIPT, ENTRIES, manifest_path()}
    assert ground.account.invoked == [(f"srt-indexing-{SITE}", b"{}")]
    assert ground.account.invalidated == ["E2EXAMPLE"]
    assert (ground.writes(), second.upload_total, second.has_errors) == (0, 0, False)
    assert statuses(second)[Phase.INDEXING] is PhaseStatus.SKIPPED


@pytest.mark.asyncio
async def test_a_run_opens_one_session(ground: RunGround) -> None:
    """Each one is an AssumeRole, and an account has a limit of them."""
    ground.fill_here()
    await ground.run()
    assert ground.account.opened == 1


@pytest.mark.asyncio
async def test_without_s3_and_without_a_manifest_the_site_is_blocked(ground: RunGround) -> None:
    """Going on would download and transcribe the whole archive again."""
    ground.account.refusals = 9

    result = await ground.run()

    found = statuses(result)
    assert found.pop(Phase.PRE_SYNC) is PhaseStatus.FAILED
    assert set(found.values()) == {PhaseStatus.BLOCKED}
    assert ground.account.opened == 1


@pytest.mark.asyncio
async def test_without_s3_but_with_a_manifest_the_work_here_is_done(ground: RunGround) -> None:
    """A night without AWS need not be a night without new transcripts."""
    ground.fill_here()
    ground.account.refusals = 9

    result = await ground.run()

    found = statuses(result)
    assert found[Phase.SEARCH_ENTRIES] is PhaseStatus.OK
    assert found[Phase.UPLOAD] is PhaseStatus.FAILED
    assert result.entry_files_written == 1


@pytest.mark.asyncio
async def test_the_upload_tries_again_what_the_pre_sync_could_not_reach(ground: RunGround) -> None:
    """Hours lie between the two when there is much to transcribe."""
    ground.fill_here()
    ground.account.refusals = 1

    result = await ground.run()

    assert statuses(result)[Phase.UPLOAD] is PhaseStatus.OK
    assert AUDIO in ground.objects()
    assert result.index_accepted


@pytest.mark.asyncio
@pytest.mark.parametrize("side", ["here", "in S3"])
async def test_an_unreadable_manifest_blocks_the_site(ground: RunGround, side: str) -> None:
    """It is mended by a person; anything that is written meanwhile makes that harder."""
    ground.file(manifest_path(), manifest_bytes([ARCHIVED]) if side != "here" else b"{ torn")
    ground.object(manifest_path(), manifest_bytes([ARCHIVED]) if side == "here" else b"{ torn")

    result = await ground.run()

    found = statuses(result)
    assert found[Phase.PRE_SYNC] is PhaseStatus.FAILED
    assert found[Phase.UPLOAD] is PhaseStatus.BLOCKED
    assert (ground.writes(), ground.account.invoked) == (0, [])


@pytest.mark.asyncio
async def test_a_transcript_that_s3_has_is_not_made_again_when_it_does_not_come(
    ground: RunGround,
) -> None:
    """It was paid for; the next run brings it here."""
    ground.file(AUDIO)
    ground.file(manifest_path(), manifest_bytes([ARCHIVED]))
    ground.object(TRANSCRIPT, SRT)
    ground.requests.fault = _refuse(Verb.GET, TRANSCRIPT)

    result = await ground.run()

    # Without a recogniser the phase would have failed, had there been something to transcribe.
    assert statuses(result)[Phase.AUDIO] is PhaseStatus.OK
    assert result.transcribed == 0
    assert [note.path for note in result.outcomes[Phase.PRE_SYNC].problems.named] == [TRANSCRIPT]


@pytest.mark.asyncio
@pytest.mark.parametrize("compared_before", [True, False])
async def test_without_s3_nothing_is_made_that_it_may_have(
    ground: RunGround, *, compared_before: bool
) -> None:
    """On a machine that has never seen the bucket, every transcript may be there already."""
    ground.file(AUDIO)
    ground.file(manifest_path(), manifest_bytes([ARCHIVED]))
    if compared_before:
        await ground.run(skip_audio_processing=True)
    ground.account.refusals = 9

    result = await ground.run()

    # Without a recogniser the phase fails where there is something to transcribe.
    tried = statuses(result)[Phase.AUDIO] is PhaseStatus.FAILED
    assert tried == compared_before


@pytest.mark.asyncio
async def test_what_cannot_be_transcribed_stops_nothing_else(ground: RunGround) -> None:
    """Audio that waits for a recogniser is no reason to keep the rest from visitors."""
    ground.file(AUDIO)
    ground.file(manifest_path(), manifest_bytes([ARCHIVED]))

    result = await ground.run()

    assert result.outcomes[Phase.AUDIO].fatal.startswith("WHISPER_API_PROVIDER")
    assert AUDIO in ground.objects()
    assert result.has_errors


@pytest.mark.asyncio
async def test_a_trigger_that_failed_is_made_by_the_next_run(ground: RunGround) -> None:
    """It uploads nothing, and so would have no reason of its own."""
    ground.fill_here()
    ground.account.functions_there = False
    first = await ground.run()
    ground.account.functions_there = True

    second = await ground.run()
    third = await ground.run()

    assert statuses(first)[Phase.INDEXING] is PhaseStatus.FAILED
    assert (second.upload_total, second.index_accepted) == (0, True)
    assert not third.index_triggered


@pytest.mark.asyncio
async def test_caches_that_did_not_forget_are_asked_by_the_next_run(ground: RunGround) -> None:
    """Nothing is uploaded by then, and visitors would go on reading what was replaced."""
    ground.fill_here()
    ground.account.caches_there = False
    first = await ground.run()
    ground.account.caches_there = True

    second = await ground.run()
    await ground.run()

    assert statuses(first)[Phase.INVALIDATION] is PhaseStatus.FAILED
    assert (second.upload_total, statuses(second)[Phase.INVALIDATION]) == (0, PhaseStatus.OK)
    assert ground.account.invalidated == ["E2EXAMPLE"]


@pytest.mark.asyncio
@pytest.mark.parametrize("marker_of", [pending_marker, stale_marker])
async def test_nothing_is_uploaded_before_what_follows_is_noted_as_due(
    ground: RunGround, marker_of: Callable[[Path, str], PendingMarker]
) -> None:
    """A process that dies after its first upload must leave the notes behind."""
    ground.fill_here()
    marked: list[bool] = []

    def watch(verb: Verb, _uri: S3Uri) -> None:
        if verb is Verb.PUT:
            marked.append(marker_of(ground.state, SITE).is_set())

    ground.requests.watch = watch
    await ground.run(skip_cloud_indexing=True, skip_cloudfront_invalidation=True)

    assert marked
    assert all(marked)
    assert marker_of(ground.state, SITE).is_set()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("option", "phase"),
    [
        ("skip_pre_sync", Phase.PRE_SYNC),
        ("skip_consistency_check", Phase.CONSISTENCY),
        ("skip_rss_retrieval", Phase.RSS),
        ("skip_audio_processing", Phase.AUDIO),
        ("skip_search_entries", Phase.SEARCH_ENTRIES),
        ("skip_s3_sync", Phase.UPLOAD),
        ("skip_cloud_indexing", Phase.INDEXING),
        ("skip_cloudfront_invalidation", Phase.INVALIDATION),
    ],
)
async def test_each_phase_can_be_left_out(ground: RunGround, option: str, phase: Phase) -> None:
    """Its status says that it was asked for, and it is no error."""
    ground.fill_here()

    result = await ground.run(**{option: True})

    assert result.outcomes[phase].skipped == f"--{option.replace('_', '-')}"
    assert not result.has_errors


@pytest.mark.asyncio
async def test_local_only_asks_nobody_in_aws(ground: RunGround) -> None:
    """It is for a train without a network, and for people without keys."""
    ground.fill_here()

    result = await ground.run(local_only=True)

    found = statuses(result)
    assert {phase for phase, status in found.items() if status is PhaseStatus.SKIPPED} == {*IN_AWS}
    assert (ground.account.opened, ground.requests.seen) == (0, [])
    assert result.entry_files_written == 1


@pytest.mark.asyncio
async def test_a_dry_run_plans_every_phase_and_changes_nothing(ground: RunGround) -> None:
    """Somebody moves a large archive in, and wants to know first."""
    ground.fill_here()
    before = ground.inodes()

    result = await ground.run(dry_run=True)

    assert {line.partition(" ")[0] for line in result.planned} >= {"upload", "write", "invoke"}
    assert (ground.writes(), ground.account.invoked, ground.inodes()) == (0, [], before)
    assert not pending_marker(ground.state, SITE).is_set()


@pytest.mark.asyncio
async def test_a_dry_run_follows_a_new_episode_through_all_phases(ground: RunGround) -> None:
    """Its files are on no disk yet, and yet it is transcribed, uploaded and indexed by the run."""
    ground.podcast = replace(PODCAST, active=True)
    ground.web = OneFeed(feed_of("https://cdn.example/pilot.mp3"))

    result = await ground.run(dry_run=True)

    key = f"hard-fork/2022-09-27_Pilot--{epoch_ms(NOON)}"
    paths = [f"audio/{key}.mp3", f"transcripts/{key}.srt", f"search-entries/{key}.json"]
    made = [*paths, manifest_path(), "rss/hard-fork.xml"]
    assert set(result.planned) == {
        f"add {key} 'Pilot'",
        *(
            f"{verb} {path}"
            for verb, path in zip(("download", "transcribe", "write"), paths, strict=True)
        ),
        f"write {manifest_path()}",
        "archive rss/hard-fork.xml",
        *(f"upload {path}" for path in made),
        f"invoke srt-indexing-{SITE}",
        "invalidate the caches of E2EXAMPLE",
    }
    assert ground.files() == {}


@pytest.mark.asyncio
async def test_a_dry_run_transcribes_nothing_that_s3_has(ground: RunGround) -> None:
    """A lost audio file is fetched from the web again, and its transcript is not made again."""
    ground.object(manifest_path(), manifest_bytes([ARCHIVED]))
    ground.object(TRANSCRIPT, SRT)
    ground.podcast = replace(PODCAST, active=True)
    ground.web = OneFeed(feed_of(str(ARCHIVED["originalAudioURL"])))

    result = await ground.run(dry_run=True)

    assert f"download {TRANSCRIPT}" in result.planned
    assert not [line for line in result.planned if line.startswith("transcribe ")]


@pytest.mark.asyncio
async def test_a_dry_run_judges_by_the_manifest_that_the_pre_sync_would_leave(
    ground: RunGround,
) -> None:
    """On a new machine every episode would otherwise be planned as a new one."""
    ground.object(manifest_path(), manifest_bytes([ARCHIVED]))
    ground.podcast = replace(PODCAST, active=True)
    ground.web = OneFeed(feed_of(str(ARCHIVED["originalAudioURL"])))

    result = await ground.run(dry_run=True)

    assert [line for line in result.planned if line.startswith("add ")] == []
    assert result.new_episodes == 0
    assert ground.files() == {}


@pytest.mark.asyncio
async def test_an_index_built_here_goes_up_and_the_search_is_told(
    ground: RunGround, tmp_path: Path
) -> None:
    """The order matters: told too early, the search would load the old one."""
    ground.fill_here()
    command = (_script(tmp_path, 'printf index > "$1"'), "{index}")

    result = await ground.run(index_mode="local", index_command=command)

    assert ground.held(INDEX_PATH) == b"index"
    assert ground.account.invoked == [(f"search-api-{SITE}", b'{"forceFreshDBFileDownload": true}')]
    assert not result.has_errors


@pytest.mark.asyncio
async def test_an_index_that_cannot_be_built_changes_no_index(
    ground: RunGround, tmp_path: Path
) -> None:
    """The old one still finds most; what was uploaded is indexed when the command is mended."""
    ground.fill_here()
    ground.file(INDEX_PATH, b"old")
    command = (_script(tmp_path, "exit 3"),)

    result = await ground.run(index_mode="local", index_command=command)

    assert ground.files()[INDEX_PATH] == b"old"
    assert ground.held(INDEX_PATH) is None
    assert ground.held(AUDIO) is not None
    assert statuses(result)[Phase.INDEXING] is PhaseStatus.FAILED
    assert pending_marker(ground.state, SITE).is_set()


@pytest.mark.asyncio
async def test_the_search_is_not_told_of_an_index_that_did_not_go_up(
    ground: RunGround, tmp_path: Path
) -> None:
    """It would load the old one, and nobody would ever tell it again."""
    ground.fill_here()
    command = (_script(tmp_path, 'printf index > "$1"'), "{index}")
    ground.requests.fault = _refuse(Verb.PUT, INDEX_PATH)

    result = await ground.run(index_mode="local", index_command=command)

    assert ground.account.invoked == []
    assert statuses(result)[Phase.INDEXING] is PhaseStatus.FAILED
    assert pending_marker(ground.state, SITE).is_set()


@pytest.mark.asyncio
async def test_a_cancelled_phase_is_told_as_interrupted(ground: RunGround) -> None:
    """The summary of a run that was stopped says how far it came."""
    ground.fill_here()
    run = ground.prepared()

    with anyio.CancelScope() as scope:

        def cancel(verb: Verb, _uri: S3Uri) -> None:
            if verb is Verb.PUT:
                scope.cancel()

        ground.requests.watch = cancel
        await run.run()

    assert scope.cancelled_caught
    assert list(run.result.outcomes)[-1] is Phase.UPLOAD
    assert run.result.outcomes[Phase.UPLOAD].fatal == "it was interrupted"


def _script(folder: Path, line: str) -> str:
    path = folder / "build"
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return str(path)


def _refuse(refused: Verb, key: str) -> Callable[[Verb, S3Uri], ObjectError | None]:
    def fault(verb: Verb, uri: S3Uri) -> ObjectError | None:
        return AccessDenied(uri) if verb is refused and uri.key == key else None

    return fault
