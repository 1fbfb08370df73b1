import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import shared.files
from shared.files import (
    OutsideRoot,
    contained,
    make_folders,
    open_durably,
    place_without_overwriting,
    write_durably,
)


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """A reader sees the old content or the new one, and no temporary file stays."""
    path = tmp_path / "status.json"
    path.write_bytes(b"old")

    with path.open("rb") as reader:
        write_durably(path, b"new", mode=0o640)

        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["status.json"]


def test_what_is_renamed_is_already_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rename before fsync leaves an empty file after a power cut; the order is the promise."""
    steps: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(descriptor: int) -> None:
        steps.append("fsync")
        real_sync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replace)

    write_durably(tmp_path / "a", b"x")

    assert steps == ["fsync", "rename", "fsync"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk must not cost what was there before."""
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OSError, match="no space left"):
        write_durably(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_what_is_placed_is_durable_whoever_wrote_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A download that nobody synced would be an empty file in the central folder."""
    source, target = tmp_path / "s", tmp_path / "t"
    source.write_bytes(b"x")
    synced: list[tuple[bool, bool]] = []
    real_sync = os.fsync

    def sync(descriptor: int) -> None:
        is_content = os.path.sameopenfile(descriptor, reader.fileno())
        synced.append((is_content, target.exists()))
        real_sync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)

    with source.open("rb") as reader:
        place_without_overwriting(source, target)

    assert synced == [(True, False), (False, True)], "the content, then the name"


@pytest.mark.parametrize("name", ["a.csv", "x" * 255, "\N{LATIN SMALL LETTER E WITH ACUTE}" * 127])
def test_a_stream_gets_its_name_at_the_end(tmp_path: Path, name: str) -> None:
    """Whoever reads meanwhile finds nothing, never a part."""
    target = tmp_path / name

    with open_durably(target, mode=0o600, replace=False) as stream:
        stream.write(b"first ")
        assert not target.exists()
        stream.write(b"second")

    assert target.read_bytes() == b"first second"
    assert target.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_stream_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    """Half a download must not look like a whole one, and must not fill the disk."""
    target = tmp_path / "a"
    target.write_bytes(b"old")

    def break_off() -> None:
        with open_durably(target, replace=True) as stream:
            stream.write(b"half")
            raise OSError("it broke")

    with pytest.raises(OSError, match="broke"):
        break_off()
    assert target.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_a_stream_never_overwrites_unless_told(tmp_path: Path) -> None:
    """Somebody else may have written the name while the bytes came."""
    target = tmp_path / "a"

    def be_late() -> None:
        with open_durably(target, replace=False) as stream:
            stream.write(b"ours")
            target.write_bytes(b"theirs")

    with pytest.raises(FileExistsError):
        be_late()
    assert target.read_bytes() == b"theirs"
    with open_durably(target, replace=True) as stream:
        stream.write(b"ours")
    assert target.read_bytes() == b"ours"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_folders_are_made_durably(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A synced file in a folder that a power cut takes away is lost all the same."""
    synced: list[Path] = []
    monkeypatch.setattr(shared.files, "fsync_directory", synced.append)

    make_folders(tmp_path / "a" / "b" / "c")
    make_folders(tmp_path / "a" / "b" / "c")

    assert (tmp_path / "a" / "b" / "c").is_dir()
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]


def test_a_file_in_the_way_of_a_folder_is_not_replaced(tmp_path: Path) -> None:
    """Nothing that existed is overwritten."""
    (tmp_path / "a").write_bytes(b"old")

    for taken in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(OSError, match="a"):
            make_folders(taken)
    assert (tmp_path / "a").read_bytes() == b"old"


def no_links(*_arguments: object, **_options: object) -> None:
    """Refuse as a file system without hard links does."""
    raise OSError(errno.EPERM, "no hard links here")


def with_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave everything as it is."""


def without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take hard links away."""
    monkeypatch.setattr(os, "link", no_links)


@pytest.mark.parametrize("file_system", [with_links, without_links])
def test_placing_never_overwrites(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file_system: Callable[[pytest.MonkeyPatch], None],
) -> None:
    """A new file that took the name meanwhile is somebody's data."""
    source, taken, free = tmp_path / "s", tmp_path / "taken", tmp_path / "free"
    source.write_bytes(b"mine")
    taken.write_bytes(b"theirs")
    file_system(monkeypatch)

    with pytest.raises(FileExistsError):
        place_without_overwriting(source, taken)
    place_without_overwriting(source, free)

    assert taken.read_bytes() == b"theirs"
    assert free.read_bytes() == b"mine"
    assert not source.exists()


def test_a_system_that_can_do_neither_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain rename would do, and would overwrite: better nothing than that."""
    source = tmp_path / "s"
    source.write_bytes(b"mine")
    without_links(monkeypatch)
    monkeypatch.setattr(shared.files, "_exclusive_rename_call", lambda: None)

    with pytest.raises(OSError, match="neither hard links"):
        place_without_overwriting(source, tmp_path / "t")
    assert source.read_bytes() == b"mine"


def test_other_errors_of_a_link_come_out(tmp_path: Path) -> None:
    """A missing source is no reason to try another system call."""
    with pytest.raises(FileNotFoundError):
        place_without_overwriting(tmp_path / "missing", tmp_path / "t")


def test_the_exclusive_rename_of_macos_is_called_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody runs these tests on a Mac; at least the arguments are right."""
    calls: list[tuple[object, ...]] = []

    class Library:
        @staticmethod
        def renamex_np(*arguments: object) -> int:
            calls.append(arguments)
            return 0

    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", lambda _name, use_errno: Library)

    call = shared.files._exclusive_rename_call()

    assert call is not None
    assert call(b"a", b"b") == 0
    assert calls == [(b"a", b"b", 4)]


OUTSIDE = ("", "/etc/passwd", "..", "../a", "a/../../b", "a/..", "a//b", "a/", "./a", "a/.")
FOREIGN = ("C:/x", "c:x", "a\\..\\b", "a\0b", "x" * 256, "a/" + "é" * 128)


@pytest.mark.parametrize("name", [*OUTSIDE, *FOREIGN])
def test_a_name_that_could_lead_out_is_refused(tmp_path: Path, name: str) -> None:
    """Keys, feeds and manifests are written by others; ours is only what is below the root."""
    with pytest.raises(OutsideRoot):
        contained(tmp_path, name)


@pytest.mark.parametrize(
    "name", ["a", "a/b.png", "..a/b..", "-x", "a b", "é\udcff", "x" * 255, "10:25:30.png"]
)
def test_a_harmless_name_stays_below_the_root(tmp_path: Path, name: str) -> None:
    """Odd names are allowed; S3 keys have them."""
    path = contained(tmp_path, name)

    assert path.relative_to(tmp_path) == Path(name)


@pytest.mark.parametrize("name", ["link", "link/a", "folder/link"])
def test_a_symbolic_link_on_the_way_is_refused(tmp_path: Path, name: str) -> None:
    """Somebody who may write below the root must not lead us out of it."""
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / "link").symlink_to(tmp_path)
    (root / "folder" / "link").symlink_to("missing")

    with pytest.raises(OutsideRoot, match="symbolic link"):
        contained(root, name)


@given(st.text(alphabet=st.sampled_from("ab./\\:~\0é"), max_size=12))
def test_no_name_at_all_leads_out(name: str) -> None:
    """The check is by text; the file system's own resolution must agree with it."""
    root = Path("/nonexistent/root")
    try:
        path = contained(root, name)
    except OutsideRoot:
        return
    assert os.path.normpath(path) == str(path)
    assert path.is_relative_to(root)
    assert path != root
