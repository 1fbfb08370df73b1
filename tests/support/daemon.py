"""A daemon as a process of its own: start it, wait for what it says, end it.

Nothing here sleeps. Every wait ends with a line of the daemon's log, with its end, or, after a
limit, with an AssertionError that shows the last lines.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, Protocol

from tests.support.nursery import Birth

LIMIT_SECONDS = 30.0
"""How long anybody waits here, unless told otherwise: a machine may be very busy."""

PROJECT = Path(__file__).resolve().parents[2]
_LINES_SHOWN = 12
_LINE_SHOWN = 700
_FRAME = ("level", "service", "timestamp")
_KEPT = ("HOME", "LANG", "PATH", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")


def clean_environment() -> dict[str, str]:
    """Return what every daemon needs and nothing of the person who runs the tests."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log."""

    name: str
    level: str
    fields: Mapping[str, Any]
    at: float
    """When it was read, on the monotonic clock."""

    def __str__(self) -> str:
        """Return it as a line; of a traceback only the end, which says what it was."""
        shown = {name: value for name, value in self.fields.items() if name not in _FRAME}
        text = f"{self.level} {self.name} {shown}"
        return text if len(text) <= _LINE_SHOWN else f"{text[:200]} ... {text[200 - _LINE_SHOWN :]}"

    def has(self, wanted: Mapping[str, object]) -> bool:
        """Say whether it has these fields with these values."""
        return all(name in self.fields and self.fields[name] == wanted[name] for name in wanted)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str


class Process(Protocol):
    """A process that was started, by whatever means."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def wait(self, timeout: float) -> int:
        """Wait for its exit status, negative for a signal; TimeoutError or TimeoutExpired."""


Starter = Callable[[Birth, int, int], Process]
"""Starts a process with these descriptors as stdout and stderr."""


def start_fresh(birth: Birth, stdout: int, stderr: int, *, wrapper: Sequence[str] = ()) -> Process:
    """Start the daemon as systemd would: a new interpreter, by way of another command if given."""
    return subprocess.Popen(
        [*wrapper, sys.executable, "-m", f"daemons.{birth.service}", *birth.argv],
        cwd=PROJECT,
        env=dict(birth.environ),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


class Nursery:
    """Starts daemons by forking a process that has imported everything already."""

    def __init__(self, address: str) -> None:
        self._address = address

    def start(self, birth: Birth, stdout: int, stderr: int) -> Process:
        """Start one daemon; a `Starter`."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(LIMIT_SECONDS)
        connection.connect(self._address)
        message = birth.encoded()
        # The descriptors travel with the first bytes.
        socket.send_fds(connection, [message[:4]], [stdout, stderr])
        connection.sendall(message[4:])
        return _Forked(connection, int.from_bytes(_read_exactly(connection, 4)))


@contextmanager
def open_nursery() -> Iterator[Nursery]:
    """Run a nursery of every service for the length of a block."""
    # Bound here, so that a daemon may be asked for while the nursery still imports.
    with TemporaryDirectory(prefix="nursery-") as folder, socket.socket(socket.AF_UNIX) as listener:
        address = f"{folder}/socket"
        listener.bind(address)
        listener.listen(64)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.nursery", str(listener.fileno())],
            cwd=PROJECT,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
        )
        try:
            yield Nursery(address)
        finally:
            process.kill()
            process.wait(LIMIT_SECONDS)


class _Forked:
    """A child of the nursery."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self._connection = connection
        self.pid = pid
        self._status: int | None = None

    def wait(self, timeout: float) -> int:
        if self._status is None:
            self._connection.settimeout(max(timeout, 0.001))
            self._status = int.from_bytes(_read_exactly(self._connection, 4), signed=True)
            self._connection.close()
        return self._status


class Daemon:
    """A running daemon and the log that it writes."""

    def __init__(self, birth: Birth, starter: Starter) -> None:
        self._news = threading.Condition()
        self._events: list[Event] = []
        self._texts: list[str] = []
        self._over = False
        self._status: int | None = None
        output, out = os.pipe()
        log, err = os.pipe()
        try:
            self._process = starter(birth, out, err)
        finally:
            os.close(out)
            os.close(err)
        self._output = _Reader(output, self._said_aloud)
        self._log = _Reader(log, self._logged, self._ended)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def text(self) -> str:
        """What it wrote to stderr that was no event."""
        with self._news:
            return "\n".join(self._texts)

    @property
    def output(self) -> str:
        """What it wrote to stdout; whole once it has ended."""
        return "\n".join(self._output.lines)

    def mark(self) -> int:
        """Return where the log stands, for `after=`."""
        with self._news:
            return len(self._events)

    def events(self, name: str = "", /, *, after: int = 0, **wanted: object) -> list[Event]:
        """Return the events so far that have this name and these fields."""
        with self._news:
            return self._matching(name, after, wanted)

    def wait_for(
        self,
        name: str,
        /,
        *,
        count: int = 1,
        after: int = 0,
        limit: float = LIMIT_SECONDS,
        **wanted: object,
    ) -> Event:
        """Wait until an event has been logged `count` times; returns the `count`-th."""
        found: list[Event] = []
        seen = after

        def enough() -> bool:
            # Only what is new: thousands may be waited for.
            nonlocal seen
            found.extend(self._matching(name, seen, wanted))
            seen = max(seen, len(self._events))
            return len(found) >= count

        self._wait(enough, limit, f"{count} x {name} {wanted}")
        return found[count - 1]

    def wait_until(self, true: Callable[[], bool], *, limit: float = LIMIT_SECONDS) -> None:
        """Wait for something to be true, looked at after each event."""
        self._wait(true, limit, "what was waited for")

    def wait_passes(self, count: int = 1, *, limit: float = LIMIT_SECONDS) -> Sequence[Event]:
        """Wait for whole passes that begin after now; returns their `pass_finished`."""
        mark = self.mark()
        # The first one to finish may have begun before now.
        self.wait_for("pass_finished", count=count + 1, after=mark, limit=limit)
        return self.events("pass_finished", after=mark)[1:]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def wait(self, limit: float = LIMIT_SECONDS) -> int:
        """Wait for the end and for all that was said; returns the exit status."""
        if self._status is None:
            try:
                self._status = self._process.wait(limit)
            except (TimeoutError, subprocess.TimeoutExpired):
                raise AssertionError(f"it did not end within {limit} s\n{self.tail()}") from None
            self._log.join()
            self._output.join()
        return self._status

    def stop(self, limit: float = LIMIT_SECONDS) -> int:
        """End it by SIGTERM; returns the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(limit)

    def kill(self) -> int:
        """End it by SIGKILL if it still runs."""
        if self._status is None:
            with suppress(ProcessLookupError):
                self.signal(signal.SIGKILL)
        return self.wait()

    def tail(self) -> str:
        """Return the last lines of the log, for a message."""
        with self._news:
            shown = [str(event) for event in self._events[-_LINES_SHOWN:]]
            return "\n".join([*shown, *self._texts[-_LINES_SHOWN:]])

    def _matching(self, name: str, after: int, wanted: Mapping[str, object]) -> list[Event]:
        return [
            event
            for event in self._events[after:]
            if (not name or event.name == name) and event.has(wanted)
        ]

    def _wait(self, true: Callable[[], bool], limit: float, what: str) -> None:
        deadline = time.monotonic() + limit
        with self._news:
            while not true():
                left = deadline - time.monotonic()
                assert left > 0, f"{what} did not come within {limit} s\n{self.tail()}"
                assert not self._over, f"{what}: the daemon has ended\n{self.tail()}"
                self._news.wait(left)

    def _said_aloud(self, line: str) -> None:
        """Stdout is only kept."""

    def _logged(self, line: str) -> None:
        event = _parse(line)
        with self._news:
            if event is None:
                self._texts.append(line)
            else:
                self._events.append(event)
            self._news.notify_all()

    def _ended(self) -> None:
        with self._news:
            self._over = True
            self._news.notify_all()


def run_command(
    birth: Birth, starter: Starter, *, limit: float = LIMIT_SECONDS
) -> tuple[Outcome, Daemon]:
    """Run a daemon until it ends by itself."""
    daemon = Daemon(birth, starter)
    try:
        status = daemon.wait(limit)
    finally:
        daemon.kill()
    return Outcome(status, daemon.output, daemon.text), daemon


class _Reader:
    """Reads lines from a pipe in a thread of its own, so that the writer never waits for us."""

    def __init__(
        self, descriptor: int, take: Callable[[str], None], ended: Callable[[], None] = lambda: None
    ) -> None:
        self.lines: list[str] = []
        self._take = take
        self._ended = ended
        self._thread = threading.Thread(target=self._read, args=(descriptor,), daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the end of the stream."""
        self._thread.join(LIMIT_SECONDS)
        assert not self._thread.is_alive(), "somebody else holds the daemon's stream"

    def _read(self, descriptor: int) -> None:
        stream: BinaryIO
        with os.fdopen(descriptor, "rb") as stream:
            for raw in stream:
                line = raw.decode(errors="backslashreplace").rstrip("\n")
                self.lines.append(line)
                self._take(line)
        self._ended()


def _parse(line: str) -> Event | None:
    try:
        fields = json.loads(line)
        return Event(fields.pop("event"), fields["level"], fields, time.monotonic())
    except (ValueError, KeyError, AttributeError):
        return None


def _read_exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        assert piece, "the nursery has closed the connection; see its traceback"
        data += piece
    return data


@dataclass(slots=True)
class NotifySocket:
    """What systemd listens on: datagrams of `sd_notify`, in order."""

    address: Path
    received: list[str] = field(default_factory=list)
    _socket: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.address))

    def wait_for(self, text: str, count: int = 1, limit: float = LIMIT_SECONDS) -> None:
        """Wait for `count` datagrams, counted from the beginning; `X=*` is any value of X."""
        deadline = time.monotonic() + limit
        while sum(fnmatchcase(received, text) for received in self.received) < count:
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} did not come {count} times: {self.received}"
            if select.select([self._socket], [], [], left)[0]:
                self.received.append(self._socket.recv(4096).decode())

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()
