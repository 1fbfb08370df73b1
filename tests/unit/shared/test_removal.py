import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared import removal
from shared.removal import (
    Removal,
    is_held_open,
    remove_delivered,
    restore_tree,
    tidy,
)
from shared.s3.pinned import open_pinned
from tests.support.removing import (
    CONTENT,
    NAMES,
    OLD_NS,
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


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_delivered_file_is_removed(tmp_path: Path, name: str) -> None:
    """Under any name that a file can have, the longest included."""
    with place_in(tmp_path, name) as place:
        assert place.remove() is Removal.REMOVED
        tidy(place.directory)

    assert list(tmp_path.iterdir()) == []


def test_delivered_file_is_removed_without_a_lease(any_place: Place) -> None:
    """Where there are no leases, comparing must do."""
    assert any_place.remove() is Removal.REMOVED
    assert any_place.contents() == set()


def test_system_without_leases_is_no_obstacle(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MacOS does not even know the name."""
    monkeypatch.delattr(fcntl, "F_SETLEASE")

    assert place.remove() is Removal.REMOVED


@pytest.mark.parametrize("at", ["pinned", "hide"])
def test_replaced_file_stays(any_place: Place, at: str) -> None:
    """The usual way to write a file safely is to rename one over it."""

    def replace() -> None:
        new = any_place.folder / "new"
        new.write_bytes(CONTENT)
        os.utime(new, ns=(OLD_NS, OLD_NS))
        new.replace(any_place.path)

    assert any_place.remove(replace, at) is Removal.CHANGED
    assert any_place.path.exists()
    assert not any_place.hidden.exists()


@pytest.mark.parametrize("at", ["pinned", "hide"])
@pytest.mark.parametrize("kind", ["link", "folder", "full folder", "pipe"])
def test_whatever_took_its_place_is_put_back(any_place: Place, kind: str, at: str) -> None:
    """It need not even be a file."""
    path = any_place.path

    def replace() -> None:
        path.unlink()
        if kind == "link":
            path.symlink_to("elsewhere")
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            path.mkdir()
            if kind == "full folder":
                (path / "inner").write_bytes(b"inner")

    assert any_place.remove(replace, at) is Removal.CHANGED
    assert path.is_symlink() or path.exists()
    assert not any_place.hidden.is_symlink()
    assert not any_place.hidden.exists()


@pytest.mark.parametrize("at", ["pinned", "hide"])
def test_deleted_file_is_gone(any_place: Place, at: str) -> None:
    """Its writer was faster."""
    # Losing its name changes a file's change time, so that the first look may see it already.
    assert any_place.remove(any_place.path.unlink, at) in {Removal.GONE, Removal.CHANGED}
    assert any_place.contents() == set()


@pytest.mark.parametrize("content", [CONTENT + b"more", b"rewritten", b""])
def test_rewritten_file_stays(any_place: Place, content: bytes) -> None:
    """Longer, as long or shorter."""
    assert any_place.remove(lambda: any_place.path.write_bytes(content)) is Removal.CHANGED
    assert any_place.contents() == {content}


def test_rewritten_file_with_its_old_time_stays(any_place: Place) -> None:
    """Copying tools put times back; the change time they cannot."""

    def rewrite() -> None:
        before = any_place.path.stat().st_ctime_ns
        while any_place.path.stat().st_ctime_ns == before:
            any_place.write(b"rewritten")

    assert len(CONTENT) == len(b"rewritten")
    assert any_place.remove(rewrite) is Removal.CHANGED
    assert any_place.contents() == {b"rewritten"}


def test_change_time_is_compared_only_where_it_is_known(place: Place) -> None:
    """Callers that have not looked at it before reading cannot use it."""
    source = open_pinned(place.name, directory=place.directory)
    place.path.chmod(0o600)
    try:
        removed = remove_delivered(place.name, source, directory=place.directory)
    finally:
        os.close(source.descriptor)

    assert removed is Removal.REMOVED


def test_file_that_is_held_open_for_writing_stays(place: Place) -> None:
    """Its writer may append at any moment."""
    with place.path.open("ab") as held:
        assert place.remove() is Removal.HELD_OPEN
        held.write(b" and more")
        held.flush()

        assert place.contents() == {CONTENT + b" and more"}
    assert place.remove() is Removal.REMOVED


def test_held_open_is_seen_and_readers_are_not(place: Place) -> None:
    """A reader is nobody's danger."""
    with place.path.open("rb") as reader:
        assert not is_held_open(reader.fileno())
        with place.path.open("ab"):
            assert is_held_open(reader.fileno())
        assert not is_held_open(reader.fileno())


def test_nobody_is_seen_without_a_lease(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel cannot tell; the window is documented."""
    refuse_leases(monkeypatch)

    with place.path.open("ab") as held:
        assert not is_held_open(held.fileno())


def test_writer_that_opens_meanwhile_is_waited_for(place: Place) -> None:
    """The kernel holds it until the lease is given up, and then it finds its file in its place."""
    source = open_pinned(place.name, directory=place.directory)
    writer = threading.Thread(target=append, args=(place.path,))

    def begin() -> None:
        writer.start()
        deadline = time.monotonic() + 10.0
        while fcntl.fcntl(source.descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK:
            assert time.monotonic() < deadline, "nobody wants to write"

    try:
        removed = remove_delivered(
            place.name,
            source,
            directory=place.directory,
            step=lambda step: begin() if step == "hide" else None,
        )
    finally:
        os.close(source.descriptor)
        writer.join(10)

    assert removed is Removal.CHANGED
    assert place.contents() == {CONTENT + b" and more"}


def append(path: Path) -> None:
    """Append as any program does."""
    with path.open("ab") as file:
        file.write(b" and more")


def test_writer_that_comes_after_the_hiding_begins_a_new_file(any_place: Place) -> None:
    """As if the file had been removed a moment earlier."""
    assert any_place.remove(lambda: append(any_place.path), "unlink") is Removal.REMOVED
    assert any_place.contents() == {b" and more"}


def test_new_file_is_not_overwritten_by_the_one_put_back(any_place: Place) -> None:
    """Two changes within microseconds: both contents are kept."""

    def replace() -> None:
        if any_place.hidden.exists():
            any_place.write(b"newest")
        else:
            any_place.path.unlink()
            any_place.write(b"newer")

    source_step = iter([replace, replace])
    source = open_pinned(any_place.name, directory=any_place.directory)
    try:
        removed = remove_delivered(
            any_place.name,
            source,
            directory=any_place.directory,
            step=lambda step: next(source_step)() if step in {"hide", "compare"} else None,
        )
    finally:
        os.close(source.descriptor)

    assert removed is Removal.CHANGED
    assert any_place.path.read_bytes() == b"newest"
    aside = [path for path in any_place.hidden.parent.rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in aside] == [b"newer"]
    assert aside[0].parent.parent == any_place.hidden.parent, "out of the way of later removals"


def test_earlier_leftover_is_not_overwritten(place: Place) -> None:
    """Nobody knows any more whether it was delivered."""
    place.hidden.parent.mkdir()
    place.hidden.write_bytes(b"leftover")

    assert place.remove() is Removal.IN_THE_WAY
    assert place.contents() == {CONTENT, b"leftover"}


@pytest.mark.parametrize("failing", ["rename", "unlink"])
def test_file_is_where_it_was_when_the_disk_refuses(
    place: Place, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """A folder without permission, a file system that turned read-only."""
    real = getattr(os, failing)
    refusals = [PermissionError(errno.EACCES, "Permission denied")]

    def refuse(*arguments: Any, **keywords: Any) -> object:
        if refusals:
            raise refusals.pop()
        return real(*arguments, **keywords)

    monkeypatch.setattr(os, failing, refuse)

    with pytest.raises(PermissionError):
        place.remove()

    assert place.path.read_bytes() == CONTENT
    assert not place.hidden.exists()


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(
        st.sampled_from(["pinned", *STEPS]), st.sampled_from(["replace", "create", "die"])
    ),
    st.booleans(),
)
def test_nothing_but_the_delivered_content_is_ever_lost(
    tmp_path_factory: pytest.TempPathFactory,
    story: dict[str, str],
    lease: bool,  # noqa: FBT001 - drawn by position
) -> None:
    """Any order of replacing, creating and dying: each content that was not delivered is kept."""
    kept: list[bytes] = []
    with pytest.MonkeyPatch.context() as patch:
        if not lease:
            refuse_leases(patch)
        with place_in(tmp_path_factory.mktemp("story")) as place:

            def act(step: str) -> None:
                match story.get(step):
                    case "die":
                        raise Killed
                    case "replace":
                        if place.path.exists() and place.path.read_bytes() in kept:
                            kept.remove(place.path.read_bytes())
                        kept.append(f"at {step}".encode())
                        new = place.folder / "new"
                        new.write_bytes(kept[-1])
                        new.replace(place.path)
                    case "create" if not place.path.exists():
                        kept.append(f"at {step}".encode())
                        place.path.write_bytes(kept[-1])

            source = open_pinned(place.name, directory=place.directory)
            try:
                act("pinned")
                remove_delivered(place.name, source, directory=place.directory, step=act)
            except Killed:
                pass
            finally:
                os.close(source.descriptor)
            list(restore_tree(place.folder))

            assert place.contents() >= set(kept)


def test_pinned_signal_number_is_the_kernels() -> None:
    """The standard library does not name it; a wrong number would leave SIGIO, which kills."""
    assert removal._F_SETSIG == 10
