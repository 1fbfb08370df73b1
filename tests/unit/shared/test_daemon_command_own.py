import argparse
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from shared import daemon_command
from shared.daemon_command import DaemonCommand, run_daemon_command, run_with_statuses
from shared.errors import AlreadyRunning, ExitStatus, UsageError
from shared.lifecycle import Control
from shared.options import Option
from shared.settings import Loaded
from tests.support import daemon_carrier

STATUSES: Mapping[int, int] = {
    ExitStatus.LOCKED: 3,
    ExitStatus.PARTLY_DONE: 1,
    ExitStatus.CREDENTIALS: 2,
}


class Settings(daemon_carrier.Settings):
    """Carry things along."""

    schedule: Annotated[str, Option()] = Field(default="", description="Run on")


class Carrier(daemon_carrier.Carrier):
    """One that may be in use, and whose look ends with a status of its own."""

    @asynccontextmanager
    async def open(
        self, settings: daemon_carrier.Settings, folder: Path, control: Control
    ) -> AsyncIterator[daemon_carrier.Carrier]:
        """Be open for a block."""
        if self.failed < 0:
            raise AlreadyRunning("'x' is in use by process 1")
        yield self

    async def look(self, settings: daemon_carrier.Settings, folder: Path) -> ExitStatus:
        """Look without touching."""
        self.seen.append(f"look {settings.log_level}")
        return ExitStatus.CREDENTIALS


def command(carrier: Carrier, folder: Path, **own: Any) -> DaemonCommand[Settings]:
    """Make the carrier's command with what is its own."""
    return DaemonCommand(
        service="carrier",
        settings=Settings,
        state_folder=lambda _settings, _environ: folder,
        open_daemon=lambda: carrier.open,
        show_plan=lambda: carrier.look,
        run_checks=lambda: carrier.look,
        render_status=lambda: lambda status, now: "",
        **own,
    )


@pytest.mark.parametrize(
    ("argv", "seen"),
    [((), ["pass"]), (("--schedule", "x"), ["run"]), (("--schedule", "x", "--once"), ["pass"])],
)
def test_a_command_may_do_one_pass_without_being_told(
    tmp_path: Path, argv: Sequence[str], seen: list[str]
) -> None:
    """What a timer starts ends by itself."""
    carrier = Carrier()
    made = command(carrier, tmp_path, runs_once=lambda settings: not settings.schedule)

    assert run_daemon_command(made, argv) == ExitStatus.DONE
    assert carrier.seen == seen


def test_a_pass_that_is_not_due_opens_nothing(tmp_path: Path) -> None:
    """It ends before anything heavy is imported."""
    carrier, asked = Carrier(), list[Path]()

    def before(_settings: Settings, folder: Path) -> ExitStatus:
        asked.append(folder)
        return ExitStatus.DONE

    made = command(carrier, tmp_path, before_pass=before)

    assert run_daemon_command(made, ["--once"]) == ExitStatus.DONE
    assert asked == [tmp_path]
    assert not carrier.seen
    run_daemon_command(made, [])
    assert carrier.seen == ["run"]
    assert len(asked) == 1


def test_a_reload_cannot_make_a_daemon_one_pass(tmp_path: Path) -> None:
    """It would drain and then wait for nothing, for ever."""
    file = tmp_path / "carrier.toml"
    file.write_text('schedule = "x"\n')
    made = command(Carrier(), tmp_path, runs_once=lambda settings: not settings.schedule)
    call = daemon_command._read_call(made, ["--config", str(file)])
    file.write_text("")

    with pytest.raises(UsageError, match="one pass and end"):
        call._read_again()


def test_what_lies_elsewhere_completes_the_settings(tmp_path: Path) -> None:
    """Everything later goes by what came of it."""
    carrier = Carrier()

    def complete(loaded: Loaded[Settings]) -> Settings:
        assert loaded.origins["log_level"].source == "default"
        return loaded.settings.model_copy(update={"log_level": "error"})

    run_daemon_command(command(carrier, tmp_path, complete=complete), ["--check"])

    assert carrier.seen == ["look error"]


def test_another_name_for_the_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """People have it in their fingers; the help says both, and what follows the options."""
    carrier = Carrier()
    made = command(carrier, tmp_path, plan_flags=["--dry-run"], epilog=lambda: "More: {a,b}")

    run_daemon_command(made, ["--dry-run"])
    with pytest.raises(SystemExit):
        run_daemon_command(made, ["--help"])

    text = capsys.readouterr().out
    assert carrier.seen == ["look info"]
    assert "--plan, --dry-run" in text
    assert text.endswith("More: {a,b}\n")


@pytest.mark.parametrize(
    ("argv", "failed", "status", "said"),
    [
        (["--once"], 0, 0, ""),
        (["--once"], 1, 1, ""),
        (["--once"], -1, 3, "towpath carrier: 'x' is in use by process 1"),
        (["--check"], 0, 2, ""),
        (["--nope"], 0, 2, "towpath carrier: unrecognized arguments: --nope"),
    ],
)
def test_a_contract_has_numbers_of_its_own(
    tmp_path: Path,
    argv: Sequence[str],
    failed: int,
    status: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Scripts and timers go by them; what is raised is still said in a line."""
    made = command(Carrier(failed), tmp_path, statuses=STATUSES)

    assert run_daemon_command(made, argv) == status
    assert said in capsys.readouterr().err


def test_a_plain_number_is_the_contracts_already() -> None:
    """Or the status of one in the background would be translated twice."""
    assert run_with_statuses("x", lambda _argv: 5, [], STATUSES) == 5
    assert run_with_statuses("x", lambda _argv: ExitStatus.LOCKED, [], STATUSES) == 3


def test_without_numbers_of_its_own_a_command_raises(tmp_path: Path) -> None:
    """Whoever calls it from Python handles the exception, as before."""
    with pytest.raises(AlreadyRunning):
        run_daemon_command(command(Carrier(-1), tmp_path), ["--once"])


def test_the_parser_is_given_no_epilog_by_default(tmp_path: Path) -> None:
    """The help of the other daemons stays as it is."""
    parser = argparse.ArgumentParser()
    daemon_command._add_flags(parser, command(Carrier(), tmp_path))

    assert "--dry-run" not in parser.format_help()
