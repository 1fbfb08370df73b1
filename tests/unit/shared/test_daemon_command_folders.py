import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.daemon_command import DaemonCommand, default_state_of, run_daemon_command
from shared.errors import ExitStatus, UsageError
from shared.status import StatusFile, default_state_folder
from tests.support.daemon_carrier import Carrier, Settings, command


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
