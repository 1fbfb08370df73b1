import json
import os
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from daemons.ingester.speech.backend import RecognitionFailed
from daemons.ingester.speech.whispercpp import WhisperCpp
from tests.support.commanding import wait_until_gone
from tests.support.speaking import WhisperFolder, piece

PROMPT = ' It\'s "Hard Fork"; $(touch gone)\n--no-gpu '
FAMILY = """\
if os.fork() == 0:
    os.setsid()
    with open({pipe!r}, "w") as pipe: pipe.write(f"{{os.getppid()}} {{os.getpid()}}")
    import time; time.sleep(600)
os.wait()
"""


@pytest.fixture
def whisper(tmp_path: Path) -> WhisperFolder:
    """Make a whisper.cpp that works."""
    folder = WhisperFolder(tmp_path / "whisper.cpp")
    folder.path.mkdir()
    folder.behave()
    return folder


async def recognise(whisper: WhisperFolder, folder: Path, limit_seconds: float = 60) -> str:
    """Have one piece recognised."""
    return await WhisperCpp(whisper.path, "tiny").recognise(
        piece(folder), prompt=PROMPT, limit_seconds=limit_seconds, progress=lambda: None
    )


def names(folder: Path) -> list[str]:
    """Return what lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.asyncio
async def test_the_program_is_called_as_the_contract_says(
    whisper: WhisperFolder, tmp_path: Path
) -> None:
    """Exactly these words, no shell, in its own folder; the result is read and removed."""
    await WhisperCpp(whisper.path, "tiny").check()

    text = await recognise(whisper, tmp_path)

    assert text == "1\r\n00:00:00,500 --> 00:00:01,250\r\n Hello.\r\n"
    assert json.loads((whisper.path / "seen.json").read_text()) == [
        *("-m", str(whisper.path / "models/ggml-tiny.bin")),
        *("-f", str(tmp_path / "k.mp3.part1.mp3"), "--output-srt"),
        *("-of", str(tmp_path / "k.mp3.part1"), "--prompt", PROMPT),
    ]
    assert not (whisper.path / "gone").exists()
    assert names(tmp_path) == ["k.mp3.part1.mp3", "whisper.cpp"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (
            "print('loading'); sys.exit('failed to open audio')",
            r"^whisper\.cpp: exit status 1: loading \| failed to open audio$",
        ),
        ("os.abort()", "killed by SIGABRT"),
        ("pass", r"'k\.mp3\.part1\.srt' was not written"),
    ],
)
async def test_a_failure_says_what_the_program_said(
    whisper: WhisperFolder, tmp_path: Path, behaviour: str, message: str
) -> None:
    """Out of memory, a broken model, a full disk: the person must see which."""
    whisper.behave(behaviour)

    with pytest.raises(RecognitionFailed, match=message):
        await recognise(whisper, tmp_path)


@pytest.mark.asyncio
async def test_a_half_result_of_a_failed_program_is_not_taken(
    whisper: WhisperFolder, tmp_path: Path
) -> None:
    """Nor does it lie there for the next attempt."""
    whisper.behave("open(output + '.srt', 'w').write('1'); sys.exit(1)")
    with pytest.raises(RecognitionFailed, match="exit status 1"):
        await recognise(whisper, tmp_path)

    assert names(tmp_path) == ["k.mp3.part1.mp3", "whisper.cpp"]


@pytest.mark.asyncio
async def test_at_its_limit_the_whole_family_is_ended(
    whisper: WhisperFolder, tmp_path: Path
) -> None:
    """A program that hangs would hold the machine's cores through the night."""
    pipe = tmp_path / "pids"
    os.mkfifo(pipe)
    whisper.behave(FAMILY.format(pipe=str(pipe)))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:

            async def run() -> None:
                with pytest.raises(RecognitionFailed, match="time limit of 1 s reached"):
                    await recognise(whisper, tmp_path, limit_seconds=1)

            tasks.start_soon(run)
            pids = (await to_thread.run_sync(pipe.read_text)).split()

    for pid in pids:
        await wait_until_gone(int(pid))


@pytest.mark.asyncio
async def test_cancelled_it_leaves_nothing_running(whisper: WhisperFolder, tmp_path: Path) -> None:
    """Ctrl-C ends the run with its children."""
    pipe = tmp_path / "pids"
    os.mkfifo(pipe)
    whisper.behave(FAMILY.format(pipe=str(pipe)))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(recognise, whisper, tmp_path)
            pids = (await to_thread.run_sync(pipe.read_text)).split()
            tasks.cancel_scope.cancel()

    for pid in pids:
        await wait_until_gone(int(pid))


@pytest.mark.asyncio
async def test_no_secret_reaches_the_program(
    whisper: WhisperFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is somebody else's code, and needs no keys."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    whisper.behave(
        "secrets = [name for name, value in os.environ.items() if value == 'secret']\n"
        "open(output + '.srt', 'w').write(' '.join(secrets))"
    )

    assert await recognise(whisper, tmp_path) == ""
