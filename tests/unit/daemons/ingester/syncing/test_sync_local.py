"""The local listing: in the order of S3's keys, streaming, and never empty by mistake."""

import os
from pathlib import Path

import pytest

from daemons.ingester.archive.folders import Folder
from daemons.ingester.syncing.entries import Problem
from daemons.ingester.syncing.local import (
    PIECE_FILES,
    LocalListingFailed,
    find_entry,
    list_folder,
    open_entry,
)
from shared.s3.pinned import PinBroken


def lay(root: Path, *paths: str) -> None:
    """Make files."""
    for path in paths:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"x")


def listed(root: Path, folder: Folder = Folder.AUDIO) -> list[str]:
    """Return the paths in the order in which they come."""
    return [entry.path for piece in list_folder(root, folder) for entry in piece.entries]


def problems(root: Path, folder: Folder = Folder.AUDIO) -> list[Problem]:
    """Return what was left out for a reason."""
    return [each for piece in list_folder(root, folder) for each in piece.problems]


def test_paths_come_in_the_order_of_keys_not_of_directories(tmp_path: Path) -> None:
    """`a-b` is before what lies in `a`, because `-` is less than `/`; os.walk says otherwise."""
    paths = [
        "audio/a/1.mp3",
        "audio/a-b/1.mp3",
        "audio/a.mp3",
        "audio/a/b/c.mp3",
        "audio/a/b-c.mp3",
        "audio/a0/1.mp3",
        "audio/ä/1.mp3",
        "audio/\U0001f399/1.mp3",
        "audio/\uffee/1.mp3",
    ]
    lay(tmp_path, *paths)

    assert listed(tmp_path) == sorted(paths, key=str.encode)


def test_a_large_folder_comes_in_pieces(tmp_path: Path) -> None:
    """Facts of a thousand files are in memory, never those of all."""
    lay(tmp_path, *(f"audio/p/{number:05}.mp3" for number in range(PIECE_FILES + 1)))

    assert [len(piece.entries) for piece in list_folder(tmp_path, Folder.AUDIO)] == [PIECE_FILES, 1]


def test_what_does_not_count_is_passed_over(tmp_path: Path) -> None:
    """The contract's list of what is ignored, at any depth, folders too."""
    lay(
        tmp_path,
        "audio/p/one.mp3",
        "audio/p/one.wav",
        "audio/p/.hidden.mp3",
        "audio/.Trash/one.mp3",
        "audio/p/two.mp3.part",
        "audio/p/Thumbs.db",
        "transcripts/.processing-lock.json",
    )

    assert listed(tmp_path) == ["audio/p/one.mp3"]
    assert listed(tmp_path, Folder.TRANSCRIPTS) == []
    assert problems(tmp_path) == []


def test_a_decomposed_name_is_compared_composed_and_opened_as_it_is(tmp_path: Path) -> None:
    """A disk keeps the form it was given, and the same episode must be one path."""
    lay(tmp_path, "audio/Caf\u0065\u0301/e\u0301.mp3")

    (piece,) = list_folder(tmp_path, Folder.AUDIO)

    (entry,) = piece.entries
    assert entry.path == "audio/Café/é.mp3"
    assert entry.name == "audio/Cafe\u0301/e\u0301.mp3"
    os.close(open_entry(tmp_path, entry).descriptor)


def test_of_two_names_that_are_the_same_the_exact_one_takes_part(tmp_path: Path) -> None:
    """A Linux disk can hold both; S3 gets one of them, and the other is named."""
    lay(tmp_path, "audio/p/e\u0301.mp3", "audio/p/é.mp3", "audio/é/1.mp3", "audio/e\u0301/2.mp3")

    assert listed(tmp_path) == ["audio/p/é.mp3", "audio/é/1.mp3"]
    assert {problem.path for problem in problems(tmp_path)} == {
        "audio/p/e\u0301.mp3",
        "audio/e\u0301/",
    }


def test_names_that_no_object_can_have_cost_themselves(tmp_path: Path) -> None:
    """Bytes that are not UTF-8, control characters: reported in words that can be written down."""
    lay(tmp_path, "audio/p/good.mp3", "audio/p/line\nbreak.mp3", "audio/p/back\\slash.mp3")
    (tmp_path / os.fsdecode(b"audio/p/\xff.mp3")).write_bytes(b"x")

    assert listed(tmp_path) == ["audio/p/good.mp3"]
    reasons = [problem.reason.partition(";")[0] for problem in problems(tmp_path)]
    assert sorted(reasons) == [
        "its name holds a backslash",
        "its name holds a control character",
        "its name is not valid UTF-8",
    ]


def test_links_and_pipes_are_named_and_not_followed(tmp_path: Path) -> None:
    """A link may lead out of the archive, and a pipe never ends."""
    lay(tmp_path, "audio/p/one.mp3")
    (tmp_path / "audio/p/link.mp3").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "audio/p/pipe.mp3")

    assert listed(tmp_path) == ["audio/p/one.mp3"]
    assert [problem.path for problem in problems(tmp_path)] == [
        "audio/p/link.mp3",
        "audio/p/pipe.mp3",
    ]


def test_no_folder_yet_is_an_empty_one(tmp_path: Path) -> None:
    """A site begins without any."""
    assert listed(tmp_path) == []
    assert listed(tmp_path / "nowhere") == []


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_folder_that_is_none_is_an_error(tmp_path: Path, kind: str) -> None:
    """Taken for empty, everything would be downloaded again."""
    if kind == "file":
        (tmp_path / "audio").write_bytes(b"x")
    else:
        (tmp_path / "audio").symlink_to(tmp_path)

    with pytest.raises(LocalListingFailed, match="cannot be listed"):
        listed(tmp_path)


def test_a_folder_that_vanishes_under_the_walk_is_an_error(tmp_path: Path) -> None:
    """A drive that goes away in the middle must not make the rest look deleted."""
    lay(tmp_path, *(f"audio/a/{number:05}.mp3" for number in range(PIECE_FILES)), "audio/b/1.mp3")
    pieces = list_folder(tmp_path, Folder.AUDIO)
    next(pieces)

    (tmp_path / "audio/b/1.mp3").unlink()
    (tmp_path / "audio/b").rmdir()

    with pytest.raises(LocalListingFailed):
        list(pieces)


def test_a_file_that_changed_after_it_was_listed_is_not_read_for_it(tmp_path: Path) -> None:
    """What is sent is what was compared."""
    lay(tmp_path, "audio/p/one.mp3")
    entry = find_entry(tmp_path, "audio/p/one.mp3")
    assert entry is not None

    (tmp_path / "audio/p/one.mp3").write_bytes(b"other")

    with pytest.raises(PinBroken):
        open_entry(tmp_path, entry)
