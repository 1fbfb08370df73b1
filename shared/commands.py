"""Runs one external command as a child of its own: limited, watched, and gone when it returns.

The command is an argument list, never a shell's text. Between the daemon and the command stands a
keeper (`commands_keeper`): it sets the limits, reads everything that is printed, and ends every
process that the command started, also when the daemon is killed. Rule: whatever a command does,
`run_command` comes back within its limits and says in one line how it went.

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
not what the command started.
"""

import errno
import math
import os
import re
import signal
import sys
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, STDOUT

import anyio
from anyio.abc import Process

from shared import commands_keeper
from shared.redact import redact_text

LONGEST_TAIL = 32 * 1024
"""More than this is a log, which belongs into a file of the command's own."""

_FOLDER = str(Path(commands_keeper.__file__).resolve().parent)
# Imported rather than run as a script, so that its compiled form is used where there is one.
_START = (
    "import sys; sys.path.append(sys.argv.pop(1));"
    "from commands_keeper import start; start(sys.argv[1:])"
)
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
    if not command or not command[0] or any("\0" in word for word in command):
        raise ValueError(f"{command!r} is no command; a program and its arguments, without NULs")
    began = time.monotonic()
    try:
        process = await anyio.open_process(
            _keeper_argv(command, cwd, limits),
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
            env=None if env is None else dict(env),
            start_new_session=True,
        )
    except OSError as error:
        fault = f"cannot be started: {error.strerror or error}"
        return _failed(command, fault, time.monotonic() - began)
    report = await _attend(process, limits, progress)
    if not report.startswith(commands_keeper.MARK):
        fault = f"its keeper {_end_of(process)}: {plain_tail(report, _LONGEST_REASON)!r}"
        return _failed(command, fault, time.monotonic() - began)
    return _outcome(command, cwd, limits, report)


def _keeper_argv(command: tuple[str, ...], cwd: Path | None, limits: CommandLimits) -> list[str]:
    """Return what starts the keeper."""
    numbers = (
        limits.time_seconds,
        limits.term_seconds,
        "-" if limits.memory_bytes is None else limits.memory_bytes,
        "-" if limits.file_bytes is None else limits.file_bytes,
        # More than is shown: the beginning of it may be the rest of a secret.
        limits.tail_bytes + _LONGEST_SECRET,
    )
    folder = "-" if cwd is None else str(cwd.absolute())
    return [sys.executable, "-I", "-S", "-c", _START, _FOLDER, *map(str, numbers), folder, *command]


async def _attend(process: Process, limits: CommandLimits, progress: Callable[[], None]) -> bytes:
    """Wait for the keeper's report, which comes when nothing of the command is left."""
    report = bytearray()
    longest = limits.tail_bytes + _LONGEST_SECRET + _REPORT_EXTRA
    try:
        with anyio.move_on_after(limits.time_seconds + limits.term_seconds + _MARGIN_SECONDS):
            while await _receive(process, report, longest):
                progress()
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process, limits.term_seconds)
    return bytes(report)


async def _receive(process: Process, report: bytearray, longest: int) -> bool:
    """Take what comes within a beat; False at the end."""
    assert process.stdout is not None  # noqa: S101 - opened with a pipe
    with anyio.move_on_after(_BEAT_SECONDS):
        try:
            report += await process.stdout.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return False
        del report[longest:]
    return True


async def _end(process: Process, term_seconds: float) -> None:
    """Tell the keeper to end the command, wait for it within bounds, close the pipes."""
    if process.stdin is not None:
        with suppress(OSError, anyio.BrokenResourceError):
            await process.stdin.aclose()
    with anyio.move_on_after(term_seconds + _MARGIN_SECONDS):
        await process.wait()
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        with anyio.move_on_after(_MARGIN_SECONDS):
            await process.wait()
    if process.stdout is not None:
        await process.stdout.aclose()


def _outcome(
    command: tuple[str, ...], cwd: Path | None, limits: CommandLimits, report: bytes
) -> CommandOutcome:
    """Read the keeper's report."""
    head, _, output = report.partition(b"\n")
    kind, number, timed_out, milliseconds = head.decode().split()[1:]
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
        tail=plain_tail(output, limits.tail_bytes),
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


def _end_of(process: Process) -> str:
    """Say how the keeper ended that did not report."""
    if process.returncode is None:
        return "does not end"
    if process.returncode < 0:
        return f"was killed by {_signal_name(-process.returncode)}"
    return f"failed with exit status {process.returncode}"


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
