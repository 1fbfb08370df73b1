import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemons.uploader.parked import ParkedFiles

NOW = datetime(2024, 11, 3, tzinfo=UTC)
REASON = "it cannot be read"


@pytest.fixture
def parked(tmp_path: Path) -> ParkedFiles:
    """Park one file of two."""
    (tmp_path / "bad").write_bytes(b"x")
    (tmp_path / "good").write_bytes(b"x")
    files = ParkedFiles(tmp_path)
    assert files.park("bad", REASON, NOW)
    return files


def test_parked_file_is_held_and_others_are_not(parked: ParkedFiles) -> None:
    """One bad file delays nothing else."""
    assert parked.holds("bad")
    assert not parked.holds("good")
    assert [(file.path, file.reason, file.since) for file in parked] == [("bad", REASON, NOW)]
    assert len(parked) == 1


def test_same_reason_is_no_news(parked: ParkedFiles) -> None:
    """One line a file, not one a scan."""
    assert not parked.park("bad", REASON, NOW)
    assert parked.park("bad", "another reason", NOW)
    assert [file.reason for file in parked] == ["another reason"]


@pytest.mark.parametrize("change", ["content", "mode", "replaced"])
def test_changed_file_is_let_go(parked: ParkedFiles, tmp_path: Path, change: str) -> None:
    """Whoever mends it need not tell the daemon."""
    path = tmp_path / "bad"
    before = path.stat().st_ctime_ns
    while path.stat().st_ctime_ns == before:
        # The kernel's clock may not have ticked since the file was made.
        if change == "content":
            path.write_bytes(b"yy")
        elif change == "mode":
            path.chmod(0o600)
        else:
            (tmp_path / "new").write_bytes(b"x")
            (tmp_path / "new").replace(path)

    assert not parked.holds("bad")
    assert len(parked) == 0


def test_request_lets_all_go(parked: ParkedFiles) -> None:
    """`--retry-parked` tries everything once more."""
    assert parked.release_all() == 1
    assert not parked.holds("bad")
    assert parked.park("bad", REASON, NOW)


def test_gone_file_is_forgotten_at_the_end_of_a_pass(parked: ParkedFiles, tmp_path: Path) -> None:
    """The status names what needs a person now."""
    (tmp_path / "bad").unlink()

    parked.end_pass()

    assert len(parked) == 0


def test_file_that_is_told_of_only_once_stays_parked(parked: ParkedFiles) -> None:
    """A name that is not UTF-8 is no candidate again, and is still there after a hundred scans."""
    for _ in range(3):
        parked.end_pass()

    assert [file.path for file in parked] == ["bad"]


def test_name_that_is_not_utf8_can_be_parked(tmp_path: Path) -> None:
    """That is one of the two reasons for which a file is parked at all."""
    name = os.fsdecode(b"bad\xff")
    (tmp_path / name).write_bytes(b"x")
    parked = ParkedFiles(tmp_path)

    assert parked.park(name, "the name is not valid UTF-8", NOW)
    parked.end_pass()

    assert parked.holds(name)


def test_memory_is_bounded(
    parked: ParkedFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million unreadable files are a million lines, not a million entries."""
    monkeypatch.setattr("daemons.uploader.parked._REMEMBERED_MAX", 1)

    assert parked.park("good", REASON, NOW)

    assert len(parked) == 1
    assert not parked.holds("good")
