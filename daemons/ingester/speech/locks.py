"""One worker an episode: lock files that workers on several machines see.

| the lock file                                        | is                         |
|------------------------------------------------------|----------------------------|
| is not there                                         | free                       |
| names a process of this machine that has ended       | stale                      |
| was not refreshed for two hours, whoever holds it    | stale                      |
| anything else                                        | held                       |
| cannot be read                                       | judged by its time on disk |

It appears whole, by a hard link, so that of two creators one wins. What is stale is replaced and
what is ours is refreshed and removed under a kernel's lock on the folder, so that nobody ever
removes the lock that another has just taken. Whoever holds a lock refreshes it while it works.

These calls block: use them through `anyio.to_thread`.
"""

import fcntl
import json
import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.files import make_folders, open_durably, write_durably

STALE_AFTER = timedelta(hours=2)
_BYTES_MAX = 4096
_STARTED_FIELD = 19
"""Of /proc/PID/stat, counted from what follows the command's name."""


@dataclass(frozen=True, slots=True)
class LockOwner:
    """What a lock file says."""

    pid: int
    host: str
    at: datetime
    """When it was taken or last refreshed."""
    started: str = ""
    """When the process began, as its kernel counts: another one may get the same id."""
    token: str = ""
    """Random, one a lock taken."""

    def __str__(self) -> str:
        return (
            f"process {self.pid} on {self.host or 'an unknown host'} since {self.at:%H:%M:%S} UTC"
        )

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        return json.dumps(
            {
                "pid": self.pid,
                "host": self.host,
                "time": self.at.isoformat(),
                "started": self.started,
                "token": self.token,
            }
        ).encode()


def parse_owner(body: bytes) -> LockOwner | None:
    """Read a lock file; None where it is none."""
    try:
        found = json.loads(body)
        at = datetime.fromisoformat(found["time"])
        return LockOwner(
            int(found["pid"]),
            str(found["host"]),
            at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC),
            str(found.get("started", "")),
            str(found.get("token", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def is_stale(owner: LockOwner, now: datetime, *, here: str, start_of: Callable[[int], str]) -> bool:
    """Say whether a lock may be taken over; `start_of` is "" for a process that has ended."""
    # Either way: a clock that was wrong when the lock was taken must not keep it for ever.
    if abs(now - owner.at) >= STALE_AFTER:
        return True
    if owner.host != here:
        return False
    started = start_of(owner.pid)
    return not started or owner.started not in ("", started)


class EpisodeLock:
    """A lock that is held until it is released."""

    def __init__(self, path: Path, owner: LockOwner, now: Callable[[], datetime]) -> None:
        self._path = path
        self._owner = owner
        self._now = now

    def refresh(self) -> bool:
        """Say that we still work; False when the lock is not ours any more."""
        with _guarding(self._path.parent):
            if not self._is_ours():
                return False
            mine = _new_owner(self._now(), self._owner.token)
            write_durably(self._path, mine.to_bytes())
            return True

    def release(self) -> None:
        """Remove the lock, unless it has become another's."""
        with _guarding(self._path.parent):
            if self._is_ours():
                self._path.unlink(missing_ok=True)

    def _is_ours(self) -> bool:
        found = _read(self._path)
        return found is not None and found.token == self._owner.token


def take_lock(
    path: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> EpisodeLock | LockOwner:
    """Take the lock of this name, or return who holds it."""
    make_folders(path.parent)
    mine = _new_owner(now(), secrets.token_hex(8))
    if _create(path, mine):
        return EpisodeLock(path, mine, now)
    with _guarding(path.parent):
        found = _read(path)
        if found is not None and not is_stale(
            found, now(), here=socket.gethostname(), start_of=process_start
        ):
            return found
        # Somebody may have removed it meanwhile, and somebody else taken it: then he is found.
        if found is None and not _create(path, mine):
            return _read(path) or mine
        if found is not None:
            write_durably(path, mine.to_bytes())
    return EpisodeLock(path, mine, now)


def lock_path(folder: Path, podcast_id: str, file_key: str) -> Path:
    """Return where the lock of an episode lies."""
    return folder / podcast_id / f"{file_key}.lock"


def process_start(pid: int) -> str:
    """Return when a process of this machine began, in its kernel's words; "" when it has ended."""
    if pid <= 0:
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except (PermissionError, OverflowError):
        pass
    if sys.platform != "linux":
        return "unknown"
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return text.rpartition(")")[2].split()[_STARTED_FIELD]
    except (OSError, IndexError):
        return "unknown"


def _new_owner(now: datetime, token: str) -> LockOwner:
    pid = os.getpid()
    return LockOwner(pid, socket.gethostname(), now, process_start(pid), token)


def _create(path: Path, owner: LockOwner) -> bool:
    try:
        with open_durably(path, replace=False) as stream:
            stream.write(owner.to_bytes())
    except FileExistsError:
        return False
    return True


def _read(path: Path) -> LockOwner | None:
    """Return who holds a lock; None when there is none."""
    try:
        with path.open("rb") as stream:
            body = stream.read(_BYTES_MAX)
            changed = os.fstat(stream.fileno()).st_mtime
    except FileNotFoundError:
        return None
    return parse_owner(body) or LockOwner(0, "", datetime.fromtimestamp(changed, UTC))


@contextmanager
def _guarding(folder: Path) -> Iterator[None]:
    """Be alone with the locks of a folder, for the moment that it takes to look and write."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
