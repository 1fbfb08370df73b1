"""Files that are being written: how they get their names, and who removes what a crash left."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.glacier.step.drafts import draft_name, draft_of, remove_stale
from shared.files import TEMPORARY_SUFFIX

NOW = 1_800_000_000.0


def names(folder: Path) -> list[str]:
    """Return what a folder holds."""
    return sorted(path.name for path in folder.iterdir())


def gone_process() -> int:
    """Return the id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as child:
        child.wait(30)
    return child.pid


def test_file_has_its_name_when_the_block_ends(tmp_path: Path) -> None:
    """Whoever sees the name sees all of the content; what had it before is replaced."""
    target = tmp_path / "a.tif"
    target.write_text("before")

    with draft_of(target) as draft:
        draft.write_text("after")
        assert target.read_text() == "before"

    assert target.read_text() == "after"
    assert names(tmp_path) == ["a.tif"]


def test_nothing_stays_of_a_block_that_fails(tmp_path: Path) -> None:
    """Not under the name, and not under the draft's."""
    target = tmp_path / "a.tif"

    def write() -> None:
        with draft_of(target) as draft:
            draft.write_text("half")
            raise LookupError

    with pytest.raises(LookupError):
        write()
    assert names(tmp_path) == []


def test_draft_that_the_block_removes_is_left_at_that(tmp_path: Path) -> None:
    """A scene that covers too little is not written."""
    with draft_of(tmp_path / "a.tif") as draft:
        draft.write_text("too little")
        draft.unlink()

    assert names(tmp_path) == []


def test_long_names_have_drafts(tmp_path: Path) -> None:
    """A name may be as long as the file system allows."""
    with draft_of(tmp_path / ("a" * 251 + ".tif")) as draft:
        draft.touch()

    assert len(names(tmp_path)) == 1


def test_drafts_of_living_writers_stay(tmp_path: Path) -> None:
    """Two runs of different months may write into one region's folder at the same time."""
    draft = draft_name(tmp_path / "a.tif")
    draft.touch()

    assert remove_stale(tmp_path, draft.stat().st_mtime + 60) == []
    assert names(tmp_path) == [draft.name]


def test_drafts_of_writers_that_are_gone_are_removed(tmp_path: Path) -> None:
    """A killed run leaves hundreds of megabytes."""
    own = draft_name(tmp_path / "a.tif")
    left = own.with_name(own.name.replace(f"-{os.getpid()}.", f"-{gone_process()}."))
    left.touch()
    other = tmp_path / "b.tif"
    other.touch()

    assert remove_stale(tmp_path, left.stat().st_mtime) == [left]
    assert names(tmp_path) == ["b.tif"]


@pytest.mark.parametrize(("age", "removed"), [(3600, False), (2 * 24 * 3600, True)])
def test_drafts_of_other_machines_are_removed_when_they_are_old(
    tmp_path: Path, age: float, *, removed: bool
) -> None:
    """Whether their writer lives cannot be seen from here."""
    left = tmp_path / f".a.tif.00000000-1.0123abcd{TEMPORARY_SUFFIX}"
    left.touch()
    os.utime(left, (NOW, NOW))

    assert bool(remove_stale(tmp_path, NOW + age)) is removed


def test_folder_that_is_not_there_has_nothing_stale(tmp_path: Path) -> None:
    """Nothing has been downloaded yet."""
    assert remove_stale(tmp_path / "download", NOW) == []
