import os
from dataclasses import replace
from pathlib import Path

import pytest

from shared.units.context import UnitContext
from shared.units.host import Account, create_folder, may_read, may_write, stable_prefix
from shared.units.request import program_problems

MINE = Account("me", os.getuid(), os.getgid(), "mine")


def test_a_release_is_named_by_the_folder_that_outlives_it(tmp_path: Path) -> None:
    """A unit that names a version would start the old one after every upgrade."""
    release = tmp_path / "releases" / "1-abc"
    (release / "bin").mkdir(parents=True)
    (tmp_path / "bin").symlink_to("releases/1-abc/bin")

    assert stable_prefix(release) == tmp_path
    assert stable_prefix(tmp_path / "elsewhere") == tmp_path / "elsewhere"


def test_folders_are_made_without_following_a_link(tmp_path: Path) -> None:
    """Root makes them in a home, whose owner could lead it into /etc."""
    aim = tmp_path / "aim"
    aim.mkdir()
    (tmp_path / "link").symlink_to(aim)

    create_folder(tmp_path / "a" / "b", MINE)

    assert (tmp_path / "a" / "b").stat().st_mode & 0o7777 == 0o2775
    with pytest.raises(OSError, match=r"[Ll]evels|[Dd]irectory"):
        create_folder(tmp_path / "link" / "b", MINE)
    assert not list(aim.iterdir())


@pytest.mark.parametrize(
    ("mode", "reads"), [(0o644, (True, True)), (0o600, (True, False)), (0o000, (False, False))]
)
def test_who_may_read_a_configuration(tmp_path: Path, mode: int, reads: tuple[bool, bool]) -> None:
    """A daemon that cannot read its own file fails at its start, and only there."""
    file = tmp_path / "x.toml"
    file.write_text("")
    file.chmod(mode)

    assert (may_read(file, MINE), may_read(file, None)) == reads


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask as somebody else")
@pytest.mark.parametrize(
    ("mode", "group", "writes"),
    [
        (0o755, 0, (False, False)),
        (0o775, 4000, (True, False)),
        (0o777, 0, (True, True)),
        (0o772, 4000, (True, False)),
    ],
)
def test_who_may_write_into_a_folder(
    tmp_path: Path, mode: int, group: int, writes: tuple[bool, bool]
) -> None:
    """A daemon that cannot write where its data lies fails at its start, and only there."""
    folder = tmp_path / "data"
    folder.mkdir()
    os.chown(folder, 0, group)
    folder.chmod(mode)
    # Whatever lies above: a unit sees the folder itself.
    tmp_path.chmod(0o700)
    somebody = Account("somebody", 4000, 4000, "somebody")

    assert (may_write(folder, somebody), may_write(folder, None)) == writes


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_a_folder_of_nobody_may_be_that_of_a_user_to_be_made(tmp_path: Path) -> None:
    """A new machine gets the volume of the last one before it has made its user."""
    os.chown(tmp_path, 4000, 4000)

    assert may_write(tmp_path, None)


def test_an_interpreter_in_a_home_cannot_be_run_by_a_system_unit(tmp_path: Path) -> None:
    """ProtectHome= hides it, and systemd would only say 203/EXEC."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "towpath").symlink_to("/bin/true")
    (tmp_path / "bin" / "python").symlink_to("/home/nobody-of-this-name/python3.11")
    context = UnitContext(prefix=tmp_path)

    (problem,) = program_problems(context)

    assert "in a home folder" in problem
    assert not list(program_problems(replace(context, user="")))
