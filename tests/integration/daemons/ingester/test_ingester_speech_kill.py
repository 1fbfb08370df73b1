import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio import to_thread

from daemons.ingester.speech.transcribe import EpisodeAudio, Transcribed, Transcriber
from daemons.ingester.speech.whispercpp import WhisperCpp
from tests.support.commanding import wait_until_gone
from tests.support.speaking import NEEDS_FFMPEG, WhisperFolder, make_audio

pytestmark = NEEDS_FFMPEG

ROOT = Path(__file__).resolve().parents[4]
KEY = "2022-09-27_A--1749472638931"
WORKER = """\
import sys
from pathlib import Path
import anyio
from daemons.ingester.speech.transcribe import EpisodeAudio, Transcriber
from daemons.ingester.speech.whispercpp import WhisperCpp
root = Path(sys.argv[1])
worker = Transcriber(WhisperCpp(root / "w", "tiny"), work=root / "work", locks=root / "locks")
anyio.run(worker.transcribe, EpisodeAudio("p", sys.argv[2], root / "a.mp3", root / "t.srt", "P."))
"""
HANGS = """\
with open({pipe!r}, "w") as pipe: pipe.write(str(os.getpid()))
import time; time.sleep(600)
"""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a worker whose recogniser hangs."""
    make_audio(tmp_path / "a.mp3", "sine=duration=2", "-c:a", "libmp3lame")
    os.mkfifo(tmp_path / "pipe")
    folder = WhisperFolder(tmp_path / "w")
    folder.path.mkdir()
    folder.behave(HANGS.format(pipe=str(tmp_path / "pipe")))
    argv = [sys.executable, "-c", WORKER, str(tmp_path), KEY]
    with subprocess.Popen(argv, cwd=ROOT) as process:
        yield process
        process.kill()


@pytest.mark.asyncio
async def test_after_a_kill_the_next_run_ends_as_an_undisturbed_one(
    worker: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """Killed in the middle of a chunk: no transcript, nothing that runs on, no lock that stays."""
    recogniser = int(await to_thread.run_sync((tmp_path / "pipe").read_text))

    worker.send_signal(signal.SIGKILL)
    await wait_until_gone(recogniser)
    assert await to_thread.run_sync(worker.wait, 20) == -signal.SIGKILL
    assert not (tmp_path / "t.srt").exists()
    WhisperFolder(tmp_path / "w").behave()
    again = Transcriber(
        WhisperCpp(tmp_path / "w", "tiny"), work=tmp_path / "work", locks=tmp_path / "locks"
    )
    episode = EpisodeAudio("p", KEY, tmp_path / "a.mp3", tmp_path / "t.srt", "P.")
    done = await again.transcribe(episode)

    assert isinstance(done, Transcribed)
    assert (tmp_path / "t.srt").read_text() == "1\n00:00:00,500 --> 00:00:01,250\nHello.\n"
    assert not (tmp_path / "locks" / "p" / f"{KEY}.lock").exists()
