"""The small process that stands between the daemon and one external command.

Its arguments: TIME TERM MEMORY FILE KEEP DIRECTORY COMMAND...; `-` is no limit, and the folder we
are in.

A daemon with threads must not run Python between fork and exec, and is not there to clean up when
it was killed. The keeper has neither threads nor a loop: it forks, sets limits, executes, reads all
output and keeps the end of it, and ends every process that the command started before it reports.
Rule: it imports nothing of the suite and as little as possible, because each command pays for it.

It stops the command when its time is over, and when its own stdin ends: that is the daemon's wish,
or the daemon's death. On Linux it is the subreaper of everything below, so that a process which
left the group and the session is still found; elsewhere such a process gets away.
"""

# The public `signal` and `ctypes` take longer to import than the interpreter takes to start; what
# they are made of has what is needed here.
import _signal as signal  # type: ignore[import-not-found]
import os
import select
import sys
import time

MARK = b"towpath-keeper"
"""Begins the report: `MARK kind number timed_out milliseconds`, then the end of the output."""

_NOTHING = "-"
_PIECE = 65536
_SWEEP_SECONDS = 5.0
_SET_PDEATHSIG = 1
_SET_CHILD_SUBREAPER = 36
_LONGEST_WAIT_MS = 10_000


class Watch:
    """One command from its start to the last of its processes."""

    def __init__(self, time_seconds: float, term_seconds: float, keep_bytes: int) -> None:
        self._term_seconds = term_seconds
        self._keep_bytes = keep_bytes
        self._deadline = time.monotonic() + time_seconds
        self._signals = [signal.SIGTERM, signal.SIGKILL]
        self._tail = bytearray()
        self.timed_out = False

    @property
    def tail(self) -> bytes:
        """The end of what the command wrote."""
        return bytes(self._tail[-self._keep_bytes :]) if self._keep_bytes else b""

    def attend(self, pid: int, output: int, wake: int) -> None:
        """Return when the command has ended, by itself or not; at the latest when given up."""
        poll = select.poll()
        for descriptor in (0, output, wake):
            poll.register(descriptor, select.POLLIN)
        while not _has_ended(pid):
            left = self._deadline - time.monotonic()
            if left <= 0 and not self._press(pid, timed_out=len(self._signals) == 2):  # noqa: PLR2004 - none sent yet
                return
            ready = poll.poll(max(0, min(left * 1000 + 1, _LONGEST_WAIT_MS)))
            for descriptor, _ in ready:
                if descriptor == wake:
                    os.read(wake, _PIECE)
                elif descriptor == output and not self.read(output):
                    poll.unregister(output)
                elif descriptor == 0 and not os.read(0, _PIECE):
                    poll.unregister(0)
                    self._stop(pid)

    def read(self, output: int) -> bool:
        """Take what is there, keep the end; False when nothing more can come."""
        try:
            piece = os.read(output, _PIECE)
        except BlockingIOError:
            return True
        self._tail += piece
        if len(self._tail) > 2 * self._keep_bytes + _PIECE:
            del self._tail[: -self._keep_bytes or None]
        return bool(piece)

    def _stop(self, pid: int) -> None:
        """Ask the command to end before its time."""
        if len(self._signals) == 2:  # noqa: PLR2004 - none sent yet
            self._press(pid, timed_out=False)

    def _press(self, pid: int, *, timed_out: bool) -> bool:
        """Send the next stronger signal; False when there is none."""
        self.timed_out |= timed_out
        if not self._signals:
            return False
        _signal_group(pid, self._signals.pop(0))
        self._deadline = time.monotonic() + (
            self._term_seconds if self._signals else _SWEEP_SECONDS
        )
        return True


def start(argv: list[str]) -> None:
    """Be the keeper, then end without taking the interpreter apart, which nobody waits for."""
    keep(argv)
    os._exit(0)


def keep(argv: list[str]) -> None:
    """Run one command and report."""
    began = time.monotonic()
    # Whoever started us may have let descriptors through, another command's stdin among them.
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _prctl(_SET_CHILD_SUBREAPER, 1)
    wake = _wake_on_child()
    output, into = os.pipe()
    os.set_blocking(output, False)
    time_seconds, term_seconds, keep_bytes = float(argv[0]), float(argv[1]), int(argv[4])
    watch = Watch(time_seconds, term_seconds, keep_bytes)
    pid, failure = _start(argv, into)
    os.close(into)
    if not failure:
        watch.attend(pid, output, wake)
    _signal_group(pid, signal.SIGKILL)
    status = _reap(pid)
    _end_survivors()
    for _ in range(1024 * 1024 // _PIECE):
        if not watch.read(output):
            break
    kind = failure or (b"ended %d" % status if status is not None else b"left 0")
    took = int((time.monotonic() - began) * 1000)
    _say(b"%s %s %d %d\n%s" % (MARK, kind, watch.timed_out, took, watch.tail))


def _say(report: bytes) -> None:
    """Write the report; nobody may be left to read it."""
    try:
        while report:
            report = report[os.write(1, report) :]
    except OSError:
        pass


def _wake_on_child() -> int:
    """Return a descriptor that becomes readable when a child ends."""
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return wake


def _start(argv: list[str], into: int) -> tuple[int, bytes]:
    """Start the command; returns its process and why it could not be executed, if so."""
    told, telling = os.pipe()
    keeper = os.getpid()
    pid = os.fork()
    if pid == 0:
        stage = b"directory"
        try:
            _prepare(argv, into, keeper)
            stage = b"execute"
            os.execvpe(argv[6], argv[6:], os.environ)  # noqa: S606 - the point of it: no shell
        except OSError as error:
            os.write(telling, b"%s %d" % (stage, error.errno or 0))
        finally:
            os._exit(127)
    os.close(telling)
    failure = os.read(told, 100)
    os.close(told)
    return pid, failure


def _prepare(argv: list[str], into: int, keeper: int) -> None:
    """Make the forked child what the command expects: own session, no input, limits."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(into, 1)
    os.dup2(into, 2)
    signal.set_wakeup_fd(-1)
    for number in (
        signal.SIGTERM,
        signal.SIGINT,
        signal.SIGHUP,
        signal.SIGCHLD,
        signal.SIGPIPE,
        signal.SIGXFSZ,
    ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _limit(argv[2], argv[3])
    _prctl(_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:
        os._exit(127)
    if argv[5] != _NOTHING:
        os.chdir(argv[5])


def _limit(memory: str, file: str) -> None:
    """Set the limits of the command and of each process it starts."""
    import resource  # noqa: PLC0415 - after the fork, and only there

    for name, text in (("RLIMIT_DATA", memory), ("RLIMIT_FSIZE", file), ("RLIMIT_CORE", "0")):
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        if text != _NOTHING:
            value = int(text) if hard == resource.RLIM_INFINITY else min(int(text), hard)
            resource.setrlimit(kind, (value, value))


def _prctl(option: int, value: int) -> None:
    """Set an attribute of this process, where the system has it."""
    if sys.platform != "linux":
        return
    try:
        import _ctypes  # noqa: PLC0415 - as late as possible, see above
    except ImportError:
        return
    # None is the program itself, as in `ctypes.CDLL(None)`; the stub does not know that.
    call = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]
    _ctypes.call_function(call, (option, value, 0, 0, 0))


def _has_ended(pid: int) -> bool:
    """Tell whether the command has ended, without reaping it: its group keeps its number."""
    if not hasattr(os, "waitid"):
        return _reap(pid) is not None
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return True
        if found is None or found.si_pid == pid:
            return found is not None
        os.waitpid(found.si_pid, os.WNOHANG)  # an orphan that ended by itself


_reaped: dict[int, int] = {}


def _reap(pid: int) -> int | None:
    """Return how the command ended, as `subprocess` numbers it."""
    if pid not in _reaped:
        try:
            found, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return None
        if found:
            _reaped[pid] = os.waitstatus_to_exitcode(status)
    return _reaped.get(pid)


def _signal_group(pid: int, number: int) -> None:
    """Signal whoever is left of the command's group."""
    _kill(-pid, number)


def _kill(pid: int, number: int) -> None:
    """Send a signal; whoever it is for may be gone."""
    try:  # noqa: SIM105 - contextlib would be one more import
        os.kill(pid, number)
    except OSError:
        pass


def _end_survivors() -> None:
    """Kill what the command left behind until there is no child; within bounds."""
    deadline = time.monotonic() + _SWEEP_SECONDS
    while time.monotonic() < deadline:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            for descendant in _descendants():
                _kill(descendant, signal.SIGKILL)
            time.sleep(0.002)


def _descendants() -> list[int]:
    """Return every process below this one."""
    children: dict[int, list[int]] = {}
    for pid in _processes():
        children.setdefault(_parent_of(pid), []).append(pid)
    found, todo = [], [os.getpid()]
    while todo:
        below = children.pop(todo.pop(), [])
        found += below
        todo += below
    return found


def _processes() -> list[int]:
    """Return every process that can be seen."""
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - pathlib would be one more import
    except OSError:
        return []


def _parent_of(pid: int) -> int:
    """Return the parent of a process; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - the same
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0
