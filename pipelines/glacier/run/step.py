"""Runs the processing step as a child and hands over what it says while it works.

The step appends events to a file; they are read every second and once more when it has ended, whole
lines only. Rule: whatever the step does, its end is known, and nothing of it is left.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio import to_thread

from pipelines.glacier.run import measured
from pipelines.glacier.run.arguments import StepCommand
from pipelines.glacier.run.progress import StepEnd
from pipelines.glacier.run.workspace import Workspace
from pipelines.glacier.step_events import StepEvent, parse_lines
from shared.beat import Beat
from shared.commands import CommandLimits, CommandOutcome, plain_tail, run_command

TERM_SECONDS = 3.0
"""From SIGTERM to SIGKILL; the step keeps nothing in memory that is worth more."""
_TAIL_BYTES = 8192
_READ_BYTES = 1 << 20
_LONGEST_SECONDS = 14 * 86_400.0
"""The run's own limit ends the step; this one is never reached."""


class EventsFile:
    """The events of a step as they come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""

    def read(self) -> list[StepEvent] | None:
        """Return events that were added, at most some thousands; None where nothing was. Blocks."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                piece = stream.read(_READ_BYTES)
        except FileNotFoundError:
            return None
        if not piece:
            return None
        self._offset += len(piece)
        whole, end, rest = (self._rest + piece).rpartition(b"\n")
        # A line of more than that is none of ours.
        self._rest = rest[-_READ_BYTES:]
        return parse_lines((whole + end).decode("utf-8", "replace").splitlines())


@dataclass(frozen=True, slots=True)
class StepRun:
    """One run of a step."""

    command: StepCommand
    workspace: Workspace
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables with the credentials that we act with."""

    async def run(
        self, limit: anyio.CancelScope, take: Callable[[list[StepEvent]], None]
    ) -> StepEnd:
        """Run it to its end, or until `limit` is over; `take` gets the events as they come."""
        events = EventsFile(self.workspace.events)
        outcome: list[CommandOutcome] = []
        beat = Beat()

        async def attend() -> None:
            with limit:
                outcome.append(await self._command(beat.strike))
            beat.end()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(attend)
            while await beat.wait():
                said = await to_thread.run_sync(events.read)
                take(said or [])
        while (said := await to_thread.run_sync(events.read)) is not None:
            take(said)
        report = await to_thread.run_sync(_load_report, self.workspace.report)
        return _end_of(outcome[0] if outcome else None, report)

    async def _command(self, progress: Callable[[], None]) -> CommandOutcome:
        script = str(Path(measured.__file__))
        argv = (
            *(sys.executable, "-I", "-S", script, str(self.workspace.report), str(_TAIL_BYTES)),
            *self.command.argv,
        )
        return await run_command(
            argv,
            cwd=Path(self.command.folder),
            env={**os.environ, **self.keys, **self.command.environment},
            limits=CommandLimits(_LONGEST_SECONDS, term_seconds=TERM_SECONDS),
            progress=progress,
        )


@dataclass(frozen=True, slots=True)
class _Report:
    """What `measured` tells."""

    returncode: int | None = None
    peak_memory_bytes: int = 0
    stdout: bytes = b""
    stderr: bytes = b""


def _load_report(path: Path) -> _Report:
    """Read the report; there is none where its writer was killed, or could start nothing."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return _Report()
    head, _, said = content.partition(b"\n")
    returncode, peak, length, _ = map(int, head.split())
    return _Report(returncode, peak, said[:length], said[length:])


def _end_of(outcome: CommandOutcome | None, report: _Report) -> StepEnd:
    code = report.returncode
    # A step that was done before it could be told to stop has ended well.
    stopped = outcome is None and code != 0
    if code is None and outcome is not None:
        code = outcome.exit_status
    ended = outcome.reason() if outcome else "exit status 0"
    stderr = plain_tail(report.stderr, _TAIL_BYTES)
    return StepEnd(
        stopped=stopped,
        ok=code == 0,
        returncode=-1 if stopped or code is None else code,
        reason="stopped" if stopped else ended,
        stdout=plain_tail(report.stdout, _TAIL_BYTES),
        stderr=stderr or (outcome.tail if outcome else ""),
        peak_memory_bytes=report.peak_memory_bytes,
    )
