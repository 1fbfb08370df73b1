"""A writer that does, at any moment, what programs do to a file that is being delivered.

It knows every complete state that its file has had, and which one is the newest. An action happens
at once, as seen by the code under test, except where the kernel makes a writer wait for a lease: a
thread waits then, as the writer would, and goes on once the lease is given up.
"""

import mmap
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

_SETTLED_NS = 1_700_000_000 * 10**9
_STEP_NS = 10 * 10**9
_LIMIT_SECONDS = 20.0


class Act(Enum):
    """What a writer may do; each of them alone is what some program does."""

    NOTHING = "nothing"
    TRUNCATE = "truncate to half"
    APPEND = "append"
    REWRITE = "rewrite in place, same size"
    REWRITE_UNSEEN = "rewrite in place, same size, and put the modification time back"
    REPLACE = "rename another file over it"
    REPLACE_UNSEEN = "rename a file of the same size and modification time over it"
    DELETE = "delete"
    RECREATE = "delete and create"
    HOLD = "open for appending and keep open"
    WRITE_HELD = "append to what is held open"
    MAP = "map it for writing, store a byte and keep it mapped"
    STORE = "store a byte into the mapping, which no time stamp shows"
    LET_GO = "close what is held open"


UNSEEN = {Act.REWRITE_UNSEEN, Act.REPLACE_UNSEEN, Act.STORE}
"""What size, modification time and inode do not show, or not all of them."""


@dataclass(slots=True)
class Writer:
    """One file and its writer."""

    path: Path
    states: list[bytes] = field(default_factory=list)
    """Every complete state, oldest first."""
    newest: bytes | None = None
    """None when the writer itself has removed the file."""
    _now_ns: int = _SETTLED_NS
    _serial: int = 0
    _held: list[int] = field(default_factory=list)
    _maps: list[mmap.mmap] = field(default_factory=list)
    _waiting: list[threading.Thread] = field(default_factory=list)

    def act(self, act: Act) -> None:
        """Do it, or begin to wait where the kernel says so."""
        _ACTS[act](self)

    def settle(self) -> None:
        """Wait for the threads that the kernel made wait."""
        for thread in self._waiting:
            thread.join(_LIMIT_SECONDS)
            assert not thread.is_alive(), "a writer was kept waiting"
        self._waiting.clear()

    def let_go(self) -> None:
        """Close everything."""
        while self._maps:
            self._maps.pop().close()
        while self._held:
            os.close(self._held.pop())

    def create(self, content: bytes) -> None:
        """Make the file, or what is there, this content."""
        self._open(os.O_RDWR | os.O_CREAT | os.O_TRUNC, lambda file: _put(file, content))

    def truncate(self) -> None:
        """Cut it in half."""
        self._open(os.O_RDWR, lambda file: os.ftruncate(file, os.fstat(file).st_size // 2))

    def append(self) -> None:
        """Append a few bytes; a file that is gone begins anew, as a log does."""
        self._open(os.O_RDWR | os.O_APPEND | os.O_CREAT, lambda file: _put(file, self._fresh(7)))

    def rewrite(self) -> None:
        """Write other bytes of the same number over it."""
        self._open(os.O_RDWR, self._overwrite)

    def rewrite_unseen(self) -> None:
        """The same, and put the modification time back."""

        def change(file: int) -> None:
            before = os.fstat(file)
            self._overwrite(file)
            self._put_time_back(file, before)

        self._open(os.O_RDWR, change, stamp=False)

    def replace(self) -> None:
        """Rename another file over it."""
        self._rename_over(self._fresh(30), self._tick())

    def replace_unseen(self) -> None:
        """Rename a file over it that differs in nothing but inode and content."""
        try:
            before = self.path.stat()
        except FileNotFoundError:
            return
        self._rename_over(self._fresh(before.st_size), before.st_mtime_ns)

    def delete(self) -> None:
        """Remove it."""
        self.path.unlink(missing_ok=True)
        self._forget_handles()
        self.newest = None

    def recreate(self) -> None:
        """Remove it and make it anew."""
        self.delete()
        self.create(self._fresh(25))

    def hold(self) -> None:
        """Open it for appending and keep it open."""
        self._open(os.O_RDWR | os.O_APPEND, lambda file: self._held.append(os.dup(file)))

    def write_held(self) -> None:
        """Append through the handle."""
        if self._held:
            file = self._held[-1]
            _put(file, self._fresh(5))
            self._note(file)

    def map(self) -> None:
        """Map it, store a byte, and keep the mapping."""

        def change(file: int) -> None:
            if os.fstat(file).st_size:
                self._maps.append(mmap.mmap(file, 0))
                self._maps[-1][0] = self._fresh(1)[0]

        self._open(os.O_RDWR, change)

    def store(self) -> None:
        """Store a byte into a page that is dirty already: the kernel stamps nothing."""
        # Beyond the end of a file that was cut meanwhile, a store ends the process.
        if self._maps and self.newest is not None and self._maps[-1].size() >= len(self._maps[-1]):
            mapped = self._maps[-1]
            mapped[len(mapped) - 1] = self._fresh(1)[0]
            self._add(bytes(mapped) + self.newest[len(mapped) :])

    def _open(self, flags: int, change: Callable[[int], object], *, stamp: bool = True) -> None:
        """Open it as a writer does; one that meets a lease breaks it and waits in a thread."""
        try:
            file = os.open(self.path, flags | os.O_NONBLOCK, 0o644)
        except FileNotFoundError:
            return
        except BlockingIOError:
            waiting = threading.Thread(target=self._wait_and_change, args=(flags, change, stamp))
            waiting.start()
            self._waiting.append(waiting)
            return
        self._change(file, change, stamp=stamp)

    def _wait_and_change(self, flags: int, change: Callable[[int], object], stamp: bool) -> None:  # noqa: FBT001 - a thread's arguments are positional
        try:
            file = os.open(self.path, flags, 0o644)
        except FileNotFoundError:
            return
        self._change(file, change, stamp=stamp)

    def _change(self, file: int, change: Callable[[int], object], *, stamp: bool) -> None:
        try:
            change(file)
            self._note(file, stamp=stamp)
        finally:
            os.close(file)

    def _note(self, file: int, *, stamp: bool = True) -> None:
        """Stamp the file as if it had been left alone for long, and remember its content."""
        if stamp:
            os.utime(file, ns=(self._now_ns, self._tick()))
        self._add(os.pread(file, os.fstat(file).st_size, 0))

    def _add(self, content: bytes) -> None:
        self.states.append(content)
        self.newest = content

    def _overwrite(self, file: int) -> None:
        os.pwrite(file, self._fresh(os.fstat(file).st_size), 0)

    def _rename_over(self, content: bytes, mtime_ns: int) -> None:
        beside = self.path.with_name(".beside")
        beside.write_bytes(content)
        os.utime(beside, ns=(mtime_ns, mtime_ns))
        beside.replace(self.path)
        self._forget_handles()
        self._add(content)

    def _put_time_back(self, file: int, before: os.stat_result) -> None:
        """Set the old time; change times have the grain of the kernel's clock, so let it tick."""
        deadline = time.monotonic() + _LIMIT_SECONDS
        while time.monotonic() < deadline:
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
            if os.fstat(file).st_ctime_ns != before.st_ctime_ns:
                return
        raise AssertionError("the change time does not move")

    def _forget_handles(self) -> None:
        """What was open is another file now, whose content nobody will miss."""
        self.let_go()

    def _tick(self) -> int:
        self._now_ns += _STEP_NS
        return self._now_ns

    def _fresh(self, size: int) -> bytes:
        """Bytes that were never written before, as far as so many can be."""
        self._serial += 1
        return (f"{self._serial:03d}" * (size // 3 + 1)).encode()[-size:] if size else b""


def _put(file: int, content: bytes) -> None:
    written = os.write(file, content)
    assert written == len(content)


_ACTS: dict[Act, Callable[[Writer], None]] = {
    Act.NOTHING: lambda _: None,
    Act.TRUNCATE: Writer.truncate,
    Act.APPEND: Writer.append,
    Act.REWRITE: Writer.rewrite,
    Act.REWRITE_UNSEEN: Writer.rewrite_unseen,
    Act.REPLACE: Writer.replace,
    Act.REPLACE_UNSEEN: Writer.replace_unseen,
    Act.DELETE: Writer.delete,
    Act.RECREATE: Writer.recreate,
    Act.HOLD: Writer.hold,
    Act.WRITE_HELD: Writer.write_held,
    Act.MAP: Writer.map,
    Act.STORE: Writer.store,
    Act.LET_GO: Writer.let_go,
}
