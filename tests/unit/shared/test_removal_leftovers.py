import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.removal import (
    HIDDEN_FOLDER,
    Leftover,
    prune_empty,
    restore_leftovers,
    restore_tree,
    tidy,
)
from tests.support.removing import (
    CONTENT,
    NAMES,
    STEPS,
    Killed,
    Place,
    place_in,
    refuse_leases,
)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Make a folder with one delivered file."""
    with place_in(tmp_path) as made:
        yield made


@pytest.fixture(params=["lease", "no lease"])
def any_place(
    request: pytest.FixtureRequest, place: Place, monkeypatch: pytest.MonkeyPatch
) -> Place:
    """The same, with the kernel's lease and without, as on macOS or a network file system."""
    if request.param == "no lease":
        refuse_leases(monkeypatch)
    return place


def test_file_system_without_links_puts_back_by_renaming(
    any_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAT and some network shares know no hard links."""

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    any_place.hidden.parent.mkdir()
    any_place.path.rename(any_place.hidden)

    found = list(restore_leftovers(any_place.directory, ""))

    assert found == [Leftover("", "a.bin", restored=True)]
    assert any_place.path.read_bytes() == CONTENT

    any_place.hidden.parent.mkdir()
    any_place.path.rename(any_place.hidden)
    any_place.write(b"newer")

    assert [one.restored for one in restore_leftovers(any_place.directory, "")] == [False]
    assert any_place.contents() == {CONTENT, b"newer"}


@pytest.mark.parametrize("at", STEPS)
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_crash_at_any_step_is_undone(tmp_path: Path, at: str, name: str) -> None:
    """Killed anywhere, the next start finds the file where it was, or gone for good."""

    def die() -> None:
        raise Killed

    with place_in(tmp_path, name) as place:
        with pytest.raises(Killed):
            place.remove(die, at)

        found = list(restore_tree(tmp_path))

        assert place.contents() == (set() if at == "unlinked" else {CONTENT})
        assert [one.name for one in found] == ([name] if at in {"compare", "unlink"} else [])
        assert all(one.restored for one in found)
        assert not place.hidden.parent.exists()


def test_crash_between_linking_and_unlinking_is_undone(place: Place) -> None:
    """Both names are one file then, which is no conflict and must not stay in the way."""
    place.hidden.parent.mkdir()
    os.link(place.path, place.hidden)

    assert [one.restored for one in restore_leftovers(place.directory, "x")] == [True]
    assert place.path.read_bytes() == CONTENT
    assert not place.hidden.parent.exists()


def test_conflict_keeps_both(place: Place) -> None:
    """The writer has made a new file meanwhile; the old one may never have been delivered."""
    place.hidden.parent.mkdir()
    place.hidden.write_bytes(b"older")

    found = list(restore_leftovers(place.directory, "x"))

    assert found == [Leftover("x", "a.bin", restored=False)]
    assert place.contents() == {CONTENT, b"older"}


def test_conflict_is_reported_again_and_is_in_nobodys_way(place: Place) -> None:
    """Somebody has to look at it, and until then the new file comes and goes as any other."""
    place.hidden.parent.mkdir()
    place.hidden.write_bytes(b"older")
    list(restore_leftovers(place.directory, "x"))

    again = list(restore_leftovers(place.directory, "x"))

    assert again == [Leftover("x", "a.bin", restored=False)]
    assert not place.hidden.exists()
    assert place.contents() == {CONTENT, b"older"}


def test_leftovers_are_found_anywhere_below_the_root(tmp_path: Path) -> None:
    """At any depth, links not followed, and a file of that name is nobody's concern."""
    outside = tmp_path / "outside"
    (outside / HIDDEN_FOLDER).mkdir(parents=True)
    (outside / HIDDEN_FOLDER / "a").write_bytes(b"a")
    root = tmp_path / "root"
    for folder in (root / "b", root / "b" / "c" / "d"):
        (folder / HIDDEN_FOLDER).mkdir(parents=True)
        (folder / HIDDEN_FOLDER / "a").write_bytes(b"a")
    (root / "link").symlink_to(outside)
    (root / "e").mkdir()
    (root / "e" / HIDDEN_FOLDER).write_bytes(b"a file")

    found = {(one.folder, one.name, one.restored) for one in restore_tree(root)}

    assert found == {("b", "a", True), ("b/c/d", "a", True)}
    assert (outside / HIDDEN_FOLDER / "a").exists()
    assert (root / "b/c/d/a").exists()


def test_missing_root_has_no_leftovers(tmp_path: Path) -> None:
    """The daemon waits for its root; it does not fail without it."""
    assert list(restore_tree(tmp_path / "missing")) == []


@pytest.mark.parametrize("refusing", ["link and rename", "open"])
def test_read_only_file_system_does_not_end_the_start(
    place: Place, monkeypatch: pytest.MonkeyPatch, refusing: str
) -> None:
    """The daemon must come up and say what is wrong, and the rest must go on."""
    place.hidden.parent.mkdir()
    place.path.rename(place.hidden)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    for call in refusing.split(" and "):
        monkeypatch.setattr(os, call, refuse)
    found = list(restore_leftovers(place.directory, "x"))

    assert [one.restored for one in found] == ([False] if refusing != "open" else [])
    monkeypatch.undo()
    assert place.contents() == {CONTENT}


def test_folder_that_vanishes_meanwhile_has_no_leftovers(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others work in the tree while it is walked."""
    place.hidden.parent.mkdir()

    def refuse(*_: Any, **__: Any) -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(os, "open", refuse)

    assert list(restore_tree(place.folder)) == []


def test_tidy_leaves_what_is_not_empty_and_what_is_not_there(place: Place) -> None:
    """It is called after every job."""
    tidy(place.directory)
    place.hidden.parent.mkdir()
    place.hidden.write_bytes(b"leftover")
    tidy(place.directory)

    assert place.hidden.exists()
    place.hidden.unlink()
    tidy(place.directory)
    assert not place.hidden.parent.exists()


def test_tidy_survives_a_read_only_file_system(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux remounts a disk read-only after errors; the daemon must live to say so."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "rmdir", refuse)

    tidy(place.directory)


def test_old_empty_folders_are_pruned(tmp_path: Path) -> None:
    """Those of the buckets stay, and so does what a writer is about to use."""
    for folder in ("bucket/old/inner", "bucket/young", "bucket/full"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "bucket/full/file").write_bytes(b"x")
    (tmp_path / "empty-bucket").mkdir()
    for path in [*tmp_path.rglob("*"), tmp_path]:
        os.utime(path, (0, 0))
    os.utime(tmp_path / "bucket/young", (950, 950))

    # Removing the inner folder touches the outer one, whose turn comes with its age.
    assert prune_empty(tmp_path, older_than_seconds=100, now=1000) == 1
    os.utime(tmp_path / "bucket/old", (0, 0))
    assert prune_empty(tmp_path, older_than_seconds=100, now=1000) == 1

    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert left == {"bucket", "bucket/young", "bucket/full", "bucket/full/file", "empty-bucket"}
