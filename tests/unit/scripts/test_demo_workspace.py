"""The folder of the demonstration: emptied when it is ours, and only then."""

from pathlib import Path

import pytest

from scripts.demo.disk import key_of, look_at
from scripts.demo.workspace import MARKER, open_workspace
from shared.errors import AlreadyRunning, UsageError
from shared.removal import HIDDEN_FOLDER


def test_what_an_earlier_demonstration_left_is_removed(tmp_path: Path) -> None:
    """Each run begins from nothing; a link is removed and what it leads to is not."""
    work, treasure = tmp_path / "work", tmp_path / "treasure"
    treasure.mkdir()
    (treasure / "gold").touch()
    with open_workspace(work) as folder:
        (folder / "deep" / "er").mkdir(parents=True)
        (folder / "deep" / "file").touch()
        (folder / "link").symlink_to(treasure)

    with open_workspace(work) as folder:
        left = [path.name for path in folder.iterdir()]

    assert left == [MARKER]
    assert (treasure / "gold").exists()


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """Without the marker nothing is removed."""
    (tmp_path / "thesis.tex").write_text("all of it")

    with pytest.raises(UsageError, match="was not made by a demo"), open_workspace(tmp_path):
        pass

    assert (tmp_path / "thesis.tex").read_text() == "all of it"


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    """There is nothing to lose in it."""
    with open_workspace(tmp_path) as folder:
        assert (folder / MARKER).is_file()


def test_a_file_in_the_way_is_an_error(tmp_path: Path) -> None:
    """Not a traceback."""
    (tmp_path / "work").touch()

    with pytest.raises(UsageError, match="is not a folder"), open_workspace(tmp_path / "work"):
        pass


def test_two_demonstrations_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second would empty it under the first."""
    with open_workspace(tmp_path) as folder:
        (folder / "precious").touch()

        with pytest.raises(AlreadyRunning), open_workspace(tmp_path):
            pass

        assert (folder / "precious").exists()


def test_a_look_sees_files_and_traces_but_no_links(tmp_path: Path) -> None:
    """An empty disk is one without files and without the daemon's hidden folders."""
    hidden = tmp_path / "bucket" / "a" / HIDDEN_FOLDER
    hidden.mkdir(parents=True)
    (tmp_path / "bucket" / "link").symlink_to("/etc/hostname")
    bare = look_at(tmp_path)
    (hidden / "b.png").touch()
    (tmp_path / "bucket" / "c.png").touch()

    disk = look_at(tmp_path)

    assert (bare.files, bare.hidden_folders, bare.clear) == ((), 1, False)
    assert sorted(path.name for path in disk.files) == ["b.png", "c.png"]
    assert disk.hidden == 1
    hidden_key = key_of(tmp_path / "bucket", hidden / "b.png")
    assert hidden_key == "a/b.png"
