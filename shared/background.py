"""Start a daemon in the background and stop it again, without systemd.

The daemon itself holds a lock on its PID file for as long as it lives. Rule: that lock decides
whether it runs, never the number in the file or a pattern on the process table; a stale file and a
PID that now belongs to somebody else are recognised by it.
"""

import fcntl
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Self

from shared.errors import AlreadyRunning, SuiteError, UsageError

_LOOK_SECONDS = 0.05
_KILL_SECONDS = 5.0
_PROBE_SECONDS = 1.0
_TAIL_LINES = 15
_TAIL_BYTES = 16 * 1024


class DiedAtOnce(SuiteError):
    """The daemon ended before it was ready; carries its exit status and its last lines."""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class Stopped(Enum):
    """How stopping went."""

    GRACEFULLY = "stopped"
    KILLED = "killed"
    NOT_RUNNING = "not running"
    STALE = "not running; its PID file was stale"


@dataclass(frozen=True, slots=True)
class Started:
    """A daemon that runs in the background."""

    process: subprocess.Popen[bytes]
    """Kept by the caller, which is its parent until it exits."""
    ready: bool
    """False: it runs, but has not said so within the time given."""

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid


@contextmanager
def hold_pid_file(path: Path) -> Iterator[None]:
    """Be the daemon of this PID file until the `with` ends or the process dies.

    AlreadyRunning says who is it already. The file is removed at the end.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _own(path)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        with suppress(OSError):
            if _is_at(descriptor, path):
                path.unlink()
        os.close(descriptor)


def start_in_background(
    argv: Sequence[str],
    *,
    log_file: Path,
    pid_file: Path,
    environ: Mapping[str, str],
    wait_seconds: float = 20.0,
) -> Started:
    """Start a command that calls `hold_pid_file` and sends READY=1; wait until it has.

    AlreadyRunning if one runs; DiedAtOnce, with the log's last lines, if it ended meanwhile. It
    gets a session of its own, so that closing the terminal does not reach it.
    """
    pid = running_pid(pid_file)
    if pid is not None:
        raise AlreadyRunning(f"process {pid} runs already, says {str(pid_file)!r}; stop it first")
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with _ready_socket() as receiver, log_file.open("ab") as log:
        log_start = log.tell()
        process = subprocess.Popen(  # noqa: S603 - our own executable, no shell
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=_environment(environ, receiver),
        )
        ready = _wait_until_ready(process, receiver, wait_seconds)
    if process.poll() is not None:
        status = process.returncode
        tail = _tail(log_file, log_start)
        raise DiedAtOnce(f"it ended at once with exit status {status}; {log_file}:\n{tail}", status)
    return Started(process, ready)


def stop_background(pid_file: Path, *, grace_seconds: float) -> Stopped:
    """End the daemon of a PID file: SIGTERM, wait, SIGKILL only then; remove the file."""
    pid = running_pid(pid_file)
    if pid is None:
        return Stopped.STALE if _remove_stale(pid_file) else Stopped.NOT_RUNNING
    with _Pinned(pid) as process:
        # If the pinned process still holds the lock, nobody else can get the signals.
        if running_pid(pid_file) != pid:
            return Stopped.NOT_RUNNING
        how = Stopped.GRACEFULLY
        process.send(signal.SIGTERM)
        if not process.wait(pid_file, grace_seconds):
            how = Stopped.KILLED
            process.send(signal.SIGKILL)
            if not process.wait(pid_file, _KILL_SECONDS):
                raise UsageError(
                    f"process {pid} does not end; it hangs in the kernel, see its disk"
                )
    _remove_stale(pid_file)
    return how


def running_pid(pid_file: Path) -> int | None:
    """Return the process that holds the PID file's lock, or None when nobody does."""
    try:
        descriptor = os.open(pid_file, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_pid(descriptor, pid_file)
    else:
        return None
    finally:
        os.close(descriptor)


def _remove_stale(pid_file: Path) -> bool:
    """Remove a PID file that nobody holds; under its lock, so that a new owner keeps his."""
    try:
        descriptor = os.open(pid_file, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(descriptor, pid_file):
            pid_file.unlink()
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _read_pid(descriptor: int, pid_file: Path) -> int:
    """Return the number in a locked PID file, which its owner writes a moment after locking."""
    deadline = time.monotonic() + _PROBE_SECONDS
    while time.monotonic() < deadline:
        text = os.pread(descriptor, 32, 0).strip()
        if text.isdigit() and int(text) > 1:  # 0 and 1 would signal ourselves or init
            return int(text)
        time.sleep(_LOOK_SECONDS)
    raise UsageError(f"{str(pid_file)!r} is locked but has no PID in it; who uses this file?")


def _own(path: Path) -> int:
    """Open the PID file and take its lock, within a bound."""
    deadline = time.monotonic() + _PROBE_SECONDS
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, path):
                return descriptor
        except BlockingIOError:
            # Somebody who only looks holds it for a moment; a daemon holds it for good.
            if time.monotonic() >= deadline:
                os.close(descriptor)
                holder = running_pid(path)
                raise AlreadyRunning(
                    f"process {holder} runs already, says {str(path)!r}; stop it first"
                ) from None
            time.sleep(_LOOK_SECONDS)
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    """Tell whether the path still names the open file; its last owner may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def _ready_socket() -> Iterator[socket.socket]:
    """Listen as a service manager does."""
    with (
        tempfile.TemporaryDirectory(prefix="towpath-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver,
    ):
        receiver.bind(str(Path(folder) / "notify"))
        yield receiver


def _environment(environ: Mapping[str, str], receiver: socket.socket) -> dict[str, str]:
    """Return the daemon's environment: its READY=1 comes to us, not to our own manager."""
    ours = ("WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM", "INVOCATION_ID")
    kept = {name: value for name, value in environ.items() if name not in ours}
    return {**kept, "NOTIFY_SOCKET": receiver.getsockname()}


def _wait_until_ready(
    process: subprocess.Popen[bytes], receiver: socket.socket, seconds: float
) -> bool:
    """Wait for READY=1 or the end of the process."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and process.poll() is None:
        readable, _, _ = select.select([receiver], [], [], min(left, _LOOK_SECONDS))
        if readable and b"READY=1" in receiver.recv(4096).split(b"\n"):
            return True
    return False


def _tail(log_file: Path, start: int) -> str:
    """Return the last lines that were written since `start`."""
    with log_file.open("rb") as log:
        end = log.seek(0, os.SEEK_END)
        log.seek(max(start, end - _TAIL_BYTES))
        lines = log.read(_TAIL_BYTES).decode("utf-8", "backslashreplace").splitlines()
    return "\n".join(lines[-_TAIL_LINES:]) or "(nothing was logged)"


class _Pinned:
    """A process that is meant and no other, also when its number is given to somebody else.

    Where there are no process descriptors (macOS), the lock that has just been looked at must do.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        if hasattr(os, "pidfd_open"):
            with suppress(ProcessLookupError):
                self._descriptor = os.pidfd_open(self._pid)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, to nobody if the process has ended."""
        with suppress(ProcessLookupError):
            if self._descriptor is not None:
                signal.pidfd_send_signal(self._descriptor, number)
            else:
                os.kill(self._pid, number)

    def wait(self, pid_file: Path, seconds: float) -> bool:
        """Wait until it has ended, which also frees its lock; False when it has not in time."""
        if self._descriptor is not None:
            poll = select.poll()
            poll.register(self._descriptor, select.POLLIN)
            return bool(poll.poll(seconds * 1000))
        deadline = time.monotonic() + seconds
        while running_pid(pid_file) == self._pid:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK_SECONDS)
        return True
