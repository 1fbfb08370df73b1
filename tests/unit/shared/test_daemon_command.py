import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest

from shared.daemon_command import Action, DaemonCommand, run_daemon_command
from shared.errors import ExitStatus, UsageError
from shared.status import StatusFile
from tests.support.daemon_carrier import Carrier, Settings, command


def call(carrier: Carrier, folder: Path, *argv: str) -> int:
    """Run the command."""
    return run_daemon_command(command(carrier, folder), argv)


@pytest.mark.parametrize(
    ("argv", "failed", "status", "seen"),
    [
        ((), 0, 0, ["open state info", "run", "closed"]),
        (("--once",), 0, 0, ["open state info", "pass", "closed"]),
        (("--once", "--log-level", "error"), 1, 4, ["open state error", "pass", "closed"]),
        (("--plan",), 0, 6, ["look state"]),
        (("--check",), 0, 6, ["look state"]),
        (("--forget",), 0, 4, ["act state ''"]),
        (("--name", ""), 0, 4, ["act state ''"]),
        (("--name", "x y"), 0, 4, ["act state 'x y'"]),
        (("--retry", "00001", "00002"), 0, 4, ["act state '00001 00002'"]),
        (("--stop",), 0, 0, []),
    ],
)
def test_each_flag_does_its_own_thing_and_nothing_else(
    tmp_path: Path, argv: Sequence[str], failed: int, status: int, seen: list[str]
) -> None:
    """What is asked for instead of running on must not also run."""
    carrier = Carrier(failed)

    assert call(carrier, tmp_path / "state", *argv) == status
    assert carrier.seen == seen


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (("--once", "--plan"), "--plan"),
        (("--forget", "--stop"), "--stop"),
        (("--retry",), "--retry"),
        (("--forgot",), "--forgot"),
    ],
)
def test_a_line_that_means_two_things_or_none_is_refused(
    tmp_path: Path, argv: Sequence[str], named: str
) -> None:
    """A daemon that guessed would do the one that was not meant."""
    carrier = Carrier()

    with pytest.raises(UsageError, match=named):
        call(carrier, tmp_path, *argv)
    assert not carrier.seen


def test_nothing_is_imported_for_an_error_of_usage(tmp_path: Path) -> None:
    """Whoever mistypes a flag must not wait for an SDK."""

    def heavy() -> NoReturn:
        raise AssertionError("imported")

    impatient = DaemonCommand(
        service="carrier",
        settings=Settings,
        state_folder=lambda _settings, _environ: tmp_path,
        open_daemon=heavy,
        show_plan=heavy,
        run_checks=heavy,
        render_status=heavy,
        actions=[Action("--forget", "forget", heavy)],
    )

    with pytest.raises(UsageError, match="--grace"):
        run_daemon_command(impatient, ["--grace", "-1"])
    assert run_daemon_command(impatient, ["--stop"]) == ExitStatus.DONE


def test_module_of_the_command_loads_none_of_the_heavy_parts() -> None:
    """It is loaded for every --help."""
    program = "import sys, shared.daemon_command; print(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert not {"anyio", "structlog", "aiobotocore", "uvloop"} & set(done.stdout.split())


def test_help_says_what_can_be_done_instead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The flags of a daemon stand beside those that all have."""
    with pytest.raises(SystemExit):
        call(Carrier(), tmp_path, "--help")

    text = capsys.readouterr().out
    assert "--retry CID [CID ...]" in text
    assert "--once" in text
    assert "--pid-file" not in text


def test_status_is_what_was_last_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is read from the folder, without asking the daemon."""
    now = datetime.now(UTC)
    StatusFile(tmp_path, "carrier", started_at=now).write({}, [], now=now, last_success_at=None)

    assert call(Carrier(), tmp_path, "--status") == ExitStatus.DONE
    assert capsys.readouterr().out.startswith("carrier wrote ")


def test_status_of_a_daemon_that_never_ran_is_an_error_of_usage(tmp_path: Path) -> None:
    """Zeros would say that all is well."""
    with pytest.raises(UsageError, match="no carrier has reported"):
        call(Carrier(), tmp_path, "--status")


def test_one_in_the_background_that_cannot_start_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The child is the daemon's own package; there is none of this name."""
    assert call(Carrier(), tmp_path, "--background") != ExitStatus.DONE

    assert "daemons.carrier" in capsys.readouterr().err
    assert (tmp_path / "carrier.log").is_file()


def test_pid_file_is_held_while_the_daemon_runs_and_gone_afterwards(tmp_path: Path) -> None:
    """Stopping goes by the lock on it."""
    pid_file = tmp_path / "run" / "carrier.pid"
    carrier = Carrier()
    held: list[bool] = []
    carrier.seen = _Watched(held, pid_file)

    assert call(carrier, tmp_path, "--pid-file", str(pid_file)) == ExitStatus.DONE

    assert held
    assert all(held)
    assert not pid_file.exists()


class _Watched(list[str]):
    """Notes at each entry whether a file exists."""

    def __init__(self, held: list[bool], path: Path) -> None:
        super().__init__()
        self._held = held
        self._path = path

    def append(self, text: str) -> None:
        """Note it."""
        self._held.append(self._path.exists())
        super().append(text)


def test_signal_handlers_are_as_before(tmp_path: Path) -> None:
    """A command that is called from Python must leave its caller's Ctrl-C alone."""
    before = signal.getsignal(signal.SIGTERM)

    call(Carrier(), tmp_path, "--once")

    assert signal.getsignal(signal.SIGTERM) == before
