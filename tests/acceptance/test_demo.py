"""The demonstration as a person starts it, with less of everything."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.demonstration import LIMIT_SECONDS, PROJECT, demo_command, play
from tests.support.speaking import NEEDS_FFMPEG

pytestmark = pytest.mark.timeout(LIMIT_SECONDS + 20)


def _processes_of(folder: Path) -> list[str]:
    """Return the command lines of the processes that work in the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


def test_the_demonstration_keeps_every_promise_and_says_so(tmp_path: Path) -> None:
    """`make demo` is what people run first: it has to be true, readable, and leave nothing."""
    work = tmp_path / "work"

    done = play(work)

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "SIGKILL in the middle of a surge" in done.stdout
    assert "exit status 0" in done.stdout
    assert "FAILED" not in done.stdout
    assert "Nothing lost, nothing sent twice, nothing left behind." in done.stdout
    assert "\x1b" not in done.stdout
    assert (work / "uploader" / "state" / "status.json").is_file()
    assert _processes_of(work) == []


def test_the_hand_shake_brings_the_known_truth_back(tmp_path: Path) -> None:
    """The main job end to end: four daemons, one of them killed, every row as it must be."""
    work = tmp_path / "work"

    done = play(work, "handshake")

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "SIGKILL: the watcher on EC2 a dies" in done.stdout
    assert "CID 00666 is parked" in done.stdout
    assert "FAILED" not in done.stdout
    assert "Every result is the known truth, each computed once." in done.stdout
    assert (work / "handshake" / "sky.png").read_bytes().startswith(b"\x89PNG")
    assert _processes_of(work) == []


@NEEDS_FFMPEG
def test_three_sites_come_into_step_and_stay_so(tmp_path: Path) -> None:
    """From feeds to the index in two accounts, one run killed; the last one has nothing to do."""
    work = tmp_path / "work"

    done = play(work, "ingester")

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "SIGKILL: the run dies while it listens" in done.stdout
    assert "nothing to do: hardfork, listenfairplay, naddpod" in done.stdout
    assert "FAILED" not in done.stdout
    assert "Everything is in step, and nothing was done twice." in done.stdout
    assert (work / "ingester" / "state" / "runs.md").is_file()
    assert _processes_of(work) == []


def test_a_chapter_that_cannot_be_played_says_what_is_missing(tmp_path: Path) -> None:
    """Who asks for it by name must not take silence for success."""
    done = subprocess.run(
        demo_command(tmp_path / "work", "ingester"),
        cwd=PROJECT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1, done.stderr
    assert "The demo cannot go on: ffmpeg is not installed;" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal is Linux's")
def test_a_killed_demonstration_leaves_no_process(tmp_path: Path) -> None:
    """Nobody has to hunt for a daemon that a demonstration left."""
    work = tmp_path / "work"
    with subprocess.Popen(
        demo_command(work), cwd=PROJECT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        children = _children_once_writing(process)

        process.send_signal(signal.SIGKILL)
        process.wait(LIMIT_SECONDS)
        for child in children:
            _await_end(child)

    assert len(children) == 2


def _children_once_writing(process: "subprocess.Popen[str]") -> list[int]:
    """Wait until daemon and writer run; return a descriptor of each, good for its end."""
    assert process.stdout is not None
    assert any("the writer begins" in line for line in process.stdout)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [os.pidfd_open(int(child)) for child in children]


def _await_end(descriptor: int) -> None:
    ready, _, _ = select.select([descriptor], [], [], LIMIT_SECONDS)
    os.close(descriptor)
    assert ready, "a child outlived the demonstration"


def test_an_interrupted_demonstration_ends_what_it_started(tmp_path: Path) -> None:
    """Ctrl-C in the middle: exit status 130, nothing left running."""
    work = tmp_path / "work"
    with subprocess.Popen(
        demo_command(work), cwd=PROJECT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert any("the writer begins" in line for line in process.stdout)

        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        status = process.wait(LIMIT_SECONDS)

    assert status == 130
    assert "Interrupted; everything was stopped." in rest
    assert _processes_of(work) == []


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    """Exit status 2 and one line, as everywhere."""
    (tmp_path / "thesis.tex").touch()

    done = subprocess.run(
        demo_command(tmp_path), cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "thesis.tex").exists()
