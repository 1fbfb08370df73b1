"""The phases that need nothing of a site's account: which of them do what, and on which files."""

from pathlib import Path
from shutil import rmtree
from typing import cast

import anyio
import pytest

from daemons.ingester.archive.folders import Folder, search_entries_path, transcript_path
from daemons.ingester.commands.steps import only
from daemons.ingester.phases.outcome import Phase, PhaseStatus
from daemons.ingester.project.loading import ProjectSite
from daemons.ingester.run_tools import RunTools
from daemons.ingester.runs.results import SiteResult
from daemons.ingester.settings import Settings
from daemons.ingester.site_run import SiteRun
from daemons.ingester.syncing.place import save_counts
from daemons.ingester.web.fetch import Web
from shared.files import make_folders
from tests.support.speech_ground import PODCAST, WORDS, Listener, SpeechGround
from tests.support.syncing import NOON

DONE, WAITING = (f"2024-07-2{day}_E--1700000000000" for day in (1, 2))
TRANSCRIPT = transcript_path(PODCAST, DONE)
AUDIO_ALONE = only(Phase.AUDIO, Settings())
ENTRIES_ALONE = only(Phase.SEARCH_ENTRIES, Settings())
CORRECTING_ALONE = Settings(
    local_only=True,
    skip_rss_retrieval=True,
    skip_audio_processing=True,
    reapply_spelling_corrections=True,
)


@pytest.fixture
def ground(tmp_path: Path) -> SpeechGround:
    """A site of two episodes, one with a transcript in which something is to be corrected."""
    place = SpeechGround(tmp_path)
    place.manifest(DONE, WAITING)
    place.whole(DONE)
    place.audio(WAITING)
    place.file(TRANSCRIPT, WORDS.format("Turdice"))
    place.corrections("turdice", "turdis")
    return place


async def run(ground: SpeechGround, settings: Settings, listener: Listener) -> SiteResult:
    """Do a run of the site."""
    tools = RunTools(
        web=cast("Web", None),
        central=None,
        transcriptions=anyio.CapacityLimiter(1),
        transcriber_for=lambda _target: ground.transcriber(listener),
        started_at=NOON,
    )
    target = ProjectSite(ground.site, ground.place, None)
    work = SiteRun(target, settings, tools, ground.base / "state")
    with anyio.fail_after(20):
        await work.run()
    return work.result


@pytest.mark.asyncio
async def test_corrections_are_made_where_transcribing_is_left_out(ground: SpeechGround) -> None:
    """Who mends a name in old transcripts need not pay for new ones, and the entries follow."""
    listener = Listener()

    result = await run(ground, CORRECTING_ALONE, listener)

    assert ground.text(TRANSCRIPT) == WORDS.format("turdis")
    assert "turdis" in ground.text(search_entries_path(PODCAST, DONE))
    assert (result.corrections, result.transcribed, listener.asked) == (1, 0, [])
    assert result.outcomes[Phase.AUDIO].status is PhaseStatus.SKIPPED
    assert result.outcomes[Phase.AUDIO].skipped == "--skip-audio-processing"


@pytest.mark.asyncio
async def test_corrections_that_fail_are_no_phase_that_was_left_out(ground: SpeechGround) -> None:
    """The run has errors then, whatever else was not wanted."""
    make_folders(ground.place.work.parent)
    ground.place.work.write_text("a file where the folder should be")

    result = await run(ground, CORRECTING_ALONE, Listener())

    assert result.outcomes[Phase.AUDIO].status is PhaseStatus.PARTIAL


@pytest.mark.asyncio
async def test_another_step_alone_corrects_nothing(ground: SpeechGround) -> None:
    """The option may stand in the file that all commands read."""
    correcting = Settings(reapply_spelling_corrections=True)

    result = await run(ground, only(Phase.SEARCH_ENTRIES, correcting), Listener())

    assert (result.corrections, result.entry_files_written) == (0, 1)
    assert only(Phase.AUDIO, correcting).reapply_spelling_corrections


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("settings", "phase"),
    [(AUDIO_ALONE, Phase.AUDIO), (ENTRIES_ALONE, Phase.SEARCH_ENTRIES)],
)
async def test_a_step_on_files_that_are_gone_has_failed(
    ground: SpeechGround, settings: Settings, phase: Phase
) -> None:
    """On a drive that is not mounted there is nothing to do, and that is no success."""
    make_folders(ground.place.state)
    save_counts(ground.place, {Folder.AUDIO: 2})
    rmtree(ground.root)

    result = await run(ground, settings, Listener())

    assert result.outcomes[phase].status is PhaseStatus.FAILED
    assert "mount the drive" in result.outcomes[phase].fatal
