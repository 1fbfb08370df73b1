"""The old name of the command."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).parents[4] / "scripts" / "glacier" / "submit_aws_job.py"


@pytest.mark.parametrize("beside", [True, False])
def test_the_old_name_is_the_new_command(tmp_path: Path, beside: bool) -> None:  # noqa: FBT001 - a table
    """Notes and schedules name it: with the same words, its exit status, and any Python."""
    script = tmp_path / "scripts" / "glacier" / _SCRIPT.name
    script.parent.mkdir(parents=True)
    shutil.copy(_SCRIPT, script)
    folder = tmp_path / ".venv" / "bin" if beside else tmp_path / "path"
    folder.mkdir(parents=True)
    command = folder / "towpath"
    command.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nexit 7\n')
    command.chmod(0o755)

    ended = subprocess.run(
        [sys.executable, "-S", script, "--regions", "134_Arsuk, 049_jakobshavn", "--dry-run"],
        env={"PATH": f"{tmp_path / 'path'}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert ended.returncode == 7
    assert ended.stdout.splitlines() == [
        "glacier",
        "submit",
        "--regions",
        "134_Arsuk, 049_jakobshavn",
        "--dry-run",
    ]


def test_the_old_name_says_when_there_is_no_command(tmp_path: Path) -> None:
    """A copy of one file is not the program."""
    script = Path(shutil.copy(_SCRIPT, tmp_path))

    ended = subprocess.run(
        [sys.executable, "-S", script],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "make install" in ended.stderr
