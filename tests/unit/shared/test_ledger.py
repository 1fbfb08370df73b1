import errno
import fcntl
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from shared.errors import AlreadyRunning, PermanentError
from shared.ledger import Ledger, LedgerNotWritten, LedgerUnreadable

CID = re.compile(r"[0-9]{5}")
CIDS = st.integers(0, 30).map(lambda number: f"{number:05d}")
NOT_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")


def ledger_at(path: Path, lock_seconds: float = 0.0) -> Ledger:
    """Return a ledger of CIDs."""
    return Ledger(path, accepts=CID, name="ledger of sent CIDs", lock_seconds=lock_seconds)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a ledger may be."""
    return tmp_path / ".sent_cids"


def test_what_was_appended_is_there_for_everybody(path: Path) -> None:
    """One line an identifier, also for `sort` and `grep`."""
    ledger = ledger_at(path)

    assert ledger.append("02104")
    assert ledger.append("00001")
    assert not ledger.append("02104")

    assert path.read_bytes() == b"02104\n00001\n"
    assert "00001" in ledger
    assert "00002" not in ledger
    assert len(ledger) == 2
    assert ledger_at(path).load() == {"02104", "00001"}


def test_reading_makes_nothing_and_locks_nothing(path: Path) -> None:
    """`--plan` and `towpath status` must not disturb."""
    reader = ledger_at(path)
    assert reader.load() == frozenset()
    assert not path.exists()

    with ledger_at(path).held():
        reader.refresh()
        assert "02104" not in reader
        assert len(reader) == 0


def test_an_unread_ledger_is_read_before_it_answers(path: Path) -> None:
    """Forgetting `load` must not look like an empty ledger."""
    path.write_text("02104\n")

    assert "02104" in ledger_at(path)
    assert len(ledger_at(path)) == 1


@pytest.mark.parametrize("text", ["2104", "02104\n", " 02104", "", "02104 00001", "x"])
def test_only_identifiers_are_appended(path: Path, text: str) -> None:
    """A line that no reader accepts would be an effect without a record."""
    with pytest.raises(ValueError, match="is no identifier of the ledger of sent CIDs"):
        ledger_at(path).append(text)
    assert not path.exists()


@pytest.mark.parametrize("torn", [b"0000", b"00001", b"\0\0\0", b"0\0\0", b"0000\r"])
def test_a_torn_line_never_melts_with_the_next(path: Path, torn: bytes) -> None:
    """`0210` and `00003` must not become `021000003`, nor the new one be lost."""
    path.write_bytes(b"02104\n" + torn)
    ledger = ledger_at(path)

    ledger.append("00003")

    assert path.read_bytes() == b"02104\n" + torn + b"\n00003\n"
    assert ledger_at(path).load() == {"02104", "00003"} | ({"00001"} if torn == b"00001" else set())


def test_a_torn_line_is_reported_once(path: Path) -> None:
    """Each pass reads the ledger; the operator needs to hear it once."""
    path.write_bytes(b"02104\n021")
    ledger = ledger_at(path)

    with capture_logs() as logs:
        ledger.load()
        ledger.load()
        ledger.append("00003")
        ledger.load()

    assert [entry for entry in logs if entry["event"] == "ledger_line_ignored"] == [
        {
            "event": "ledger_line_ignored",
            "log_level": "warning",
            "ledger": "ledger of sent CIDs",
            "path": str(path),
            "line": 2,
            "text": "021",
        }
    ]


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    """Nor is a pipe, which would hang."""
    os.mkfifo(tmp_path / "pipe")

    for name in (".", "pipe"):
        with pytest.raises(LedgerUnreadable) as caught:
            ledger_at(tmp_path / name).load()
        with pytest.raises(LedgerUnreadable):
            ledger_at(tmp_path / name).append("02104")
        assert caught.value.status == 2
        assert isinstance(caught.value, PermanentError)


@pytest.mark.parametrize("content", [b'{"a": 1}\n', b"\xff\xfe", b"a\nb\n02104\n"])
def test_another_file_is_no_ledger(path: Path, content: bytes) -> None:
    """Nothing is appended to it either."""
    path.write_bytes(content)
    ledger = ledger_at(path)

    for _ in range(2):
        with pytest.raises(LedgerUnreadable, match=re.escape(repr(str(path)))):
            ledger.load()
        with pytest.raises(LedgerUnreadable):
            ledger.append("02104")
        with pytest.raises(LedgerUnreadable):
            _ = "02104" in ledger
    assert path.read_bytes() == content


@NOT_ROOT
def test_permissions_are_explained(path: Path) -> None:
    """A ledger of another user stops the daemon; one that is only readable can be read."""
    path.write_text("02104\n")
    path.chmod(0o400)
    assert ledger_at(path).load() == {"02104"}
    with pytest.raises(LedgerUnreadable, match=r"[Pp]ermission denied; make it"):
        ledger_at(path).append("00001")
    with pytest.raises(LedgerUnreadable, match=r"[Pp]ermission denied"), ledger_at(path).held():
        pass
    path.chmod(0)
    with pytest.raises(LedgerUnreadable, match=r"[Pp]ermission denied"):
        ledger_at(path).load()


def test_an_endless_file_is_not_read(path: Path) -> None:
    """Memory is bounded whatever the setting names."""
    path.touch()
    os.truncate(path, 10**12)

    with pytest.raises(LedgerUnreadable, match="1000000000000 bytes"):
        ledger_at(path).load()


def test_a_link_is_followed_and_stays(path: Path, tmp_path: Path) -> None:
    """People keep the ledger on another disk."""
    target = tmp_path / "disk" / "cids"
    target.parent.mkdir()
    path.symlink_to(target)
    with pytest.raises(LedgerUnreadable, match="link to a file that does not exist"):
        ledger_at(path).load()
    with pytest.raises(LedgerUnreadable, match="link to a file that does not exist"):
        ledger_at(path).append("02104")
    target.touch()

    ledger_at(path).append("02104")

    assert path.is_symlink()
    assert target.read_text() == "02104\n"


def test_a_ledger_that_vanishes_is_not_empty(path: Path) -> None:
    """An unmounted disk must not make the daemon send everything again."""
    ledger = ledger_at(path)
    ledger.append("02104")
    path.unlink()

    with pytest.raises(LedgerUnreadable, match="was there and is gone"):
        ledger.refresh()
    with pytest.raises(LedgerUnreadable, match="was there and is gone"):
        ledger.append("00001")
    assert not path.exists()
    assert ledger.load() == frozenset()


def append_a_line(path: Path) -> None:
    """Do what the old script does."""
    with path.open("a") as file:
        file.write("00009\n")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (append_a_line, {"02104", "00001", "00009"}),
        (lambda path: path.write_text("00001\n"), {"00001"}),
        (lambda path: path.write_text("02104\n00007\n"), {"02104", "00007"}),
        (lambda path: path.write_text("00007\n00001\n00008\n"), {"00007", "00001", "00008"}),
        (lambda path: path.write_text(""), set()),
    ],
)
def test_what_others_did_to_the_file_is_seen(
    path: Path, change: Callable[[Path], object], expected: set[str]
) -> None:
    """Appended by a script, or edited by hand: the file is the truth."""
    ledger = ledger_at(path)
    ledger.append("02104")
    ledger.append("00001")

    change(path)
    ledger.refresh()

    assert {cid for cid in expected | {"02104", "00001"} if cid in ledger} == expected
    assert ledger.append("00042")
    assert ledger_at(path).load() == expected | {"00042"}


def test_a_file_that_an_editor_replaced_is_locked_anew(path: Path, tmp_path: Path) -> None:
    """Appending to the old file would be lost; leaving the new one unlocked lets a second in."""
    ledger = ledger_at(path)
    with ledger.held():
        ledger.append("02104")
        other = tmp_path / "edited"
        other.write_text("00007\n")
        other.replace(path)

        assert ledger.append("00001")

        assert path.read_text() == "00007\n00001\n"
        assert "02104" not in ledger
        with pytest.raises(AlreadyRunning), ledger_at(path).held():
            pass
    with ledger_at(path).held():
        pass


def test_a_hold_leaves_no_empty_file_behind(path: Path) -> None:
    """A daemon that was started in the wrong folder must not leave a ledger there."""
    ledger = ledger_at(path)

    with ledger.held():
        assert path.exists()
    assert not path.exists()
    with ledger.held():
        ledger.append("00001")
    assert path.read_text() == "00001\n"
    path.write_text("")
    with ledger_at(path).held():
        pass
    assert path.read_text() == ""


def test_the_holder_appends_and_nobody_else(path: Path) -> None:
    """The lock of a life and the lock of an append are one: no order in which they could block."""
    ledger, other = ledger_at(path), ledger_at(path)

    with ledger.held():
        assert ledger.append("02104")
        with pytest.raises(LedgerNotWritten, match=f"in use by process {os.getpid()}"):
            other.append("00001")
        with pytest.raises(AlreadyRunning, match=re.escape(repr(str(path)))) as caught:
            other.held().__enter__()
        assert caught.value.status == 5
        with pytest.raises(AlreadyRunning), ledger.held():
            pass
        assert ledger.append("00003")

    assert other.append("00001")
    assert ledger_at(path).load() == {"02104", "00001", "00003"}


def test_a_file_system_without_locks_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two watchers without a lock would melt their lines."""

    def flock(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", flock)

    with pytest.raises(LedgerUnreadable, match="cannot be locked: no locks available; put it on"):
        ledger_at(path).append("02104")


def test_a_hundred_thousand_identifiers_are_loaded_in_no_time(path: Path) -> None:
    """Status and each start read them; an append does not read them again."""
    path.write_text("".join(f"{number:05d}\n" for number in range(100_000)))
    ledger = ledger_at(path)

    began = time.process_time()
    assert len(ledger.load()) == 100_000
    took = time.process_time() - began

    assert took < 0.3  # 0.03 on an idle machine; here others may be running


def test_an_append_reads_nothing_when_nobody_else_wrote(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cost of an append must not grow with the ledger."""
    ledger = ledger_at(path)
    ledger.append("02104")

    def pread(*_: object) -> bytes:
        raise AssertionError("read again")

    monkeypatch.setattr(os, "pread", pread)

    assert ledger.append("00001")
    ledger.refresh()
    assert not ledger.append("02104")


@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(st.tuples(st.integers(0, 1), CIDS), max_size=20))
def test_two_writers_agree(tmp_path: Path, steps: Sequence[tuple[int, str]]) -> None:
    """Watchers of one machine share a ledger: none repeats or loses what the other recorded."""
    path = tmp_path / "shared"
    path.unlink(missing_ok=True)
    ledgers = [ledger_at(path), ledger_at(path)]
    known: list[str] = []

    for which, cid in steps:
        assert ledgers[which].append(cid) is (cid not in known)
        known += [] if cid in known else [cid]

    assert (path.read_text() if known else "") == "".join(f"{cid}\n" for cid in known)
    for ledger in ledgers:
        ledger.refresh()
        assert all(cid in ledger for cid in known)
        assert len(ledger) == len(known)


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lives=st.lists(
        st.tuples(st.lists(CIDS, min_size=1, max_size=6), st.integers(0, 7), st.integers(0, 4)),
        max_size=3,  # more torn lines than that, and hardly another, are no ledger
    )
)
def test_a_crash_loses_at_most_the_line_being_written(
    tmp_path: Path, lives: Sequence[tuple[Sequence[str], int, int]]
) -> None:
    """Cut anywhere in its last line, filled with NULs: nothing else lost, nothing made up."""
    path = tmp_path / "torn"
    path.unlink(missing_ok=True)
    durable: set[str] = set()
    for cids, cut, nuls in lives:
        ledger = ledger_at(path)
        for cid in cids[:-1]:
            ledger.append(cid)
        durable |= set(cids[:-1])
        size = path.stat().st_size if path.exists() else 0
        ledger.append(cids[-1])
        os.truncate(path, max(size, path.stat().st_size - cut))
        with path.open("ab") as file:
            file.write(b"\0" * nuls)

        found = ledger_at(path).load()

        assert durable <= found <= durable | {cids[-1]}
        durable = set(found)
