"""One cause is one error of a site, however many phases it stands in the way of."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import anyio
import pytest
from structlog.testing import capture_logs

from daemons.ingester.account.functions import Distributions, Functions
from daemons.ingester.account.sessions import Central, RoleRefused, SiteAccount
from daemons.ingester.phases.outcome import Phase, PhaseStatus
from daemons.ingester.project.loading import ProjectSite
from daemons.ingester.project.mappings import SiteMapping
from daemons.ingester.project.sites import Site
from daemons.ingester.run_tools import RunTools
from daemons.ingester.runs.results import SiteResult
from daemons.ingester.settings import Settings
from daemons.ingester.site_run import SiteRun
from daemons.ingester.speech.transcribe import Transcriber
from daemons.ingester.web.fetch import Web
from tests.support.syncing import (
    BUCKET,
    NOON,
    SITE,
    SyncGround,
    episode,
    manifest_bytes,
    manifest_path,
)

DENIED = "role 'a' cannot be assumed: AccessDenied; create it"
NO_MANIFEST = (
    "there is no manifest here, and none came from S3; going on would download and transcribe the "
    "whole archive again"
)


@dataclass
class Account:
    """The site's account: refuses with these words, one after another, then lets in."""

    ground: SyncGround
    refusals: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def site(
        self, _site_id: str, _mapping: SiteMapping, *, step: str
    ) -> AsyncIterator[SiteAccount]:
        """Open a session, or refuse."""
        assert step
        if self.refusals:
            raise RoleRefused(self.refusals.pop(0))
        nobody = cast("Functions", None), cast("Distributions", None)
        yield SiteAccount(self.ground.store, *nobody)


async def run(ground: SyncGround, *refusals: str) -> SiteResult:
    """Do one run of the site; no feed is asked for."""
    tools = RunTools(
        web=cast("Web", None),
        central=cast("Central", Account(ground, [*refusals])),
        transcriptions=anyio.CapacityLimiter(1),
        transcriber_for=_no_transcriber,
        started_at=NOON,
        now=lambda: NOON,
    )
    site = Site(SITE, "Hard Fork", "hardfork.example", ground.data, "Hello.", ())
    mapping = SiteMapping.model_validate({"accountId": "222222222222", "bucketName": BUCKET})
    settings = Settings(skip_rss_retrieval=True)
    target = ProjectSite(site, ground.place, mapping)
    made = SiteRun(target, settings, tools, ground.data.parent / "state")
    await made.run()
    return made.result


def _no_transcriber(_target: ProjectSite) -> Transcriber:
    raise AssertionError("there is nothing to transcribe")


@pytest.fixture
def ground(tmp_path: Path) -> SyncGround:
    """A site with nothing in it."""
    return SyncGround(tmp_path)


def errors(result: SiteResult) -> Sequence[tuple[str, str]]:
    """Return phase and words of each error."""
    return [(each.phase, each.message) for each in result.errors()]


@pytest.mark.asyncio
async def test_a_site_that_is_blocked_says_why_once(ground: SyncGround) -> None:
    """Of eight lines with the same words nobody reads the one that differs."""
    with capture_logs() as logged:
        result = await run(ground, DENIED)

    assert errors(result) == [
        (Phase.PRE_SYNC, DENIED),
        (Phase.CONSISTENCY, NO_MANIFEST),
    ]
    assert result.error_count == 2
    loud = [each for each in logged if each["log_level"] == "error"]
    assert [each["phase"] for each in loud] == [Phase.PRE_SYNC, Phase.CONSISTENCY]


@pytest.mark.asyncio
async def test_a_phase_that_is_blocked_keeps_its_status_and_reason(ground: SyncGround) -> None:
    """Whoever reads the JSON of one phase is not sent looking for another."""
    result = await run(ground, DENIED)

    phases = cast("dict[str, dict[str, object]]", result.to_json()["phases"])
    assert phases[Phase.UPLOAD]["status"] == PhaseStatus.BLOCKED
    assert phases[Phase.UPLOAD]["reason"] == NO_MANIFEST


@pytest.mark.asyncio
async def test_what_ends_two_phases_in_the_same_words_is_one_error(ground: SyncGround) -> None:
    """The role that phase 0 was refused is refused to phase 3 as well."""
    ground.file(manifest_path(), manifest_bytes([episode(1)]))

    result = await run(ground, DENIED, DENIED)

    assert errors(result) == [(Phase.PRE_SYNC, DENIED)]
    assert result.outcomes[Phase.CONSISTENCY].status is PhaseStatus.BLOCKED
    assert result.outcomes[Phase.UPLOAD].status is PhaseStatus.FAILED
    assert result.has_errors


@pytest.mark.asyncio
async def test_another_cause_is_another_error(ground: SyncGround) -> None:
    """By then the role may be there, and something else be wrong."""
    ground.file(manifest_path(), manifest_bytes([episode(1)]))

    result = await run(ground, DENIED, "no answer within 30 s")

    assert errors(result) == [(Phase.PRE_SYNC, DENIED), (Phase.UPLOAD, "no answer within 30 s")]


@pytest.mark.asyncio
async def test_a_manifest_that_cannot_be_read_is_one_error(ground: SyncGround) -> None:
    """Phase 0 names it; that nothing else was begun is not seven more mistakes."""
    ground.file(manifest_path(), b"{ torn")
    ground.object(manifest_path(), manifest_bytes([episode(1)]))

    result = await run(ground)

    [(phase, _)] = errors(result)
    assert phase == Phase.PRE_SYNC
    assert result.outcomes[Phase.INVALIDATION].status is PhaseStatus.BLOCKED
