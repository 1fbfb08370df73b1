"""The small process that stands between the daemon and one external command at a time.

A daemon with threads must not run Python between fork and exec, and is not there to clean up when
it was killed. The keeper has neither threads nor a loop: it forks, sets limits, executes, reads all
output and keeps the end of it, and ends every process that the command started before it reports.
Then it waits for the next command. Rule: it imports nothing of the suite and as little as possible,
because a small process is started and forked faster.

Its stdin and stdout are a socket to the daemon. A request is its length in four bytes, then fields
with NULs between, as `Request` has them. Whatever comes before the report, and be it the socket's
end, is the daemon's wish to stop, or its death: the command is stopped as when its time is over. On
Linux the keeper is the subreaper of everything below, so that a process which left the group and
the session is still found; elsewhere such a process gets away.
"""

# The public `signal` and `ctypes` are large; what they are made of has what is needed here.
import _signal as signal  # type: ignore[import-not-found]
import os
import resource
import select
import sys
import time
import warnings  # noqa: F401 - `os.get_exec_path` imports it, after each fork unless it is here

MARK = b"towpath-keeper"
"""Begins the report: `MARK kind number timed_out milliseconds again length`, then as many bytes of
the output's end. `again` tells whether the keeper waits for another request.
"""

NOTHING = b"-"
"""Stands for no limit."""
LENGTH_BYTES = 4
"""How long a request's length is."""

_PIECE = 65536
_SWEEP_SECONDS = 5.0
_SET_PDEATHSIG = 1
_SET_CHILD_SUBREAPER = 36
_LONGEST_WAIT_MS = 10_000


class Request:
    """What is asked for: TIME TERM MEMORY FILE KEEP DIRECTORY COUNT, COUNT words, NAME=VALUE..."""

    def __init__(self, fields: list[bytes]) -> None:
        self.time_seconds, self.term_seconds = float(fields[0]), float(fields[1])
        self.limits = (
            (resource.RLIMIT_DATA, fields[2]),
            (resource.RLIMIT_FSIZE, fields[3]),
            (resource.RLIMIT_CORE, b"0"),
        )
        self.keep_bytes = int(fields[4])
        self.folder = fields[5]
        end = 7 + int(fields[6])
        self.words = fields[7:end]
        self.environment: dict[bytes, bytes] = {}
        for item in fields[end:]:
            name, _, value = item.partition(b"=")
            self.environment[name] = value


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
                elif descriptor == 0:
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


def start() -> None:
    """Be a keeper, then end without taking the interpreter apart, which nobody waits for."""
    # Whoever started us may have let descriptors through, another command's socket among them, and
    # may have a folder that is to be unmounted one day.
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir("/")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _prctl(_SET_CHILD_SUBREAPER, 1)
    wake = _wake_on_child()
    while (request := _receive()) is not None and keep(request, wake):
        pass
    os._exit(0)


def keep(request: Request, wake: int) -> bool:
    """Run one command and report; False when something is left that must not meet the next one."""
    began = time.monotonic()
    output, into = os.pipe()
    os.set_blocking(output, False)
    watch = Watch(request.time_seconds, request.term_seconds, request.keep_bytes)
    _reaped.clear()
    pid, failure = _start(request, into)
    os.close(into)
    if not failure:
        watch.attend(pid, output, wake)
    _signal_group(pid, signal.SIGKILL)
    status = _reap(pid)
    alone = _end_survivors()
    for _ in range(1024 * 1024 // _PIECE):
        if not watch.read(output):
            break
    os.close(output)
    kind = failure or (b"ended %d" % status if status is not None else b"left 0")
    took = int((time.monotonic() - began) * 1000)
    facts = (MARK, kind, watch.timed_out, took, alone, len(watch.tail))
    _say(b"%s %s %d %d %d %d\n" % facts + watch.tail)
    return alone


def _receive() -> Request | None:
    """Read the request; None when whoever asks has gone."""
    text = bytearray()
    missing = LENGTH_BYTES
    while missing > 0:
        piece = _read(min(missing, _PIECE))
        if not piece:
            return None
        text += piece
        whole = LENGTH_BYTES + int.from_bytes(text[:LENGTH_BYTES], "big")
        missing = (whole if len(text) >= LENGTH_BYTES else LENGTH_BYTES) - len(text)
    return Request(bytes(text[LENGTH_BYTES:]).split(b"\0"))


def _read(longest: int) -> bytes:
    """Read from the daemon; nothing at the end, however it came."""
    try:
        return os.read(0, longest)
    except OSError:
        return b""


def _say(text: bytes) -> None:
    """Write the report; nobody may be left to read it."""
    try:
        while text:
            text = text[os.write(1, text) :]
    except OSError:
        pass


def _wake_on_child() -> int:
    """Return a descriptor that becomes readable when a child ends."""
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return wake


def _start(request: Request, into: int) -> tuple[int, bytes]:
    """Start the command; returns its process and why it could not be executed, if so."""
    told, telling = os.pipe()
    keeper = os.getpid()
    pid = os.fork()
    if pid == 0:
        stage = b"directory"
        try:
            _prepare(request, into, keeper)
            stage = b"execute"
            os.execvpe(request.words[0], request.words, request.environment)  # noqa: S606 - the point of it: no shell
        except OSError as error:
            os.write(telling, b"%s %d" % (stage, error.errno or 0))
        finally:
            os._exit(127)
    os.close(telling)
    failure = os.read(told, 100)
    os.close(told)
    return pid, failure


def _prepare(request: Request, into: int, keeper: int) -> None:
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
    _limit(request)
    _prctl(_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:
        os._exit(127)
    os.chdir(request.folder)


def _limit(request: Request) -> None:
    """Set the limits of the command and of each process it starts."""
    for kind, text in request.limits:
        hard = resource.getrlimit(kind)[1]
        if text != NOTHING:
            value = int(text) if hard == resource.RLIM_INFINITY else min(int(text), hard)
            resource.setrlimit(kind, (value, value))


def _prctl(option: int, value: int) -> None:
    """Set an attribute of this process, where the system has it."""
    if sys.platform != "linux":
        return
    try:
        import _ctypes  # noqa: PLC0415 - not every interpreter has it
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


def _end_survivors() -> bool:
    """Kill what the command left behind until there is no child; False if some do not end."""
    deadline = time.monotonic() + _SWEEP_SECONDS
    while time.monotonic() < deadline:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return True
        if pid == 0:
            for descendant in _descendants():
                _kill(descendant, signal.SIGKILL)
            time.sleep(0.002)
    return False


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
