"""Runs one external command as a child of its own: limited, watched, and gone when it returns.

The command is an argument list, never a shell's text. Between the daemon and the command stands a
keeper (`commands_keeper`): it sets the limits, reads everything that is printed, and ends every
process that the command started, also when the daemon is killed. A keeper that has reported
is used again (`commands_pool`). Rule: whatever a command does, `run_command` comes back within its
limits and says in one line how it went.

| what the command does                          | what follows                               |
|------------------------------------------------|--------------------------------------------|
| ends                                           | its exit status                            |
| is not there, cannot be executed               | "cannot be started: ..."                   |
| hangs                                          | SIGTERM at its limit, SIGKILL after a grace|
| prints without end                             | read and dropped; the end of it is kept    |
| wants more memory or longer files than allowed | the system refuses, or sends SIGXFSZ       |
| leaves processes behind, in other sessions too | killed before `run_command` returns        |

Limits of this: memory is limited for each process (private memory, RLIMIT_DATA), not for all of
them together, for which a unit has `MemoryMax=`; on macOS memory is not limited, and a process that
leaves the session gets away. If the keeper itself is killed, the command dies with it (Linux), but
not what the command started. Umask and niceness are those that we had when the keeper was started.
"""

import errno
import math
import os
import re
import signal
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from shared import commands_keeper, commands_pool
from shared.commands_pool import Keeper
from shared.redact import redact_text

LONGEST_TAIL = 32 * 1024
"""More than this is a log, which belongs into a file of the command's own."""

LONGEST_REQUEST = 8 * 1024 * 1024
"""Nowhere is a program started with more arguments and environment than that."""

_BEAT_SECONDS = 1.0
_MARGIN_SECONDS = 15.0
"""What the keeper may need beyond time and grace: to start, to kill, to report."""
_LONGEST_SECRET = 2048
_LONGEST_REASON = 200
_REPORT_EXTRA = 4096
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


@dataclass(frozen=True, slots=True)
class CommandLimits:
    """What a command may use."""

    time_seconds: float
    term_seconds: float = 5.0
    """From SIGTERM to SIGKILL."""
    memory_bytes: int | None = None
    """Private memory of each process."""
    file_bytes: int | None = None
    """Length of each file that it writes."""
    tail_bytes: int = 16384
    """How much of the end of its output is kept."""

    def __post_init__(self) -> None:
        if not 0 <= self.tail_bytes <= LONGEST_TAIL:
            raise ValueError(f"tail_bytes is {self.tail_bytes}; it is at most {LONGEST_TAIL}")
        for name, value in (
            ("time_seconds", self.time_seconds),
            ("term_seconds", self.term_seconds),
        ):
            if not math.isfinite(value) or value < 0:
                raise ValueError(f"{name} is {value!r}; a number of seconds is wanted")


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """How a command went."""

    argv: tuple[str, ...]
    exit_status: int | None
    signal: str | None
    timed_out: bool
    duration_seconds: float
    tail: str
    """The end of its output and error output, plain and without secrets."""
    time_seconds: float = 0.0
    """What `timed_out` refers to."""
    fault: str = ""
    """Why there is neither an exit status nor a signal."""

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with status 0, within its time."""
        return self.exit_status == 0 and not self.timed_out

    def reason(self) -> str:
        """Say in a few words how it ended."""
        if self.fault:
            return self.fault
        if self.timed_out:
            return f"time limit of {self.time_seconds:g} s reached"
        if self.signal is not None:
            guess = " (memory limit?)" if self.signal == "SIGKILL" else ""
            guess = " (file size limit)" if self.signal == "SIGXFSZ" else guess
            return f"killed by {self.signal}{guess}"
        return f"exit status {self.exit_status}"


async def run_command(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    limits: CommandLimits,
    progress: Callable[[], None] = lambda: None,
) -> CommandOutcome:
    """Run the command to its end or to its limits; nothing of it is left when this returns.

    `env` is its whole environment, by default ours. `progress` is called every second, for the
    watchdog. Cancelled, it ends the command first: SIGTERM, the grace, SIGKILL.
    """
    command = tuple(argv)
    began = time.monotonic()
    try:
        request = _request(command, cwd, os.environ if env is None else env, limits)
        keeper = commands_pool.take_keeper()
    except OSError as error:
        fault = f"cannot be started: {error.strerror or error}"
        return _failed(command, fault, time.monotonic() - began)
    report = await _attend(keeper, request, limits, progress)
    if report.is_whole:
        return _outcome(command, cwd, limits, report)
    fault = (
        f"its keeper {_end_of(report.status)}: {plain_tail(bytes(report.said), _LONGEST_REASON)!r}"
    )
    return _failed(command, fault, time.monotonic() - began)


def _request(
    command: tuple[str, ...], cwd: Path | None, env: Mapping[str, str], limits: CommandLimits
) -> bytes:
    """Return what the keeper is asked for; OSError when that is too much, or nowhere."""
    if not command or not command[0] or any("\0" in word for word in command):
        raise ValueError(f"{command!r} is no command; a program and its arguments, without NULs")
    folder = str((cwd or Path.cwd()).absolute())
    for name, value in (*env.items(), ("cwd", folder)):
        if "=" in name or "\0" in name + value:
            raise ValueError(f"{name!r} is no name for a variable, or its value has NULs")
    fields = (
        limits.time_seconds,
        limits.term_seconds,
        _or_nothing(limits.memory_bytes),
        _or_nothing(limits.file_bytes),
        # More than is shown: the beginning of it may be the rest of a secret.
        limits.tail_bytes + _LONGEST_SECRET,
        folder,
        len(command),
        *command,
        *(f"{name}={value}" for name, value in env.items() if name),
    )
    text = os.fsencode("\0".join(map(str, fields)))
    if len(text) > LONGEST_REQUEST:
        raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
    return len(text).to_bytes(commands_keeper.LENGTH_BYTES, "big") + text


def _or_nothing(limit: int | None) -> str:
    """Return a limit as the keeper is told it."""
    return commands_keeper.NOTHING.decode() if limit is None else str(limit)


class _Report:
    """What a keeper has said so far."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self.said = bytearray()
        self.status: int | None = None
        """How the keeper ended that did not report."""

    def add(self, piece: bytes) -> None:
        """Take what it said next, within bounds."""
        self.said += piece
        del self.said[self._longest :]

    @property
    def head(self) -> list[str]:
        """What stands before the output; nothing while that is not whole, or there is no report."""
        head, end, _ = self.said.partition(b"\n")
        is_one = end and head.startswith(commands_keeper.MARK)
        return head.decode("ascii", "replace").split()[1:] if is_one else []

    @property
    def output(self) -> bytes:
        """The end of what the command wrote."""
        return bytes(self.said.partition(b"\n")[2])

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        head = self.head
        return bool(head) and len(self.output) >= int(head[5])

    @property
    def is_last(self) -> bool:
        """Whether the keeper takes no other command."""
        return self.head[4] != "1"


async def _attend(
    keeper: Keeper, request: bytes, limits: CommandLimits, progress: Callable[[], None]
) -> _Report:
    """Wait for the keeper's report, which comes when nothing of the command is left."""
    report = _Report(limits.tail_bytes + _LONGEST_SECRET + _REPORT_EXTRA)
    try:
        with anyio.move_on_after(limits.time_seconds + limits.term_seconds + _MARGIN_SECONDS):
            await keeper.send(request)
            while not report.is_whole and await _receive(keeper, report):
                progress()
    finally:
        if report.is_whole and not report.is_last:
            commands_pool.return_keeper(keeper)
        else:
            with anyio.CancelScope(shield=True):
                await _end(keeper, limits.term_seconds)
            report.status = keeper.dismiss()
    return report


async def _receive(keeper: Keeper, report: _Report) -> bool:
    """Take what comes within a beat; False at the keeper's end."""
    with anyio.move_on_after(_BEAT_SECONDS):
        report.add(await keeper.receive())
    return not keeper.has_ended


async def _end(keeper: Keeper, term_seconds: float) -> None:
    """Have the keeper end the command and itself, within bounds; then end it."""
    for action, seconds in (
        (keeper.stop, term_seconds + _MARGIN_SECONDS),
        (keeper.kill, _MARGIN_SECONDS),
    ):
        if not keeper.has_ended:
            action()
            with anyio.move_on_after(seconds):
                while await keeper.receive():
                    pass


def _outcome(
    command: tuple[str, ...], cwd: Path | None, limits: CommandLimits, report: _Report
) -> CommandOutcome:
    """Read the keeper's report."""
    kind, number, timed_out, milliseconds = report.head[:4]
    seconds = int(milliseconds) / 1000
    if kind in {"directory", "execute"}:
        return _failed(command, _why_not(command[0], cwd, kind, int(number)), seconds)
    ended = int(number) if kind == "ended" else None
    return CommandOutcome(
        command,
        exit_status=ended if ended is not None and ended >= 0 else None,
        signal=_signal_name(-ended) if ended is not None and ended < 0 else None,
        timed_out=timed_out == "1",
        duration_seconds=seconds,
        tail=plain_tail(report.output, limits.tail_bytes),
        time_seconds=limits.time_seconds,
        fault="cannot be killed; it may still run" if ended is None else "",
    )


def _failed(command: tuple[str, ...], fault: str, seconds: float) -> CommandOutcome:
    """Return the outcome of a command of which nothing is known but why."""
    return CommandOutcome(
        command,
        exit_status=None,
        signal=None,
        timed_out=False,
        duration_seconds=seconds,
        tail="",
        fault=fault,
    )


def _why_not(program: str, cwd: Path | None, kind: str, number: int) -> str:
    """Say why it could not be executed, and what to look at."""
    begin = "cannot be started: "
    if kind == "directory":
        return f"{begin}folder {str(cwd)!r}: {os.strerror(number).lower()}"
    if number == errno.ENOENT:
        where = "(or what its first line names)" if "/" in program else "on PATH"
        return f"{begin}{program!r} not found {where}"
    if number == errno.EACCES:
        return f"{begin}{program!r} is not executable"
    return f"{begin}{program!r}: {os.strerror(number).lower()}"


def _end_of(status: int | None) -> str:
    """Say how the keeper ended that did not report."""
    if status is None:
        return "does not end"
    if status < 0:
        return f"was killed by {_signal_name(-status)}"
    return f"failed with exit status {status}"


def _signal_name(number: int) -> str:
    """Return a signal's name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def plain_tail(raw: bytes, limit: int) -> str:
    """Return the last `limit` bytes of an output as text that can be shown and stored anywhere.

    Of progress bars the last state is kept. Secrets are hidden before anything is cut, and the
    beginning of what the keeper cut is left out as far as half a secret could reach.
    """
    text = _ESCAPES.sub("", raw.decode("utf-8", "replace"))
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    text = redact_text("".join(map(_harmless, "\n".join(lines))))
    if len(raw) >= limit + _LONGEST_SECRET:
        text = text[text.find("\n", 0, _LONGEST_SECRET) + 1 or _LONGEST_SECRET :]
    encoded = text.encode()
    return encoded[max(0, len(encoded) - limit) :].decode("utf-8", "ignore")


def _harmless(character: str) -> str:
    """Return the character, or what stands for one that would act on a terminal or a log."""
    if character in "\n\t" or character.isprintable():
        return character
    return " " if unicodedata.category(character) == "Zs" else "\ufffd"
