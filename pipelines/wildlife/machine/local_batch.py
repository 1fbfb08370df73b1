"""Jobs of a local run: the detection as a child of this process, attempt by attempt.

It gets the variables that Batch would give it. What it prints goes to a file of each attempt; the
lines in it that tell of progress are told on. Rule: when `LocalBatch` comes back, nothing of the
child is left, however the run ends.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import anyio
from anyio import to_thread

from pipelines.wildlife.machine.failures import TASK_FAILED, TaskFailure
from pipelines.wildlife.machine.interpreter import Call
from pipelines.wildlife.machine.job_request import (
    AttemptEnd,
    BadRequest,
    JobRequest,
    is_made_again,
    parse_request,
)
from pipelines.wildlife.machine.reports import Reports
from shared.beat import Beat
from shared.commands import CommandLimits, CommandOutcome, plain_tail, run_command

DETECT = (sys.executable, "-m", "pipelines.wildlife.detect")
TERM_SECONDS = 20.0
"""From SIGTERM to SIGKILL: time to finish a chunk."""

_ROOT = Path(__file__).resolve().parents[3]
"""Where the child finds the same code as we, whatever its folder."""
_EXITED = "Essential container in task exited"
_TOO_LONG = "Job attempt duration exceeded timeout"
_RECLAIMED = "Host EC2 (instance i-local) terminated."
_REASON_MAX = 255
_PIECE_BYTES = 1 << 20
# The output goes to a file, and the program is in the place of the shell.
_INTO_FILE = ("/bin/sh", "-c", 'exec "$@" >>"$0" 2>&1')


class RunCommand(Protocol):
    """Runs a command; `shared.commands.run_command` does."""

    async def __call__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        limits: CommandLimits,
        progress: Callable[[], None],
    ) -> CommandOutcome:
        """Run it to its end, or to its limits."""


@dataclass(frozen=True, slots=True)
class LocalBatch:
    """Does what `batch:submitJob.sync` asks for."""

    folder: Path
    """Where the output of attempts is kept."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """What the job's definition would set."""
    is_reclaimed: Callable[[], bool] = lambda: False
    """Asked before each attempt: whether it is to lose its machine once it got on."""
    command: tuple[str, ...] = DETECT
    run: RunCommand = run_command

    async def __call__(self, call: Call) -> object:
        """Run a job; TaskFailure with what Batch would say of it."""
        try:
            request = parse_request(call.parameters)
        except BadRequest as error:
            raise TaskFailure("Batch.BatchException", str(error)) from error
        job_id = f"local-{request.job_name}"
        call.note("TaskSubmitted", output=json.dumps({"JobId": job_id}))
        attempts: list[Mapping[str, object]] = []
        end = await self._attempt(request, call, attempts)
        while end.exit_code != 0 and is_made_again(request, end, len(attempts)):
            end = await self._attempt(request, call, attempts)
        job = {
            "JobId": job_id,
            "JobName": request.job_name,
            "JobQueue": request.job_queue,
            "JobDefinition": request.job_definition,
            "Status": "SUCCEEDED" if end.exit_code == 0 else "FAILED",
            "StatusReason": end.status_reason,
            "Attempts": attempts,
        }
        if end.exit_code != 0:
            raise TaskFailure(TASK_FAILED, json.dumps(job))
        return job

    async def _attempt(
        self, request: JobRequest, call: Call, attempts: list[Mapping[str, object]]
    ) -> AttemptEnd:
        """Run the command once, and add what Batch would tell of it."""
        number = len(attempts) + 1
        output = Output(self.folder / f"detection-{number}.log")
        began = _milliseconds()
        outcome = await self._run(request, number, output, Reports(call))
        tail = await to_thread.run_sync(output.tail)
        end = _end_of(outcome, tail)
        container: dict[str, object] = {"LogStreamName": output.path.name}
        if end.exit_code is not None:
            container["ExitCode"] = end.exit_code
        if end.reason:
            container["Reason"] = end.reason
        attempts.append(
            {
                "Container": container,
                "StartedAt": began,
                "StoppedAt": _milliseconds(),
                "StatusReason": end.status_reason,
            }
        )
        return end

    async def _run(
        self, request: JobRequest, number: int, output: "Output", reports: Reports
    ) -> CommandOutcome | None:
        """Run the command to its end; None where its machine was taken from it."""
        reclaimed = self.is_reclaimed()
        outcome: list[CommandOutcome] = []
        beat = Beat()
        limits = CommandLimits(float(request.attempt_seconds), term_seconds=TERM_SECONDS)
        environ = {**os.environ, **self._environment(request, number)}

        async def attend(machine: anyio.CancelScope) -> None:
            with machine:
                argv = (*_INTO_FILE, str(output.path), *self.command)
                done = await self.run(argv, env=environ, limits=limits, progress=beat.strike)
                outcome.append(done)
            beat.end()

        async with anyio.create_task_group() as tasks:
            machine = anyio.CancelScope()
            tasks.start_soon(attend, machine)
            while await beat.wait():
                if await self._look(output, reports) and reclaimed:
                    machine.cancel()
        await self._look(output, reports)
        return outcome[0] if outcome else None

    async def _look(self, output: "Output", reports: Reports) -> bool:
        """Tell on what has been told; return whether anything has."""
        told = await to_thread.run_sync(output.progress)
        for done, total in told:
            reports.take(done, total)
        return bool(told)

    def _environment(self, request: JobRequest, number: int) -> Mapping[str, str]:
        above = os.environ.get("PYTHONPATH", "")
        return {
            "PYTHONPATH": f"{_ROOT}{os.pathsep}{above}" if above else str(_ROOT),
            **self.variables,
            **request.variables,
            "AWS_BATCH_JOB_ATTEMPT": str(number),
        }


class Output:
    """What an attempt prints."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._rest = b""

    def progress(self) -> list[tuple[int, int]]:
        """Return what was told of progress since the last look: done, and how much there is."""
        told: list[tuple[int, int]] = []
        while piece := self._read():
            whole, _, rest = (self._rest + piece).rpartition(b"\n")
            # A line of more than that tells of no progress.
            self._rest = rest[-_PIECE_BYTES:]
            told += filter(None, map(_progress, whole.splitlines()))
        return told

    def tail(self) -> str:
        """Return the last line with anything in it."""
        try:
            with self.path.open("rb") as stream:
                stream.seek(0, os.SEEK_END)
                stream.seek(max(0, stream.tell() - _PIECE_BYTES // 64))
                raw = stream.read()
        except FileNotFoundError:
            return ""
        lines = plain_tail(raw, len(raw)).split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _read(self) -> bytes:
        try:
            with self.path.open("rb") as stream:
                stream.seek(self._offset)
                piece = stream.read(_PIECE_BYTES)
        except FileNotFoundError:
            return b""
        self._offset += len(piece)
        return piece


def _progress(line: bytes) -> tuple[int, int] | None:
    if not line.startswith(b'{"event":"progress"') and not line.startswith(b'{"event": "progress"'):
        return None
    with suppress(ValueError, KeyError, TypeError):
        said = json.loads(line)
        return int(said["done"]), int(said["total"])
    return None


def _end_of(outcome: CommandOutcome | None, tail: str) -> AttemptEnd:
    if outcome is None:
        return AttemptEnd(None, _RECLAIMED)
    if outcome.timed_out:
        return AttemptEnd(None, _TOO_LONG, final=True)
    if outcome.exit_status is None:
        return AttemptEnd(_by_signal(outcome), _EXITED, reason=outcome.reason()[:_REASON_MAX])
    said = tail if outcome.exit_status else ""
    return AttemptEnd(outcome.exit_status, _EXITED, reason=said[:_REASON_MAX])


def _by_signal(outcome: CommandOutcome) -> int:
    """Return the status that a shell gives a program that a signal has ended."""
    killed = 137
    return killed if outcome.signal else 1


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000
