from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemons.ingester.commands.call import Verb, read_call
from shared.status import StatusFile

VERB = Verb("look", "Look.")
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a service keeps its state unless it is told otherwise."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "towpath" / "ingester"


def state_of(root: Path, *argv: str) -> Path:
    """Return the state folder that a command of this project uses."""
    return read_call(VERB, ["--root", str(root), *argv], lambda _parser: None).state


def report(folder: Path, root: Path) -> None:
    """Leave what a run leaves."""
    status = StatusFile(folder, "ingester", started_at=NOW)
    status.write({"root": str(root)}, [], now=NOW, last_success_at=None)


def test_state_is_that_of_runs_by_hand_where_there_are_some(base: Path, tmp_path: Path) -> None:
    """What is marked there is found by the next of them."""
    root = tmp_path / "project"
    folder = state_of(root)
    report(folder, root)
    report(base, root)

    assert folder.parent == base
    assert state_of(root) == folder


def test_state_is_that_of_the_unit_of_this_project(base: Path, tmp_path: Path) -> None:
    """An upload marked elsewhere would never be indexed."""
    root = tmp_path / "project"
    report(base, root)

    assert state_of(root) == base
    assert state_of(tmp_path / "another").parent == base


def test_state_folder_that_is_named_is_taken(base: Path, tmp_path: Path) -> None:
    """Who names it knows why."""
    root = tmp_path / "project"
    report(base, root)

    assert state_of(root, "--state-directory", str(tmp_path / "here")) == tmp_path / "here"
