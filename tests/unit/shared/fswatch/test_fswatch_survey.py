import os
from pathlib import Path

import pytest

from shared.fswatch import events
from shared.fswatch.events import EventsUnavailable
from shared.fswatch.names import DEFAULT_RULES


def listed(root: Path) -> set[str]:
    """The directories that would be watched one by one."""
    return set(events._survey(root, DEFAULT_RULES).listed)


def test_a_plain_tree_is_watched_recursively(tmp_path: Path) -> None:
    """Then the system itself follows new directories, and nothing has to be armed again."""
    (tmp_path / "b/c").mkdir(parents=True)
    (tmp_path / "b/link").symlink_to("/etc/passwd")
    (tmp_path / "b/dangling").symlink_to("nowhere")

    assert listed(tmp_path) == set()


def test_a_link_to_a_directory_makes_it_a_list_without_the_link(tmp_path: Path) -> None:
    """Recursion would follow it, out of the root; in a skipped directory too."""
    (tmp_path / "b/c").mkdir(parents=True)
    (tmp_path / ".cache/deep").mkdir(parents=True)
    (tmp_path / ".cache/deep/link").symlink_to("/")

    assert listed(tmp_path) == {"", "b", "b/c"}


def test_an_unreadable_directory_makes_it_a_list_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recursion fails altogether at a directory that the daemon may not read."""
    (tmp_path / "b/c").mkdir(parents=True)
    (tmp_path / "closed").mkdir()
    really_open = os.open

    def refuse(path: str, flags: int, *, dir_fd: int | None = None) -> int:
        if path == "closed":
            raise PermissionError(13, "Permission denied")
        return really_open(path, flags, dir_fd=dir_fd)

    # The tests may run as root, whom no mode keeps out.
    monkeypatch.setattr(os, "open", refuse)

    assert listed(tmp_path) == {"", "b", "b/c"}


def test_too_long_a_list_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arming by list costs its length each time a directory is made; polling costs less then."""
    monkeypatch.setattr(events, "_MOST_LISTED", 3)
    for number in range(4):
        (tmp_path / f"{number}").mkdir()
    assert listed(tmp_path) == set()
    (tmp_path / "link").symlink_to("/")

    with pytest.raises(EventsUnavailable, match="symbolic links"):
        listed(tmp_path)
    with pytest.raises(EventsUnavailable, match="no such file"):
        listed(tmp_path / "gone")
