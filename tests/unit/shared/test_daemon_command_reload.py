from pathlib import Path

import pytest

from shared import daemon_command
from shared.errors import UsageError
from tests.support.daemon_carrier import Carrier, command


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
