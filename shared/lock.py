"""One instance at a time: a lock on the very thing that is guarded, not on a name beside it.

A folder is locked through its own descriptor, so a unit and a copy started by hand meet whatever
their state folders are, and a read-only folder can be locked too. Rule: the kernel's lock decides;
what is written about the holder only makes the message better.
"""

import errno
import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from shared.errors import AlreadyRunning
from shared.files import write_durably

_NOT_LOCKABLE = frozenset({errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL})
_LONGEST_COMMAND = 200
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock."""

    pid: int
    host: str = ""
    command: str = ""
    since: str = ""

    def __str__(self) -> str:
        """Return it as the end of a sentence."""
        where = f" on {self.host}" if self.host else ""
        what = f" ({self.command})" if self.command else ""
        when = f" since {self.since}" if self.since else ""
        return f"process {self.pid}{where}{what}{when}"


class HeldLock:
    """A lock that is held until the `with` ends or the process dies."""

    def __init__(self, descriptor: int, guarded: Path) -> None:
        self._descriptor = descriptor
        self.guarded = guarded

    def still_guards(self) -> bool:
        """Tell whether the path still names what is locked; not so once it was replaced."""
        return _is_same(self._descriptor, self.guarded)


@contextmanager
def hold_lock(
    guarded: Path,
    *,
    notes: Path | None = None,
    owner_note: str = "",
    advice: str = "stop it first, or name another folder",
) -> Iterator[HeldLock]:
    """Hold the lock on a folder or file that exists; AlreadyRunning names who holds it.

    `notes` is a folder in which the holder leaves a line about itself; without it, or where
    another user's notes cannot be read, Linux's own list of locks is asked. `owner_note` replaces
    the command line there. `advice` is what somebody is told who comes second.
    """
    note = (
        None
        if notes is None
        else notes / f"lock-{sha256(os.fsencode(guarded.resolve())).hexdigest()[:16]}.json"
    )
    descriptor = _locked_descriptor(guarded, note, advice)
    try:
        _leave_note(note, owner_note)
        yield HeldLock(descriptor, guarded)
    finally:
        os.close(descriptor)


def _locked_descriptor(guarded: Path, note: Path | None, advice: str) -> int:
    """Open and lock; again when the thing was replaced between the two."""
    for _ in range(_ATTEMPTS):
        descriptor = os.open(guarded, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _lock(descriptor, guarded, note, advice)
            if _is_same(descriptor, guarded):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise AlreadyRunning(f"{str(guarded)!r} is being replaced all the time; stop who does that")


def _lock(descriptor: int, guarded: Path, note: Path | None, advice: str) -> None:
    """Take the lock at once or say who has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = find_holder(descriptor, note)
        who = str(holder) if holder else "another process"
        raise AlreadyRunning(f"{str(guarded)!r} is in use by {who}; {advice}") from None
    except OSError as error:
        if error.errno not in _NOT_LOCKABLE:
            raise
        reason = error.strerror
        raise AlreadyRunning(
            f"{str(guarded)!r} cannot be locked: {reason}; use a file system with flock"
        ) from error


def _is_same(descriptor: int, path: Path) -> bool:
    """Tell whether a path names the open file."""
    try:
        found, held = path.stat(), os.fstat(descriptor)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)


def _leave_note(note: Path | None, owner_note: str) -> None:
    """Write down who we are; nobody depends on it, so it may fail."""
    if note is None:
        return
    me = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": owner_note or " ".join(sys.argv)[:_LONGEST_COMMAND],
        "since": _now(),
    }
    with suppress(OSError):
        write_durably(note, json.dumps(me).encode() + b"\n")


def _now() -> str:
    """Return the time as people read it."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def is_held(guarded: Path) -> bool:
    """Tell whether somebody holds the lock on a folder or file now; not so where there is none.

    The kernel's list is asked first: a look must not be in the way of somebody who starts.
    """
    try:
        descriptor = os.open(guarded, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if _pid_by_kernel(descriptor) is not None:
            return True
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _NOT_LOCKABLE
    else:
        return False
    finally:
        os.close(descriptor)


def find_holder(descriptor: int, note: Path | None) -> Holder | None:
    """Find out who holds the lock on an open file: the kernel's word before the written one."""
    pid = _pid_by_kernel(descriptor)
    written = _read_note(note)
    if pid is None:
        return written
    if written is not None and written.pid == pid:
        return written
    return Holder(pid, socket.gethostname(), _command_of(pid), _start_of(pid))


def _pid_by_kernel(descriptor: int) -> int | None:
    """Look the lock up in /proc/locks: `1: FLOCK  ADVISORY  WRITE 812 fe:00:6422529 0 EOF`."""
    status = os.fstat(descriptor)
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
    pids: dict[str, int] = {}
    for line in lines:
        fields = line.split()
        if len(fields) > 5 and fields[1] == "FLOCK" and fields[4].isdecimal():  # noqa: PLR2004 - columns
            pids[fields[5]] = int(fields[4])
    exact = pids.get(f"{device}:{status.st_ino}")
    # On overlay and btrfs the list has another device number than stat; the inode must do then.
    alike = [pid for place, pid in pids.items() if place.endswith(f":{status.st_ino}")]
    return exact or (alike[0] if len(alike) == 1 else None) or None


def _read_note(note: Path | None) -> Holder | None:
    """Read what the holder wrote, if anything readable is there."""
    if note is None:
        return None
    try:
        found = json.loads(note.read_bytes())
        return Holder(
            int(found["pid"]), *(str(found[name]) for name in ("host", "command", "since"))
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _command_of(pid: int) -> str:
    """Return a process's command line, or nothing."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return raw.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")[:_LONGEST_COMMAND]


def _start_of(pid: int) -> str:
    """Return when a process started, or nothing."""
    try:
        seconds = Path(f"/proc/{pid}").stat().st_mtime
    except OSError:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
