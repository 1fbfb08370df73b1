from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from shared import logs_command
from shared.cli import run_command
from shared.event_names import events_of
from shared.journal import message_id


class BecameAnother(Exception):
    """In a test nothing takes the place of this process."""


def command_of(*words: str) -> Sequence[str]:
    """Return what `towpath logs` becomes."""
    became: list[str] = []

    def become(command: Sequence[str]) -> NoReturn:
        became.extend(command)
        raise BecameAnother

    with pytest.raises(BecameAnother):
        logs_command.main(words, become=become)
    return became


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with a journal."""
    (tmp_path / "journalctl").symlink_to("/bin/true")
    (tmp_path / "journal").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(logs_command, "_FOLDERS", (tmp_path / "journal",))
    return tmp_path


def test_one_cid_is_found_in_all_instances(journal: Path) -> None:
    """Which of several watchers had a CID is what one wants to know."""
    assert command_of("watcher", "--cid", "02104", "-f") == [
        "journalctl",
        "--unit=towpath-watcher.service",
        "--unit=towpath-watcher@*.service",
        "--follow",
        "CID=02104",
    ]


def test_what_is_asked_for_becomes_fields_and_options(journal: Path) -> None:
    """A value is one argument whatever is in it, and never an option."""
    command = command_of(
        "uploader", "--user", "--bucket=--vacuum-size=1", "--key", "a b/ü.png",
        "--event", "file_uploaded", "--since", "2 hours ago", "-n", "7", "-o", "json",
    )  # fmt: skip

    assert command[1:] == [
        "--user-unit=towpath-uploader.service",
        "--user-unit=towpath-uploader@*.service",
        "--since=2 hours ago",
        "--output=json",
        "--lines=7",
        "--quiet",
        "BUCKET=--vacuum-size=1",
        "KEY=a b/ü.png",
        f"MESSAGE_ID={message_id('file_uploaded')}",
    ]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["uplaoder"], "did you mean 'uploader'"),
        (["neowise"], "services are"),
        (["watcher", "--cid", "2104"], "exactly five digits"),
        (["watcher", "-n", "-1"], "no number of entries"),
        (["watcher", "-n", "all"], "no number of entries"),
        (["uploader", "--event", "file_uploadet"], "did you mean 'file_uploaded'"),
        (["uploader", "-o", "export"], "short-iso"),
    ],
)
def test_what_means_nothing_is_refused_with_a_line(
    capsys: pytest.CaptureFixture[str], words: list[str], why: str
) -> None:
    """An empty answer would look as if nothing had happened."""
    assert run_command("logs", logs_command.main, words) == 2
    assert why in capsys.readouterr().err


def test_a_machine_without_a_journal_says_where_to_look(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A laptop with macOS has none."""
    monkeypatch.setenv("PATH", str(tmp_path))

    assert run_command("logs", logs_command.main, ["uploader"]) == 2
    assert "no journal" in capsys.readouterr().err


def test_the_command_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Who wants more of journalctl begins there."""
    assert logs_command.main(["watcher", "--key", "a b", "--dry-run"]) == 0
    assert capsys.readouterr().out == (
        "journalctl --unit=towpath-watcher.service '--unit=towpath-watcher@*.service' 'KEY=a b'\n"
    )


def test_events_are_listed_with_what_finds_them(capsys: pytest.CaptureFixture[str]) -> None:
    """A monitor that matches on MESSAGE_ID has to get it from somewhere."""
    assert logs_command.main(["uploader", "--events"]) == 0

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["file_uploaded", "info", message_id("file_uploaded")] in lines
    assert all(len(line) == 3 for line in lines)


def test_events_are_found_however_they_are_written() -> None:
    """A name that is chosen, or given to a variable first, is an event, too."""
    uploader = events_of("daemons.uploader")

    assert uploader["file_held_open"] == "warning"  # event, reason = "file_held_open", ...
    assert uploader["removal_superseded"] == "warning"  # event = "..." if ... else "..."
    assert uploader["pass_finished"] == "info"  # in shared
    assert "job_claimed" not in uploader
