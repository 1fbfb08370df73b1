"""Doing the work of a run until its end or a signal, and saying what came of it."""

import json
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import nullcontext

import anyio
from anyio.abc import TaskStatus

from pipelines.wildlife.commands.call import say
from pipelines.wildlife.commands.ending import reason_of, status_of
from pipelines.wildlife.commands.onlooker import Onlooker
from pipelines.wildlife.errors import WildlifeStatus
from pipelines.wildlife.machine.endings import Ending, Status
from shared.errors import ExitStatus
from shared.lifecycle import run as run_loop

_NAME = "run"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interruptible(
    work: Callable[[], Awaitable[Ending]], onlooker: Onlooker | None
) -> Ending | None:
    """Do the work, and show the run to an onlooker; None where a signal has cancelled it."""
    endings: list[Ending] = []

    async def main() -> ExitStatus:
        async with anyio.create_task_group() as tasks:
            await tasks.start(_cancel_on_signal, tasks.cancel_scope)
            async with onlooker.showing() if onlooker else nullcontext():
                endings.append(await work())
            tasks.cancel_scope.cancel()
        return ExitStatus.DONE

    run_loop(main)
    return endings[0] if endings else None


def told(ending: Ending | None) -> int:
    """Print the output of a run, or why there is none; returns the exit status."""
    if ending is None:
        say(_NAME, "aborted")
        return ExitStatus.INTERRUPTED
    if ending.status == Status.SUCCEEDED:
        sys.stdout.write(json.dumps(ending.output, indent=2) + "\n")
        return WildlifeStatus.DONE
    for line in reason_of(ending).splitlines():
        say(_NAME, line)
    return status_of(ending)


async def _cancel_on_signal(scope: anyio.CancelScope, *, task_status: TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(*_SIGNALS) as signals:
        task_status.started()
        async for number in signals:
            say(_NAME, f"{signal.Signals(number).name}: stopping")
            scope.cancel()
