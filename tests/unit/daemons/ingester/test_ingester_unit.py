import json
from pathlib import Path

import pytest

from daemons.ingester import unit
from daemons.ingester.settings import Settings
from shared.errors import UsageError
from shared.lifecycle import CLEAN_UP_SECONDS
from shared.units.context import UnitContext
from shared.units.launchd import agents
from shared.units.render import unit_set


def test_it_writes_below_the_data_folder_alone(tmp_path: Path) -> None:
    """Sites, keys and the program's own files are read."""
    needs = unit.unit_needs(Settings(root=tmp_path, grace_seconds=7))

    assert needs.writes == (tmp_path / "aws-local-dev",)
    assert tmp_path in needs.reads
    assert needs.stop_seconds == 7 + CLEAN_UP_SECONDS


def test_the_data_folder_may_lie_on_another_drive(tmp_path: Path) -> None:
    """The project says where; a unit that does not know could not write there."""
    drive = tmp_path / "drive"
    drive.mkdir()
    (tmp_path / ".local-files-config.json").write_text(json.dumps({"localFilesPath": str(drive)}))
    (tmp_path / ".env.local").write_text("WHISPER_CPP_PATH=/opt/whisper.cpp\n")

    needs = unit.unit_needs(
        Settings(root=tmp_path, json_summary=Path("/var/www/towpath/last.json"))
    )

    assert set(needs.writes) == {drive, Path("/var/www/towpath")}
    assert Path("/opt/whisper.cpp") in needs.reads


def test_a_drive_that_is_not_mounted_is_said_before_units_are_made(tmp_path: Path) -> None:
    """A unit for the wrong folder would download everything again."""
    (tmp_path / ".local-files-config.json").write_text('{"localFilesPath": "/nowhere/x"}')

    with pytest.raises(UsageError, match="mount the drive"):
        unit.unit_needs(Settings(root=tmp_path))


def test_without_a_schedule_a_timer_does_a_run_once_a_day(tmp_path: Path) -> None:
    """A run that failed is not repeated at once: it would fail again, for hours."""
    files = unit_set(unit.unit_needs(Settings(root=tmp_path)), UnitContext()).files

    service, timer = files[0].text, files[2].text
    assert "\nRestartPreventExitStatus=1 2 3\n" in service
    assert " --once\n" in service
    assert "\nOnCalendar=*-*-* 08:00:00\n" in timer


def test_with_a_schedule_it_runs_on_and_is_started_again_after_a_crash(tmp_path: Path) -> None:
    """Then it tells the time itself, and a reload applies."""
    made = unit_set(unit.unit_needs(Settings(root=tmp_path, schedule="0 8 * * *")), UnitContext())

    text = made.files[0].text
    assert made.units == ("towpath-ingester.service",)
    assert "\nRestartPreventExitStatus=2 3\n" in text
    assert "ExecReload=" in text


def test_launchd_is_told_the_time_of_day(tmp_path: Path) -> None:
    """It is where the ingester comes from."""
    needs = unit.unit_needs(Settings(root=tmp_path, timer="*-*-* 06:30:00"))

    (file,) = agents(needs, UnitContext(user=""), tmp_path)

    assert "<key>Hour</key>" in file.text
    assert "<string>--once</string>" in file.text
