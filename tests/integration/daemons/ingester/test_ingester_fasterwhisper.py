import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from daemons.ingester.speech.backend import Piece, RecognitionFailed
from daemons.ingester.speech.fasterwhisper import FasterWhisper
from daemons.ingester.speech.srt import parse_srt
from tests.support import tiny_whisper
from tests.support.speaking import NEEDS_FFMPEG, make_audio

PYTHON = os.environ.get("FASTER_WHISPER_PYTHON", sys.executable)
_LOOK = "import importlib.util as u, sys; sys.exit(u.find_spec('faster_whisper') is None)"
pytestmark = [
    NEEDS_FFMPEG,
    pytest.mark.skipif(
        subprocess.run([PYTHON, "-I", "-c", _LOOK], check=False).returncode != 0,
        reason="faster-whisper is not installed; FASTER_WHISPER_PYTHON may name who has it",
    ),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a model that hears nonsense."""
    folder = tmp_path_factory.mktemp("model")
    argv = [PYTHON, "-I", str(Path(tiny_whisper.__file__)), str(folder)]
    subprocess.run(argv, check=True, timeout=100)
    return folder


def names(folder: Path) -> list[str]:
    """Return what lies in a folder."""
    return [path.name for path in folder.iterdir()]


@pytest.mark.asyncio
async def test_the_real_library_hears_something(model: Path, tmp_path: Path) -> None:
    """Loading, features and decoding are the real ones; the words mean nothing, the times do."""
    audio = make_audio(tmp_path / "k.mp3", "sine=duration=6", "-c:a", "libmp3lame")
    recogniser = FasterWhisper(model, language="en", threads=1, python=PYTHON)
    alive: list[None] = []
    await recogniser.check()

    text = await recogniser.recognise(
        Piece(audio, "k", 0, 6000),
        prompt="Hard Fork.",
        limit_seconds=90,
        progress=lambda: alive.append(None),
    )

    parsed = parse_srt(text)
    assert parsed.cues
    assert parsed.invalid == 0
    assert alive
    assert names(tmp_path) == ["k.mp3"]


@pytest.mark.asyncio
async def test_a_model_that_cannot_be_loaded_fails_the_attempt(model: Path, tmp_path: Path) -> None:
    """With the library's own words."""
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    (broken / "model.bin").write_bytes(b"x")

    with pytest.raises(RecognitionFailed, match=r"^faster-whisper: exit status 1: .*odel"):
        await FasterWhisper(broken, python=PYTHON).recognise(
            Piece(tmp_path / "k.mp3", "k", 0, 6000),
            prompt="",
            limit_seconds=90,
            progress=lambda: None,
        )
