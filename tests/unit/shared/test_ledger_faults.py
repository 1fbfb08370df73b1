import errno
import os
import re
from pathlib import Path

import pytest

from shared.errors import TransientError
from shared.ledger import Ledger, LedgerNotWritten


def ledger_at(path: Path) -> Ledger:
    """Return a ledger of CIDs."""
    return Ledger(path, accepts=re.compile(r"[0-9]{5}"))


def append_a_line(path: Path) -> None:
    """Do what the old script does."""
    with path.open("a") as file:
        file.write("00009\n")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a ledger may be."""
    return tmp_path / ".sent_cids"


def test_a_full_disk_is_no_success_and_is_repaired(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a line was written; the effect is not recorded, and can be recorded later."""
    real = os.write
    ledger = ledger_at(path)
    ledger.append("02104")
    room = [3, 0]

    def write(descriptor: int, data: bytes) -> int:
        fits = room.pop(0)
        if not fits:
            raise OSError(errno.ENOSPC, "no space left on device")
        return real(descriptor, data[:fits])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(LedgerNotWritten, match="no space left on device") as caught:
        ledger.append("00001")
    assert isinstance(caught.value, TransientError)
    assert "00001" not in ledger
    assert path.read_bytes() == b"02104\n"

    monkeypatch.setattr(os, "write", real)
    assert ledger.append("00001")
    assert path.read_bytes() == b"02104\n00001\n"


def test_a_piece_that_cannot_be_taken_back_is_ended(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails may refuse the repair too."""
    real = os.write

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "input/output error")

    def write(descriptor: int, data: bytes) -> int:
        if data == b"01\n":
            raise OSError(errno.EIO, "input/output error")
        return real(descriptor, data[:3] if data == b"00001\n" else data)

    ledger = ledger_at(path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write)
        patched.setattr(os, "ftruncate", refuse)
        with pytest.raises(LedgerNotWritten):
            ledger.append("00001")
    assert path.read_bytes() == b"000"

    assert ledger.append("00001")
    assert path.read_bytes() == b"000\n00001\n"


def test_a_failed_fsync_is_no_success(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second fsync may succeed without having written: the line must be written anew."""
    ledger = ledger_at(path)
    ledger.append("02104")

    def fsync(_descriptor: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        with pytest.raises(LedgerNotWritten):
            ledger.append("00001")
    assert "00001" not in ledger
    assert path.read_bytes() == b"02104\n"

    assert ledger.append("00001")


def test_what_a_script_wrote_meanwhile_is_not_taken_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old scripts append without a lock."""
    ledger = ledger_at(path)
    ledger.append("02104")

    def write(_descriptor: int, _data: bytes) -> int:
        append_a_line(path)
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write)
        with pytest.raises(LedgerNotWritten):
            ledger.append("00001")

    assert path.read_bytes() == b"02104\n00009\n"


def test_every_append_is_synced_and_a_new_file_with_its_folder(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that stood there already: its writer may have been killed before its fsync."""
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.path.realpath(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    ledger = ledger_at(path)
    ledger.append("02104")
    ledger.append("00001")
    ledger.append("00001")

    if Path("/proc/self/fd").exists():
        assert synced == [str(path), str(path.parent), str(path), str(path)]
