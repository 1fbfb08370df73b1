"""An append-only file of identifiers, one a line, that people, scripts and daemons share.

What stands in the file is the truth; what is kept in memory only saves reading it again. Rule: an
identifier is reported as written only when it is durable, and a ledger that cannot be read is never
taken for an empty one. These calls block: use them through `anyio.to_thread`.

| found in the file                                | what follows                              |
|--------------------------------------------------|-------------------------------------------|
| no file                                          | empty; unless it was there a moment ago   |
| blank lines, CRLF, spaces, a BOM, duplicates     | tolerated                                 |
| last line without its end, an identifier         | counts; the next append ends it first     |
| last line without its end, a piece of one, NULs  | ignored; the next append ends it first    |
| such a piece between other lines                 | ignored, one warning                      |
| more than half of the lines are something else   | LedgerUnreadable: it is no ledger         |
| not UTF-8, a folder, no permission, a dead link  | LedgerUnreadable                          |
"""

import errno
import fcntl
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from shared.errors import AlreadyRunning, ExitStatus, PermanentError, TransientError
from shared.files import fsync_directory
from shared.ledger_lines import LedgerLines, NotALedger
from shared.lock import find_holder

log: FilteringBoundLogger = structlog.get_logger()

LOCK_SECONDS = 10.0
"""How long an append waits for others that append, which takes each of them milliseconds."""

_PAUSE_SECONDS = 0.005
_REOPENINGS = 5
_LARGEST_BYTES = 64 * 1024 * 1024
_MOST_REPORTED = 20
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
_NOT_LOCKABLE = frozenset({errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})


class LedgerUnreadable(PermanentError):
    """The ledger cannot be used as one; going on would repeat everything that it records."""

    status = ExitStatus.USAGE


class LedgerNotWritten(TransientError):
    """The identifier is not durably in the ledger; a later append may succeed."""


class Ledger:
    """An append-only file of identifiers, one a line.

    `accepts` matches whole identifiers and must not match the beginning of a longer one: a torn
    line would be taken for another identifier. One object may be used by several threads.
    """

    def __init__(
        self,
        path: Path,
        *,
        accepts: re.Pattern[str],
        name: str = "ledger",
        lock_seconds: float = LOCK_SECONDS,
    ) -> None:
        self.path = path
        self._accepts = accepts
        self._name = name
        self._lock_seconds = lock_seconds
        self._threads = threading.RLock()
        self._lines = LedgerLines(accepts)
        self._stamp: tuple[int, ...] | None = None
        self._loaded = False
        self._folder_synced = False
        self._held: int | None = None
        self._reported: set[tuple[int, str]] = set()

    def load(self) -> frozenset[str]:
        """Read the whole file; creates and locks nothing."""
        with self._threads:
            self._forget()
            self.refresh()
            return self._lines.identifiers()

    def refresh(self) -> None:
        """Take in what others appended; one look at the file when nothing changed."""
        with self._threads:
            try:
                descriptor = os.open(self.path, _READ)
            except FileNotFoundError as error:
                self._expect_none(error)
                return
            except OSError as error:
                raise self._unreadable(error) from error
            try:
                self._take_in(descriptor)
            finally:
                os.close(descriptor)

    def append(self, identifier: str) -> bool:
        """Write the identifier durably, then return; False when it stood there already."""
        if self._accepts.fullmatch(identifier) is None or identifier.split() != [identifier]:
            raise ValueError(f"{identifier!r} is no identifier of the {self._name} {self._shown}")
        with self._threads, self._writing() as descriptor:
            self._take_in(descriptor)
            added = identifier not in self._lines
            self._write(descriptor, identifier if added else "")
            return added

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep everybody else from appending until the `with` ends; AlreadyRunning names them.

        A file that had to be made for the lock, and in which nothing was recorded, goes again.
        """
        made = not self.path.exists()
        self._acquire()
        try:
            yield
        finally:
            with self._threads:
                self._release(empty_too=made)

    def __contains__(self, identifier: object) -> bool:
        with self._threads:
            if not self._loaded:
                self.refresh()
            return identifier in self._lines

    def __len__(self) -> int:
        with self._threads:
            if not self._loaded:
                self.refresh()
            return len(self._lines)

    @property
    def _shown(self) -> str:
        """Return the path as messages show it."""
        return repr(str(self.path))

    # Reading

    def _forget(self) -> None:
        """Begin anew; what is in the file decides."""
        self._lines = LedgerLines(self._accepts)
        self._stamp = None
        self._loaded = False

    def _expect_none(self, error: OSError) -> None:
        """Take a missing file for an empty ledger, where that is the likely meaning."""
        if self.path.is_symlink():
            raise LedgerUnreadable(
                f"{self._name} {self._shown} is a link to a file that does not exist; "
                "mount or create what it links to, or remove the link"
            ) from error
        if len(self._lines):
            raise LedgerUnreadable(
                f"{self._name} {self._shown} was there and is gone; "
                "put it back, or start again to begin with an empty one"
            ) from error
        self._loaded = True

    def _take_in(self, descriptor: int) -> None:
        """Read what is new; everything when what was read before has changed."""
        try:
            status = os.fstat(descriptor)
            if self._loaded and _stamp_of(status) == self._stamp:
                return
            self._expect_file(status)
            content = _read(descriptor, status.st_size)
        except OSError as error:
            raise self._unreadable(error) from error
        if not self._lines.continues(content):
            if len(self._lines):
                log.info("ledger_read_anew", ledger=self._name, path=str(self.path))
            self._forget()
        try:
            self._lines.take(content)
        except NotALedger as error:
            self._forget()
            raise LedgerUnreadable(f"{self._name} {self._shown} {error}") from error
        self._stamp = _stamp_of(status)
        self._loaded = True
        self._report()

    def _expect_file(self, status: os.stat_result) -> None:
        """Refuse what cannot be a ledger before it is read."""
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "no plain file"
            raise LedgerUnreadable(f"{self._name} {self._shown} is {what}; name a text file")
        if status.st_size > _LARGEST_BYTES:
            raise LedgerUnreadable(
                f"{self._name} {self._shown} has {status.st_size} bytes, more than any ledger "
                f"({_LARGEST_BYTES}); name the right file"
            )

    def _report(self) -> None:
        """Warn of every line that is no identifier, once and within bounds."""
        for number, text in self._lines.ignored():
            if (number, text) not in self._reported and len(self._reported) < _MOST_REPORTED:
                self._reported.add((number, text))
                log.warning(
                    "ledger_line_ignored",
                    ledger=self._name,
                    path=str(self.path),
                    line=number,
                    text=text,
                )

    # Writing

    def _write(self, descriptor: int, identifier: str) -> None:
        """Append a line, if any, and make the file durable; takes back what failed half way."""
        data = self._lines.encoded(identifier) if identifier else b""
        before = os.fstat(descriptor).st_size
        try:
            if data:
                _write_whole(descriptor, data)
            os.fsync(descriptor)
            if not self._folder_synced:
                fsync_directory(self.path.resolve().parent)
                self._folder_synced = True
        except OSError as error:
            _take_back(descriptor, before, data)
            self._stamp = None
            raise LedgerNotWritten(
                f"{self._name} {self._shown} was not written: {error.strerror}; "
                "nothing is recorded, it is tried again"
            ) from error
        if data:
            self._lines.take_own(data)
            after = os.fstat(descriptor)
            # Another size means that a script appended without a lock: the next look reads.
            self._stamp = _stamp_of(after) if after.st_size == before + len(data) else None

    @contextmanager
    def _writing(self) -> Iterator[int]:
        """Give the locked file, the held one or one that is locked for this append alone."""
        if self._held is not None:
            if not _names(self.path, self._held):
                # Replaced by an editor: the lock must lie on what is guarded.
                held = self._locked(self._lock_seconds)
                os.close(self._held)
                self._held = held
            yield self._held
            return
        try:
            descriptor = self._locked(self._lock_seconds)
        except AlreadyRunning as error:
            raise LedgerNotWritten(str(error)) from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _acquire(self) -> None:
        """Take the lock for as long as the daemon lives."""
        with self._threads:
            if self._held is not None:
                raise AlreadyRunning(f"{self._name} {self._shown} is held by this process already")
            self._held = self._locked(min(1.0, self._lock_seconds))

    def _release(self, *, empty_too: bool) -> None:
        """Give the lock back; before that, remove an empty file if told so."""
        if self._held is None:
            return
        with suppress(OSError):
            # Under the lock: whoever waits for it opens the path anew.
            if empty_too and _names(self.path, self._held) and not os.fstat(self._held).st_size:
                self.path.unlink()
        os.close(self._held)
        self._held = None

    def _locked(self, wait_seconds: float) -> int:
        """Open and lock the file that the path names; again when it was replaced in between."""
        deadline = time.monotonic() + wait_seconds
        for _ in range(_REOPENINGS):
            descriptor = self._opened()
            try:
                self._lock(descriptor, deadline)
                if _names(self.path, descriptor):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
        raise AlreadyRunning(
            f"{self._name} {self._shown} is being replaced all the time; stop who does that"
        )

    def _opened(self) -> int:
        """Open for appending; a missing file is made, unless it was there a moment ago."""
        try:
            return os.open(self.path, _APPEND)
        except FileNotFoundError as error:
            self._expect_none(error)
        except OSError as error:
            raise self._unreadable(error) from error
        try:
            self._folder_synced = False
            return os.open(self.path, _APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise self._unreadable(error) from error

    def _lock(self, descriptor: int, deadline: float) -> None:
        """Lock within bounds; the kernel cannot be asked to wait so long and no longer."""
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    holder = find_holder(descriptor, None)
                    raise AlreadyRunning(
                        f"{self._name} {self._shown} is in use by {holder or 'another process'}; "
                        "stop it first"
                    ) from None
                time.sleep(_PAUSE_SECONDS)
            except OSError as error:
                if error.errno not in _NOT_LOCKABLE:
                    raise self._unreadable(error) from error
                raise LedgerUnreadable(
                    f"{self._name} {self._shown} cannot be locked: {error.strerror}; "
                    "put it on a file system with flock"
                ) from error
            else:
                return

    def _unreadable(self, error: OSError) -> LedgerUnreadable:
        """Say what the system refused."""
        return LedgerUnreadable(
            f"{self._name} {self._shown} cannot be used: {error.strerror}; "
            "make it a readable and writable text file, or name another"
        )


def _stamp_of(status: os.stat_result) -> tuple[int, ...]:
    """Return what changes when a file does."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _names(path: Path, descriptor: int) -> bool:
    """Tell whether the path names the open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _read(descriptor: int, size: int, start: int = 0) -> bytes:
    """Read `size` bytes from `start`, or what there is."""
    parts: list[bytes] = []
    read = 0
    while read < size:
        part = os.pread(descriptor, size - read, start + read)
        if not part:
            break
        parts.append(part)
        read += len(part)
    return b"".join(parts)


def _write_whole(descriptor: int, data: bytes) -> None:
    """Write all of it; a full disk may take a part and refuse the rest."""
    while data:
        data = data[os.write(descriptor, data) :]


def _take_back(descriptor: int, before: int, data: bytes) -> None:
    """Cut off a line that failed, so that the next append writes it anew.

    After a failed fsync the kernel may take pages for clean that never reached the disk. What is
    not the failed line, or a piece of it, is somebody else's and stays.
    """
    with suppress(OSError):
        written = _read(descriptor, len(data) + 1, before)
        if written and data.startswith(written):
            os.ftruncate(descriptor, before)
