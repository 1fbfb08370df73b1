"""The keepers of a process: one for each command that runs, used again for the next.

To start an interpreter costs ten times what a small command costs, so a keeper (`commands_keeper`)
that has reported waits for another command. Nothing needs to be opened or closed: the first command
starts the first keeper, and keepers end with this process, whichever way that ends. Rule: whatever
is unusual, a command that was cancelled or a report that is not whole, ends the keeper.
"""

import atexit
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import anyio

MOST_IDLE = 4
"""So many keepers wait for commands; one more is not worth its memory."""

_FOLDER = str(Path(__file__).resolve().parent)
# Imported rather than run as a script, so that its compiled form is used where there is one.
_START = "import sys; sys.path.append(sys.argv[1]); from commands_keeper import start; start()"
_PIECE = 65536
_FAREWELL_SECONDS = 2.0


class Keeper:
    """One keeper, as seen from here."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair()
        self.has_ended = False
        """Its line has ended, so that nothing of it is left."""
        try:
            self._line.settimeout(0)
            # Safe beside threads, as a fork is not. Its tracebacks come on the line, too.
            self._pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", "-c", _START, _FOLDER],
                os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), n) for n in (0, 1, 2)],
                setsid=True,
                setsigmask=(),
            )
        except OSError:
            self._line.close()
            raise
        finally:
            theirs.close()

    def is_idle(self) -> bool:
        """Tell whether it still waits: it says nothing and has not ended."""
        try:
            self.has_ended = not self._line.recv(_PIECE)
        except BlockingIOError:
            return True
        except OSError:
            self.has_ended = True
        return False

    async def send(self, request: bytes) -> None:
        """Send what is asked for; if it has died, `receive` tells."""
        rest = memoryview(request)
        while rest:
            try:
                rest = rest[self._line.send(rest) :]
            except BlockingIOError:
                await anyio.wait_writable(self._line)
            except OSError:
                return

    async def receive(self) -> bytes:
        """Return what it says next; nothing at its end."""
        while True:
            await anyio.wait_readable(self._line)
            try:
                piece = self._line.recv(_PIECE)
            except BlockingIOError:
                continue
            except OSError:
                piece = b""
            self.has_ended = not piece
            return piece

    def stop(self) -> None:
        """Let it end the command, which takes the grace, and itself."""
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_WR)

    def kill(self) -> None:
        """Kill it, which does not react any more; the command dies with it."""
        if not self.has_ended:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def dismiss(self) -> int | None:
        """Let go of it; return how it ended, as `subprocess` numbers it, None when it has not."""
        self._line.close()
        # Whose line has ended is just ending itself.
        status = _reap(self._pid, 0 if self.has_ended else os.WNOHANG)
        if status is None and not self.has_ended:
            _dismissed.add(self._pid)
        return status

    def wait(self) -> None:
        """Let it end, which does nothing; blocks for seconds at most."""
        self._line.settimeout(_FAREWELL_SECONDS)
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_WR)
            while self._line.recv(_PIECE):
                pass
            self.has_ended = True
        self.dismiss()

    def forget(self) -> None:
        """Let go of a keeper that belongs to the process that forked this one."""
        self._line.close()


_idle: list[Keeper] = []
_dismissed: set[int] = set()
"""Who was still there when nobody waited for it any longer."""


def take_keeper() -> Keeper:
    """Return a keeper that waits for a request, for the caller alone; OSError if there is none."""
    for pid in tuple(_dismissed):
        if _reap(pid, os.WNOHANG) is not None:
            _dismissed.discard(pid)
    while _idle:
        keeper = _idle.pop()
        if keeper.is_idle():
            return keeper
        keeper.dismiss()
    return Keeper()


def return_keeper(keeper: Keeper) -> None:
    """Keep a keeper that has reported for the next command, unless enough are waiting."""
    if len(_idle) < MOST_IDLE:
        _idle.append(keeper)
    else:
        keeper.dismiss()


def end_idle_keepers() -> None:
    """End the keepers that have nothing to do; the next command starts a new one."""
    while _idle:
        _idle.pop().wait()


def _reap(pid: int, options: int) -> int | None:
    """Return how a process of ours ended; None when it has not, or nobody knows."""
    try:
        found, status = os.waitpid(pid, options)
    except ChildProcessError:
        _dismissed.discard(pid)
        return None
    return os.waitstatus_to_exitcode(status) if found else None


def _forget() -> None:
    """Let go, in a forked child, of keepers that belong to the parent."""
    while _idle:
        _idle.pop().forget()
    _dismissed.clear()


atexit.register(end_idle_keepers)
os.register_at_fork(after_in_child=_forget)
