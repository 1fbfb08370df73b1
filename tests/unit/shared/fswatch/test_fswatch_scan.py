import os
import socket
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from shared.fswatch import scan
from shared.fswatch.items import OddityKind
from shared.fswatch.names import DEFAULT_RULES, SkipRules, joined
from shared.fswatch.scan import ScanBatch, scan_subtree, scan_tree
from shared.fswatch.tree import Seen, Tree, look_at


def paths(batches: list[ScanBatch]) -> list[str]:
    """All files found, in the order in which they were found."""
    return [file.path for batch in batches for file in batch.files]


def oddities(batches: list[ScanBatch]) -> dict[str, OddityKind]:
    """All oddities found."""
    return {odd.path: odd.kind for batch in batches for odd in batch.oddities}


def open_descriptors() -> int:
    """How many descriptors this process holds."""
    return len(os.listdir("/dev/fd"))  # noqa: PTH208 - a listing, no path is wanted


def test_the_scan_finds_every_regular_file_and_its_identity(tmp_path: Path) -> None:
    """The scan is the truth; what it misses is missed for good."""
    for path in ("bucket/a/b/c.png", "bucket/z", "in_root", "bucket/a.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)

    batches = list(scan_tree(tmp_path, DEFAULT_RULES))

    assert paths(batches) == ["in_root", "bucket/a.png", "bucket/z", "bucket/a/b/c.png"]
    for batch in batches:
        for file in batch.files:
            status = (tmp_path / file.path).stat()
            assert file.identity.inode == status.st_ino
            assert file.identity.size == len(file.path)
            assert file.identity.mtime_ns == status.st_mtime_ns


def test_what_is_no_regular_file_is_an_oddity(tmp_path: Path) -> None:
    """Links, pipes and sockets are named once and never opened: opening a pipe would block."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "to_file").symlink_to("real/file")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        descriptor = os.open(tmp_path, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{descriptor}/socket")
        os.close(descriptor)

    batches = list(scan_tree(tmp_path, DEFAULT_RULES))

    assert paths(batches) == ["real/file"]
    assert oddities(batches) == {
        "loop": OddityKind.SYMLINK,
        "dangling": OddityKind.SYMLINK,
        "to_file": OddityKind.SYMLINK,
        "pipe": OddityKind.SPECIAL,
        "socket": OddityKind.SPECIAL,
    }


def test_hostile_names_come_through_exactly(tmp_path: Path) -> None:
    """What the disk calls a file is what its key will be called."""
    names = [
        "new\nline",
        "-rf",
        "%2F",
        "a..b",
        "caf\u00e9",
        "cafe\u0301",
        "\U0001f9ca",
        "\u05e9\u05dc\u05d5\u05dd",
        "x" * 255,
        "a b+c%d#e?f&g",
        "\\",
    ]
    for name in names:
        (tmp_path / name).touch()

    found = paths(list(scan_tree(tmp_path, DEFAULT_RULES)))

    assert sorted(found) == sorted(names)
    assert found == sorted(found, key=os.fsencode)


def test_names_that_are_not_utf8_are_told_and_delay_nothing(tmp_path: Path) -> None:
    """They cannot be keys; a directory with such a name is told once and not entered."""
    base = os.fsencode(tmp_path)
    os.mkdir(base + b"/dir\xff")  # noqa: PTH102 - pathlib has no paths of bytes
    for name in (b"/dir\xff/inside", b"/file\xfe", b"/good"):
        with open(base + name, "wb"):  # noqa: PTH123 - the same
            pass

    batches = list(scan_tree(tmp_path, DEFAULT_RULES))

    assert paths(batches) == ["good"]
    assert oddities(batches) == {
        "dir\udcff": OddityKind.NOT_UTF8,
        "file\udcfe": OddityKind.NOT_UTF8,
    }


def test_skipped_directories_are_not_entered(tmp_path: Path) -> None:
    """A staging directory is renamed when it is complete; until then nothing in it is a file."""
    for path in ("b/.git/config", "b/run.tmp/x", "b/x.part", "b/kept"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()

    assert paths(list(scan_tree(tmp_path, DEFAULT_RULES))) == ["b/kept"]
    assert len(paths(list(scan_tree(tmp_path, SkipRules((), hidden=False))))) == 4


def test_batches_are_bounded_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing of the bucket can be merged with them, and a huge directory fits in memory."""
    monkeypatch.setattr(scan, "MOST_IN_A_BATCH", 10)
    for number in range(25):
        (tmp_path / f"{number}").touch()

    batches = list(scan_tree(tmp_path, DEFAULT_RULES))

    assert [len(batch.files) for batch in batches] == [10, 10, 5]
    assert [batch.opens_directory for batch in batches] == [True, False, False]
    assert all(one < two for one, two in pairwise(paths(batches)))


@pytest.fixture
def deep_file(tmp_path: Path) -> Iterator[str]:
    """The path of a file 600 directories down; pytest could not remove so deep a tree."""
    names = ["d"] * 600
    descriptors = [os.open(tmp_path, os.O_RDONLY)]
    for name in names:
        os.mkdir(name, dir_fd=descriptors[-1])
        descriptors.append(os.open(name, os.O_RDONLY, dir_fd=descriptors[-1]))
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=descriptors[-1]))
    yield "/".join([*names, "file"])
    os.unlink("file", dir_fd=descriptors[-1])
    for name in reversed(names):
        os.close(descriptors.pop())
        os.rmdir(name, dir_fd=descriptors[-1])
    os.close(descriptors.pop())


def test_a_very_deep_tree_needs_few_descriptors(tmp_path: Path, deep_file: str) -> None:
    """Neither the descriptor limit nor the recursion limit is a way to hide files."""
    before = open_descriptors()

    most, found = 0, []
    for batch in scan_tree(tmp_path, DEFAULT_RULES):
        most = max(most, open_descriptors() - before)
        found += paths([batch])

    assert found == [deep_file]
    assert most <= 20
    assert open_descriptors() == before


def test_a_directory_swapped_for_a_link_is_never_followed(tmp_path: Path) -> None:
    """Whoever may write below the root must not be able to point the daemon elsewhere."""
    root, secret = tmp_path / "root", tmp_path / "secret"
    (root / "a").mkdir(parents=True)
    (root / "b" / "c").mkdir(parents=True)
    secret.mkdir()
    (secret / "key").touch()
    (secret / "c").mkdir()
    (secret / "c" / "key").touch()
    walk = scan_tree(root, DEFAULT_RULES)
    found = [next(walk)]

    (root / "b").rename(tmp_path / "away")
    (root / "b").symlink_to(secret)
    found += list(walk)

    assert paths(found) == []
    assert look_at(root, ["b/key", "b/c/key", "b/nothing"]) == [
        ("b/c/key", Seen.BLOCKED),
        ("b/key", Seen.BLOCKED),
        ("b/nothing", Seen.BLOCKED),
    ]


def test_what_vanishes_during_the_scan_is_no_error(tmp_path: Path) -> None:
    """Writers rename and remove all the time."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "file").touch()
    walk = scan_tree(tmp_path, DEFAULT_RULES)
    batches = [next(walk)]

    (tmp_path / "a").rmdir()
    batches += list(walk)

    assert paths(batches) == ["b/file"]
    assert oddities(batches) == {}


def test_an_unreadable_directory_delays_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One directory that the daemon may not read is named, and the others are scanned."""
    for path in ("a/x", "b/y", "c/z"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).touch()
    # The tests may run as root, whom no mode keeps out.
    really_open = os.open

    def refuse(path: str, flags: int, *, dir_fd: int | None = None) -> int:
        if path == "b":
            raise PermissionError(13, "Permission denied")
        return really_open(path, flags, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refuse)

    batches = list(scan_tree(tmp_path, DEFAULT_RULES))

    assert paths(batches) == ["a/x", "c/z"]
    assert oddities(batches) == {"b": OddityKind.UNREADABLE_DIRECTORY}


def test_a_file_that_cannot_be_looked_at_is_an_oddity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk error at one file is told with the system's own words."""
    for name in ("bad", "good"):
        (tmp_path / name).touch()
    really_stat = os.stat

    def fail(
        path: str, *, dir_fd: int | None = None, follow_symlinks: bool = True
    ) -> os.stat_result:
        if path == "bad":
            raise OSError(5, "Input/output error")
        return really_stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(os, "stat", fail)

    batches = list(scan_tree(tmp_path, DEFAULT_RULES))

    assert paths(batches) == ["good"]
    assert [odd.reason for odd in batches[0].oddities] == ["input/output error"]


def test_a_subtree_is_scanned_like_the_tree(tmp_path: Path) -> None:
    """Paths stay relative to the root, and a subtree that is gone is empty."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").touch()
    (tmp_path / "a" / "other").touch()

    assert paths(list(scan_subtree(tmp_path, "a/b", DEFAULT_RULES))) == ["a/b/file"]
    assert list(scan_subtree(tmp_path, "a/gone", DEFAULT_RULES)) == []
    assert list(scan_subtree(tmp_path, "a/other", DEFAULT_RULES)) == []
    with pytest.raises(FileNotFoundError):
        list(scan_tree(tmp_path / "gone", DEFAULT_RULES))


def test_looks_survive_a_root_that_is_gone(tmp_path: Path) -> None:
    """A root unmounted between the event and the look is seen as empty, and nothing follows."""
    assert look_at(tmp_path / "gone", ["a"]) == [("a", Seen.NOTHING)]


def test_a_tree_keeps_few_directories_open(tmp_path: Path) -> None:
    """Descriptors stay bounded over a wide tree, and evicted ones are found again."""
    names = [joined(f"d{number}", "e") for number in range(40)]
    for name in names:
        (tmp_path / name).mkdir(parents=True)
    before = open_descriptors()

    with Tree(tmp_path) as tree:
        seen = [tree.look(name) for name in names * 2]
        assert open_descriptors() - before <= 20

    assert set(seen) == {Seen.DIRECTORY}
    assert open_descriptors() == before
