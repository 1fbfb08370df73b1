import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from shared import background
from shared.background import (
    DiedAtOnce,
    Started,
    Stopped,
    hold_pid_file,
    running_pid,
    start_in_background,
    stop_background,
)
from shared.errors import AlreadyRunning, UsageError

DAEMON = """
import os, signal, sys
from pathlib import Path
from shared.background import hold_pid_file
from shared.systemd import Notifier
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
print("working", flush=True)
with hold_pid_file(Path(sys.argv[1])):
    if sys.argv[2] != "silent":
        Notifier(os.environ).ready()
    while sys.argv[2] == "deaf":
        signal.pause()
    signal.sigwait({signal.SIGTERM})
"""


@dataclass
class Place:
    """Where a daemon keeps its files, and the daemons that were started there."""

    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def pid_file(self) -> Path:
        """The PID file."""
        return self.folder / "run" / "carrier.pid"

    @property
    def log_file(self) -> Path:
        """The log."""
        return self.folder / "log" / "carrier.log"

    def start(self, manner: str = "obedient", wait_seconds: float = 20) -> Started:
        """Start the daemon."""
        return self.start_code(DAEMON, manner, wait_seconds)

    def start_code(self, code: str, manner: str = "", wait_seconds: float = 20) -> Started:
        """Start any program."""
        started = start_in_background(
            [sys.executable, "-c", code, str(self.pid_file), manner],
            log_file=self.log_file,
            pid_file=self.pid_file,
            environ=os.environ,
            wait_seconds=wait_seconds,
        )
        self.processes.append(started.process)
        return started


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Leave no process behind."""
    made = Place(tmp_path)
    yield made
    for process in made.processes:
        process.kill()
        process.wait(10)


def test_a_daemon_starts_once_and_stops(place: Place) -> None:
    """Start, second start refused, stop, stop again: what people do all day."""
    started = place.start()

    assert started.ready
    assert place.pid_file.read_text() == f"{started.pid}\n"
    assert os.getsid(started.pid) == started.pid
    with pytest.raises(AlreadyRunning, match=f"process {started.pid} runs already"):
        place.start()
    assert stop_background(place.pid_file, grace_seconds=10) is Stopped.GRACEFULLY
    assert started.process.wait(10) == 0
    assert not place.pid_file.exists()
    assert stop_background(place.pid_file, grace_seconds=10) is Stopped.NOT_RUNNING
    assert place.log_file.read_text() == "working\n"


def test_a_daemon_that_dies_at_once_shows_why(place: Place) -> None:
    """`started` for a process that is already dead is what the old script said."""
    place.log_file.parent.mkdir()
    place.log_file.write_text("from an earlier run\n")

    with pytest.raises(DiedAtOnce) as caught:
        place.start_code("print('no credentials'); raise SystemExit(3)")

    assert caught.value.exit_status == 3
    assert "exit status 3" in str(caught.value)
    assert "no credentials" in str(caught.value)
    assert "earlier run" not in str(caught.value)


def test_a_slow_daemon_is_left_running(place: Place) -> None:
    """The wait is bounded; the daemon may still be waiting for its folder to appear."""
    started = place.start("silent", wait_seconds=0.1)

    assert not started.ready
    assert started.process.poll() is None


def test_a_deaf_daemon_is_killed_at_the_end(place: Place) -> None:
    """SIGKILL loses nothing, everything can be repeated, but it comes last."""
    started = place.start("deaf")

    assert stop_background(place.pid_file, grace_seconds=0.05) is Stopped.KILLED
    assert started.process.wait(10) == -signal.SIGKILL
    assert not place.pid_file.exists()


def test_a_stale_pid_file_hurts_nobody(place: Place) -> None:
    """Its number may belong to somebody else by now: here to this very test."""
    place.pid_file.parent.mkdir()
    place.pid_file.write_text(f"{os.getpid()}\n")

    assert running_pid(place.pid_file) is None
    assert stop_background(place.pid_file, grace_seconds=1) is Stopped.STALE
    assert not place.pid_file.exists()


def test_a_daemon_that_was_killed_can_be_started_again(place: Place) -> None:
    """The lock went with the process; the file that stayed is taken over."""
    first = place.start()
    first.process.kill()
    first.process.wait(10)

    assert place.pid_file.exists()
    assert place.start().ready


def test_a_stop_without_process_descriptors(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """On macOS the lock tells when the daemon has gone."""
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    place.start()

    assert stop_background(place.pid_file, grace_seconds=10) is Stopped.GRACEFULLY
    place.start("deaf")
    assert stop_background(place.pid_file, grace_seconds=0) is Stopped.KILLED


def test_a_second_daemon_gives_way_to_the_first(place: Place) -> None:
    """Also when it was started past the launcher."""
    started = place.start()

    with (
        pytest.raises(AlreadyRunning, match=f"process {started.pid}"),
        hold_pid_file(place.pid_file),
    ):
        pass
    assert running_pid(place.pid_file) == started.pid


def test_a_pid_file_that_was_replaced_is_not_removed(tmp_path: Path) -> None:
    """What lies there at the end may be another daemon's."""
    path = tmp_path / "a.pid"

    with hold_pid_file(path):
        path.unlink()
        path.write_text("other\n")

    assert path.read_text() == "other\n"


@pytest.mark.parametrize("content", ["", "0\n", "1\n", "x\n"])
def test_a_number_that_cannot_be_a_daemon_is_never_signalled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    """Signalling 0 or 1 would hit our own group or init."""
    monkeypatch.setattr(background, "_PROBE_SECONDS", 0.05)
    path = tmp_path / "a.pid"

    with hold_pid_file(path):
        path.write_text(content)
        with pytest.raises(UsageError, match="no PID in it"):
            stop_background(path, grace_seconds=1)
