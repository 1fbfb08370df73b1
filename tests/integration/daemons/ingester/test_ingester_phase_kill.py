import subprocess
import sys
from pathlib import Path

import anyio

from daemons.ingester.archive.folders import transcript_path
from tests.support.speech_ground import PODCAST, WORDS, SpeechGround
from tests.support.speech_kill import HEARD, REACHED, run_phases

ROOT = Path(__file__).resolve().parents[4]
KEY = "2024-07-21_E--1700000000000"
DONE = "2024-07-20_D--1700000000000"
GROUNDS = 10
"""More than there are steps."""


def lay_out(base: Path) -> SpeechGround:
    """A site with an episode to transcribe and one whose transcript is to be corrected."""
    base.mkdir()
    ground = SpeechGround(base)
    ground.audio(KEY, DONE)
    ground.file(transcript_path(PODCAST, DONE), WORDS.format("a turdice"))
    ground.corrections("turdice", "turdis")
    ground.manifest(KEY, DONE)
    return ground


def test_killed_at_any_step_the_next_run_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    """Nothing is transcribed twice, and no file is ever anything but its old or its new self."""
    undisturbed = lay_out(tmp_path / "undisturbed")
    initial = undisturbed.files()
    anyio.run(run_phases, undisturbed)
    grounds = [lay_out(tmp_path / f"{number}") for number in range(GROUNDS)]

    subprocess.run(
        [sys.executable, "-m", "tests.support.speech_kill", *(str(each.base) for each in grounds)],
        cwd=ROOT,
        check=True,
        timeout=120,
        capture_output=True,
    )

    reached = [each.base / REACHED for each in grounds]
    steps = [path.read_text() for path in reached if path.exists()]
    assert set(steps) == {
        *("transcription_begun", "transcription_settled"),
        *("correction_begun", "transcript_corrected"),
        *("file_written", "search_entries_written"),
    }
    assert not reached[-1].exists(), "there are more steps than grounds"
    for ground, step in zip(grounds, steps, strict=False):
        before = ground.files()
        anyio.run(run_phases, ground)
        assert ground.files() == undisturbed.files(), step
        assert (ground.base / HEARD).read_text().split() == [KEY], step
        for path, body in before.items():
            assert body in (initial.get(path), undisturbed.files()[path]), (step, path)
