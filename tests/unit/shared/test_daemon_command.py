import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest
import structlog

from shared import daemon_command
from shared.daemon_command import Action, DaemonCommand, default_state_of, run_daemon_command
from shared.daemon_settings import DaemonSettings
from shared.errors import ExitStatus, UsageError
from shared.lifecycle import Control
from shared.status import Status, StatusFile, ago, default_state_folder


class Settings(DaemonSettings):
    """Carry things along."""


@dataclass
class Report:
    """What a pass of the carrier did."""

    failed: int

    def fields(self) -> Mapping[str, object]:
        """All counts."""
        return {"failed": self.failed}


@dataclass
class Carrier:
    """A daemon that writes down what is done to it."""

    failed: int = 0
    seen: list[str] = field(default_factory=list)

    async def run(self, control: Control) -> None:
        """Run on: end at once, as if stopped."""
        self.seen.append("run")

    async def run_once(self) -> Report:
        """Do one pass."""
        self.seen.append("pass")
        return Report(self.failed)

    @asynccontextmanager
    async def open(
        self, settings: Settings, folder: Path, control: Control
    ) -> AsyncIterator["Carrier"]:
        """Be open for a block."""
        self.seen.append(f"open {folder.name} {settings.log_level}")
        yield self
        self.seen.append("closed")

    async def look(self, settings: Settings, folder: Path) -> ExitStatus:
        """Look without touching."""
        self.seen.append(f"look {folder.name}")
        return ExitStatus.UNREACHABLE

    def act(self, settings: Settings, folder: Path, value: str) -> int:
        """Do something else."""
        self.seen.append(f"act {folder.name} {value!r}")
        return ExitStatus.PARTLY_DONE


def command(carrier: Carrier, folder: Path) -> DaemonCommand[Settings]:
    """Make the carrier's command."""

    def rendered(status: Status, now: datetime) -> str:
        return f"{status.service} wrote {ago(status.age(now).total_seconds())}\n"

    return DaemonCommand(
        service="carrier",
        settings=Settings,
        state_folder=lambda settings, _: settings.state_directory or folder,
        open_daemon=lambda: carrier.open,
        show_plan=lambda: carrier.look,
        run_checks=lambda: carrier.look,
        render_status=lambda: rendered,
        actions=[
            Action("--forget", "forget everything", lambda: carrier.act),
            Action("--retry", "try again", lambda: carrier.act, metavar="CID", several=True),
            Action("--name", "be called", lambda: carrier.act, metavar="NAME"),
        ],
    )


@pytest.fixture(autouse=True)
def _logging_put_back() -> Iterator[None]:
    """Undo what a command does to the log of its process."""
    yield
    structlog.reset_defaults()


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


def test_each_guarded_path_has_a_state_folder_of_its_own(tmp_path: Path) -> None:
    """Two daemons on two paths of the same name must not mix their notes."""
    environ = {"XDG_STATE_HOME": str(tmp_path)}

    folders = {default_state_of("carrier", Path(root) / "s3", environ) for root in ("/a", "/b")}

    assert len(folders) == 2
    assert {folder.parent for folder in folders} == {default_state_folder("carrier", environ)}
    assert default_state_of("carrier", Path("/"), environ).name.startswith("root-")
    unit = {**environ, "STATE_DIRECTORY": str(tmp_path / "unit")}
    assert default_state_of("carrier", Path("/a"), unit) == tmp_path / "unit"


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a unit's carrier keeps its state, whoever runs the tests."""
    monkeypatch.setattr("shared.status._SYSTEM_FOLDER", tmp_path / "towpath")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    return default_state_folder("carrier", os.environ)


def rooted(carrier: Carrier, root: Path) -> DaemonCommand[Settings]:
    """Make the command of a carrier that guards a path."""
    return replace(
        command(carrier, root),
        state_folder=lambda settings, environ: (
            settings.state_directory or default_state_of("carrier", root, environ)
        ),
        root=lambda _: root,
        render_status=lambda: lambda status, _: f"{status.details['said']}\n",
    )


def report_into(folder: Path, root: Path, said: str) -> None:
    """Write what a daemon of this root would."""
    now = datetime.now(UTC)
    file = StatusFile(folder, "carrier", started_at=now)
    file.write({"root": str(root), "said": said}, [], now=now, last_success_at=None)


def test_a_units_daemon_is_found_by_hand(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The unit is given the base folder itself; nobody's shell is."""
    report_into(base, tmp_path / "a", "unit")
    carrier = Carrier()

    assert run_daemon_command(rooted(carrier, tmp_path / "a"), ["--status"]) == ExitStatus.DONE
    run_daemon_command(rooted(carrier, tmp_path / "a"), ["--forget"])

    assert capsys.readouterr().out == "unit\n"
    assert carrier.seen == ["act carrier ''"]


def test_the_nearer_of_two_reports_is_taken(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A daemon that was started by hand reports where the hand looks."""
    report_into(base, tmp_path / "a", "unit")
    report_into(default_state_of("carrier", tmp_path / "a", os.environ), tmp_path / "a", "by hand")

    run_daemon_command(rooted(Carrier(), tmp_path / "a"), ["--status"])

    assert capsys.readouterr().out == "by hand\n"


@pytest.mark.parametrize("named", [False, True])
def test_another_daemon_is_never_taken_for_the_one_that_is_meant(
    base: Path, tmp_path: Path, *, named: bool
) -> None:
    """Another root's report, or a folder that was named: nothing else is looked at."""
    report_into(base, tmp_path / ("a" if named else "b"), "unit")
    carrier, argv = Carrier(), ["--state-directory", str(tmp_path / "mine")] if named else []

    with pytest.raises(UsageError, match="no carrier has reported"):
        run_daemon_command(rooted(carrier, tmp_path / "a"), ["--status", *argv])
    run_daemon_command(rooted(carrier, tmp_path / "a"), ["--forget", *argv])

    assert carrier.seen != ["act carrier ''"]


def configured(folder: Path, text: str) -> list[str]:
    """Write the configuration; returns the flag that names it."""
    file = folder / "carrier.toml"
    file.write_text(text)
    return ["--config", str(file)]


def test_the_configuration_is_read_again_as_it_was_read_at_the_start(tmp_path: Path) -> None:
    """The same line and the same environment: what a flag says still beats the file."""
    argv = [*configured(tmp_path, "grace_seconds = 5\n"), "--log-level", "warning"]
    call = daemon_command._read_call(command(Carrier(), tmp_path / "state"), argv)

    configured(tmp_path, 'grace_seconds = 7\nlog_level = "debug"\n')
    before, after = call.setup(), call._read_again()

    assert (before.grace_seconds, after.grace_seconds) == (5, 7)
    assert (before.values["log_level"], after.values["log_level"]) == ("warning", "warning")


def test_a_wrong_configuration_is_said_and_not_taken(tmp_path: Path) -> None:
    """Every line of it is a reason in the log."""
    argv = configured(tmp_path, "")
    call = daemon_command._read_call(command(Carrier(), tmp_path / "state"), argv)
    configured(tmp_path, "grace_seconds = -1\ncolour = 3\n")

    with pytest.raises(UsageError) as raised:
        call._read_again()

    assert len(str(raised.value).splitlines()) == 2


def test_a_configuration_file_that_is_gone_is_no_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every option would fall back to its default, the bucket among them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / ".config" / "towpath" / "carrier.toml"
    file.parent.mkdir(parents=True)
    file.write_text("grace_seconds = 5\n")
    call = daemon_command._read_call(command(Carrier(), tmp_path / "state"), [])
    assert call.settings.grace_seconds == 5
    file.unlink()

    with pytest.raises(UsageError, match=r"carrier\.toml' is not there any more"):
        call._read_again()


def test_a_daemon_in_the_background_keeps_its_state_folder(tmp_path: Path) -> None:
    """`--stop` looks for it there."""
    pid_file = tmp_path / "a" / "carrier.pid"
    argv = [
        *configured(tmp_path, f"state_directory = '{tmp_path / 'a'}'\n"),
        *("--pid-file", str(pid_file)),
    ]
    call = daemon_command._read_call(command(Carrier(), tmp_path), argv)
    configured(tmp_path, f"state_directory = '{tmp_path / 'b'}'\n")

    with pytest.raises(UsageError, match="background"):
        call._read_again()
