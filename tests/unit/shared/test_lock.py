import errno
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import shared.lock
from shared.errors import AlreadyRunning
from shared.lock import Holder, find_holder, hold_lock

HOLD = """
import sys
from pathlib import Path
from shared.lock import hold_lock
notes = Path(sys.argv[2]) if sys.argv[2] else None
with hold_lock(Path(sys.argv[1]), notes=notes, owner_note="towpath carrier"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def other_process(root: Path, notes: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """Hold the lock in another process until the `with` ends."""
    argv = [sys.executable, "-c", HOLD, str(root), str(notes or "")]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a folder to guard."""
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def test_the_second_is_told_who_is_there(root: Path, tmp_path: Path) -> None:
    """Two daemons on one folder would upload everything twice; the second gives up, politely."""
    with (
        other_process(root, tmp_path) as other,
        pytest.raises(AlreadyRunning) as caught,
        hold_lock(root, notes=tmp_path),
    ):
        pass

    text = str(caught.value)
    assert repr(str(root)) in text
    assert f"process {other.pid} on " in text
    assert "(towpath carrier) since 20" in text
    assert caught.value.status == 5


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux lists its locks")
def test_a_holder_without_a_readable_note_is_found_all_the_same(root: Path, tmp_path: Path) -> None:
    """A unit's state folder cannot be read by the person who starts a copy by hand."""
    with (
        other_process(root) as other,
        pytest.raises(AlreadyRunning, match=f"process {other.pid} on .*python"),
        hold_lock(root, notes=tmp_path),
    ):
        pass


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux lists its locks")
def test_an_old_note_is_not_believed(root: Path, tmp_path: Path) -> None:
    """Naming a process that ended yesterday would send people after a ghost."""
    with hold_lock(root, notes=tmp_path, owner_note="a ghost"):
        pass

    with (
        other_process(root) as other,
        pytest.raises(AlreadyRunning) as caught,
        hold_lock(root, notes=tmp_path),
    ):
        pass

    assert f"process {other.pid} " in str(caught.value)
    assert "ghost" not in str(caught.value)


def test_a_lock_is_free_when_its_holder_was_killed(root: Path, tmp_path: Path) -> None:
    """No lock to remove by hand after a power cut: the kernel frees it, the note is stale."""
    with other_process(root, tmp_path) as other:
        other.kill()
        other.wait(10)

    with hold_lock(root, notes=tmp_path) as lock:
        assert lock.still_guards()

    [note] = tmp_path.glob("lock-*.json")
    assert json.loads(note.read_bytes())["pid"] == os.getpid()


def test_a_lock_ends_with_its_block(root: Path) -> None:
    """The next one in the same process gets it."""
    for _ in range(2):
        with hold_lock(root), pytest.raises(AlreadyRunning), hold_lock(root):
            pass


def test_a_folder_that_cannot_be_written_can_be_locked(root: Path, tmp_path: Path) -> None:
    """A read-only root and a missing notes folder are no obstacle, and no litter is left."""
    root.chmod(0o500)

    with hold_lock(root, notes=tmp_path / "missing"):
        assert not list(root.iterdir())


def test_a_replaced_root_is_noticed(root: Path, tmp_path: Path) -> None:
    """The lock stays on the old folder; whoever works on the new one needs a new lock."""
    with hold_lock(root) as lock:
        root.rename(tmp_path / "old")
        assert not lock.still_guards()
        root.mkdir()
        assert not lock.still_guards()
        with hold_lock(root) as another:
            assert another.still_guards()


def test_a_root_that_is_replaced_while_it_is_locked_is_locked_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise two daemons could each hold the lock of `the` folder."""
    real = fcntl.flock
    calls: list[int] = []

    def flock(descriptor: int, operation: int) -> None:
        if not calls:
            root.rename(tmp_path / "old")
            root.mkdir()
        calls.append(descriptor)
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)

    with hold_lock(root) as lock:
        assert lock.still_guards()
    assert len(calls) == 2


def test_a_root_that_never_stays_is_an_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every loop has a bound."""
    monkeypatch.setattr(shared.lock, "_is_same", lambda _descriptor, _path: False)

    with pytest.raises(AlreadyRunning, match="replaced all the time"), hold_lock(root):
        pass


def test_a_file_system_without_locks_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Going on without a lock would break the promise; the message says what to change."""

    def flock(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", flock)

    with pytest.raises(AlreadyRunning, match="cannot be locked: no locks"), hold_lock(root):
        pass


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"pid": "x"}', b"\xff"])
def test_a_torn_note_is_no_obstacle(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    """The note only makes the message better; without it and without /proc nobody is named."""
    monkeypatch.setattr(shared.lock, "_pid_by_kernel", lambda _descriptor: None)
    note = tmp_path / "note"
    if content is not None:
        note.write_bytes(content)
    descriptor = os.open(root, os.O_RDONLY)

    try:
        assert find_holder(descriptor, note) is None
    finally:
        os.close(descriptor)


def test_the_note_is_believed_where_the_kernel_says_nothing(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On macOS it is all there is."""
    monkeypatch.setattr(shared.lock, "_pid_by_kernel", lambda _descriptor: None)

    with (
        hold_lock(root, notes=tmp_path, owner_note="towpath carrier"),
        pytest.raises(AlreadyRunning, match=rf"process {os.getpid()} on .* \(towpath carrier\)"),
        hold_lock(root, notes=tmp_path),
    ):
        pass


def test_an_unknown_holder_is_described_by_what_is_known() -> None:
    """In another PID namespace there may be nothing but the number."""
    assert str(Holder(12)) == "process 12"
