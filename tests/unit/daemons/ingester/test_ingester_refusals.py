"""What would cost the result of hours of work is refused before the work."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemons.ingester import cli
from daemons.ingester.commands.call import hold_data
from daemons.ingester.project.loading import Project, load_project
from daemons.ingester.runs.interval import load_interval
from daemons.ingester.site_run import SiteRun
from shared.cli import run_command
from shared.errors import ExitStatus, UsageError
from tests.support.quiet_project import quiet_project

ReadOnly = Callable[[Path], None]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a site that asks nobody."""
    return quiet_project(tmp_path / "project", "hardfork")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state folder."""
    return tmp_path / "state"


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> ReadOnly:
    """Let a folder be one of a drive that is mounted read-only, which needs root to be done."""
    ask = os.access
    closed: list[Path] = []

    def access(path: Path, mode: int) -> bool:
        return ask(path, mode) and not (mode & os.W_OK and path in closed)

    monkeypatch.setattr("os.access", access)
    return closed.append


@pytest.fixture
def _no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a site is begun."""
    monkeypatch.setattr(SiteRun, "run", lambda _run: pytest.fail("a site was begun"))


def run(root: Path, state: Path, *argv: str) -> int:
    """Do a local run."""
    options = ["--root", str(root), "--state-directory", str(state), "--local-only", *argv]
    return run_command("ingester", cli.main, options)


def project(root: Path, state: Path) -> Project:
    """Return the project as a command has it."""
    return load_project(root, state, wanted=None, environ={}, local_only=True)


@pytest.mark.usefixtures("_no_work")
@pytest.mark.parametrize(
    ("name", "why"),
    [("", "it is a folder; name a file in it"), ("a" * 300, "file name too long; name another")],
)
def test_a_summary_that_can_be_no_file_is_refused(
    root: Path, state: Path, name: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A warning at the end of the night is found by nobody, and a dashboard stays as it was."""
    path = root / name

    assert run(root, state, "--json-summary", str(path)) == ExitStatus.USAGE

    assert f"--json-summary {str(path)!r} cannot be written: {why}" in capsys.readouterr().err


@pytest.mark.usefixtures("_no_work")
def test_a_run_on_a_read_only_drive_is_not_begun(
    root: Path, state: Path, read_only: ReadOnly, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sixteen errors about S3 would send somebody to look at the wrong end."""
    data = root / "aws-local-dev"
    data.mkdir()
    read_only(data)

    assert run(root, state) == ExitStatus.USAGE

    assert f"the data folder {str(data)!r} may not be written into" in capsys.readouterr().err
    assert load_interval(state).failures == 1


@pytest.mark.usefixtures("_no_work")
def test_a_run_whose_data_is_a_file_is_not_begun(
    root: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A traceback says nothing of which name is wrong."""
    (root / "aws-local-dev").touch()

    assert run(root, state) == ExitStatus.USAGE

    assert "aws-local-dev' cannot be made: " in capsys.readouterr().err


@pytest.mark.parametrize("which", ["data", "state"])
def test_a_command_on_a_read_only_drive_is_not_begun(
    root: Path, state: Path, which: str, read_only: ReadOnly
) -> None:
    """`sync` would fail at each file, one after another."""
    found = project(root, state)
    folder = {"data": found.data, "state": found.state}[which]
    folder.mkdir()
    read_only(folder)

    refused = pytest.raises(UsageError, match=f"the {which} folder .* may not be written")
    with refused, hold_data(found):
        pytest.fail("it was begun")
