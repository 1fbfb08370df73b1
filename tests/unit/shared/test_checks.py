import os
import sys
from pathlib import Path

import pytest

from shared.checks import Check, check_folder, check_program, write_checks
from shared.errors import ExitStatus, UsageError
from shared.files import ready_folder


@pytest.mark.parametrize(
    ("place", "made", "fault"),
    [
        ("there", True, ""),
        ("file", True, "is not a folder; name another"),
        ("missing/deeper", True, ""),
        ("missing/deeper", False, "is not there; mount it, or make it: mkdir -p "),
        ("file/below", True, "cannot be made: "),
    ],
)
def test_a_folder_is_judged_as_the_daemon_will_find_it(
    tmp_path: Path, place: str, *, made: bool, fault: str
) -> None:
    """What the daemon makes itself is in order while it is missing; nothing is made by a look."""
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()

    check = check_folder("work", tmp_path / place, made=made)

    assert check.fault.startswith(fault)
    assert bool(check.fault) is bool(fault)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "there"]


def test_a_folder_that_others_own_is_not_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root sees no difference, so the system's answer is changed."""
    monkeypatch.setattr(os, "access", lambda _path, mode: not mode & os.W_OK)

    assert "written into" in check_folder("work", tmp_path).fault
    assert "written into" in check_folder("work", tmp_path / "missing").fault
    assert not check_folder("sky", tmp_path, written=False).fault


def test_a_program_is_found_as_it_is_when_it_runs(tmp_path: Path) -> None:
    """By its name on PATH, or by its path below the root, where steps start."""
    script = tmp_path / "step.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)

    assert check_program("step", "{python}", tmp_path).what == sys.executable
    assert check_program("step", "./step.sh", tmp_path).fault == ""
    assert "is not found" in check_program("step", "./other.sh", tmp_path).fault
    assert "is not found" in check_program("step", "no-such-program", tmp_path).fault


def test_a_line_each_and_the_last_failure_decides(capsys: pytest.CaptureFixture[str]) -> None:
    """Name, verdict, what: the same of every daemon, so that a script can read it."""
    status = write_checks(
        [
            Check("settings", ""),
            Check("work", "/a", "is not a folder"),
            Check("bucket", "s3://b/\x1b[2J", "NoSuchBucket", ExitStatus.UNREACHABLE),
            Check("state", "/s"),
        ]
    )

    assert status is ExitStatus.UNREACHABLE
    assert capsys.readouterr().out.splitlines() == [
        "settings\tok",
        "work\tis not a folder\t/a",
        "bucket\tNoSuchBucket\ts3://b/\\x1b[2J",
        "state\tok\t/s",
    ]


def test_a_folder_that_is_needed_is_made_or_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 2 and its name, where a traceback would have stood."""
    ready_folder(tmp_path / "a/b", "work folder")
    (tmp_path / "file").touch()

    with pytest.raises(UsageError, match=r"work folder .*file/c.* cannot be made: "):
        ready_folder(tmp_path / "file/c", "work folder")
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    with pytest.raises(UsageError, match=r"work folder .*a/b' may not be written into"):
        ready_folder(tmp_path / "a/b", "work folder")


def test_a_folder_on_a_disk_that_was_closed_is_not_blamed_on_its_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails is mounted read-only by the system, and `chown` helps nobody then."""
    flags = [os.statvfs(tmp_path)[index] for index in range(10)]
    flags[8] |= os.ST_RDONLY
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result(flags))

    with pytest.raises(UsageError, match="is on a file system that is mounted read-only; look why"):
        ready_folder(tmp_path, "work folder")
