import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from daemons.watcher.workspace import open_workspace, remove_tree
from shared.errors import UsageError


def test_each_watcher_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Two of them on one machine never write among each other's files."""
    with ExitStack() as stack:
        opened = [stack.enter_context(open_workspace(tmp_path / "work")) for _ in range(3)]

        assert [one.number for one in opened] == [1, 2, 3]
        assert len({one.instance for one in opened}) == 3


def test_a_folder_of_somebody_else_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A root that this user may not write into is a mistake of the installation, and exit 2."""
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)

    with (
        pytest.raises(UsageError, match="may not be written into") as found,
        open_workspace(tmp_path / "work"),
    ):
        pass

    assert repr(str(tmp_path / "work")) in str(found.value)


def test_a_folder_keeps_its_instance_over_lives(tmp_path: Path) -> None:
    """That name proves that the former owner of a lease is dead."""
    with open_workspace(tmp_path) as first:
        pass
    with open_workspace(tmp_path) as second:
        assert (second.number, second.instance) == (1, first.instance)


@pytest.mark.parametrize("content", [b"", b"{", b'{"instance": "../x"}', b"[]", b'{"a": 1}'])
def test_a_damaged_name_is_replaced(tmp_path: Path, content: bytes) -> None:
    """A power cut may leave an empty file; the watcher starts all the same."""
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "instance.json").write_bytes(content)

    with open_workspace(tmp_path) as opened:
        named = opened.instance
    with open_workspace(tmp_path) as again:
        assert again.instance == named


def test_leftovers_are_named_and_swept(tmp_path: Path) -> None:
    """A former life's files go; what is no CID is somebody else's and stays."""
    with open_workspace(tmp_path) as opened:
        place = opened.begin("00042")
        (place.out_root / "shard").write_text("x")
        (opened.folder / "notes.txt").write_text("mine")

        assert opened.leftovers() == ["00042"]
        opened.sweep()

        assert sorted(path.name for path in opened.folder.iterdir()) == [
            "instance.json",
            "notes.txt",
        ]


def test_a_new_attempt_never_shares_a_folder_with_an_old_one(tmp_path: Path) -> None:
    """A killed life's step may write for seconds more, and must not write into this one."""
    with open_workspace(tmp_path) as opened:
        first, second = opened.begin("00042"), opened.begin("00042")

        assert first.folder != second.folder
        assert not first.folder.exists()
        second.clear()
        assert opened.leftovers() == []


def test_removing_never_follows_a_link(tmp_path: Path) -> None:
    """A step could otherwise have any folder of the user's removed."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "link").symlink_to(tmp_path / "precious")
    (tmp_path / "direct").symlink_to(tmp_path / "precious")

    remove_tree(tmp_path / "job")
    remove_tree(tmp_path / "direct")
    remove_tree(tmp_path / "nothing")

    assert [path.name for path in tmp_path.rglob("*")] == ["precious", "file"]
