"""Where `status` and `logs` look: the notes of this machine, or an account of AWS."""

import argparse
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio
from anyio import to_thread

from pipelines.wildlife.commands.modes import Mode, state_folder
from pipelines.wildlife.commands.remote import Account, open_account, settings_for
from pipelines.wildlife.machine.endings import Ending, Status
from pipelines.wildlife.machine.history import Happened, parse_events
from pipelines.wildlife.machine.local_runs import LocalRun, find_run, find_runs
from pipelines.wildlife.machine.remote import Listed
from pipelines.wildlife.machine.view import RunView, view_of
from pipelines.wildlife.settings import RunSettings

_LOOK_SECONDS = 0.5
"""Between two looks at a history that somebody else writes."""
_TAIL_LINES = 1000


class Source(Protocol):
    """What knows of executions."""

    async def newest(self, limit: int) -> Sequence[RunView]:
        """Return those that began last."""

    async def events(self, name: str) -> Sequence[Happened]:
        """Return what has happened in one so far, in the newest one without a name."""

    async def follow(self, name: str, take: Callable[[Happened], None]) -> Ending:
        """Hand over the events of one, of the newest without a name, until its end."""

    async def printed(self, name: str) -> Sequence[str]:
        """Return the last lines that the detection of one has printed."""


def open_source(settings: RunSettings, arguments: argparse.Namespace) -> Source:
    """Return what knows of the executions that are meant; nothing is asked yet."""
    mode = Mode(arguments.mode)
    if mode is Mode.LOCAL:
        return Notes(state_folder(arguments))
    return Remote(settings_for(mode, settings), arguments)


@dataclass(frozen=True, slots=True)
class Notes:
    """The notes of local runs."""

    folder: Path

    async def newest(self, limit: int) -> Sequence[RunView]:
        """Return those that began last."""
        return await to_thread.run_sync(
            lambda: [view_of(run.name, _events(run)) for run in find_runs(self.folder)[:limit]]
        )

    async def events(self, name: str) -> Sequence[Happened]:
        """Return what has happened in one so far; that it was killed is added to what is noted."""
        return await to_thread.run_sync(lambda: _events(find_run(self.folder, name)))

    async def follow(self, name: str, take: Callable[[Happened], None]) -> Ending:
        """Hand over the events of one until its end."""
        run = await to_thread.run_sync(find_run, self.folder, name)
        view, position = RunView(run.name), 0
        while True:
            # Asked before: who has ended meanwhile has written all that there is to read.
            alive = await to_thread.run_sync(lambda: run.is_alive)
            lines = await to_thread.run_sync(run.read, position)
            position += len(lines)
            for event in parse_events(lines):
                view.add(event)
                take(event)
            if view.ended_at is not None:
                return Ending(view.status, view.output, view.error, view.cause)
            if not alive:
                return Ending(Status.ABORTED, cause="killed")
            await anyio.sleep(_LOOK_SECONDS)

    async def printed(self, name: str) -> Sequence[str]:
        """Return the last lines that the detection of one has printed."""

        def read() -> list[str]:
            outputs = find_run(self.folder, name).outputs()
            texts = (path.read_text(encoding="utf-8", errors="replace") for path in outputs)
            return [line for text in texts for line in text.splitlines()][-_TAIL_LINES:]

        return await to_thread.run_sync(read)


@dataclass(frozen=True, slots=True)
class Remote:
    """The state machine of an account."""

    settings: RunSettings
    arguments: argparse.Namespace

    async def newest(self, limit: int) -> Sequence[RunView]:
        """Return those that began last, without their states: each would be a request."""
        async with self._opened() as account:
            return [_listed(each) for each in await account.machine.newest(limit)]

    async def events(self, name: str) -> Sequence[Happened]:
        """Return what has happened in one so far."""
        async with self._opened() as account:
            return await account.machine.events(await _arn(account, name))

    async def follow(self, name: str, take: Callable[[Happened], None]) -> Ending:
        """Hand over the events of one, of the newest without a name, until its end."""
        async with self._opened() as account:
            return await account.machine.follow(await _arn(account, name), take)

    async def printed(self, name: str) -> Sequence[str]:
        """Return the last lines that the detection of one has printed."""
        async with self._opened() as account:
            return await account.machine.printed(await _arn(account, name), _TAIL_LINES)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Account]:
        async with open_account(self.settings, self.arguments) as account:
            yield account


async def _arn(account: Account, name: str) -> str:
    if name:
        return account.machine.execution_arn(name)
    newest = await account.machine.newest(1)
    # What there is not is asked for by its name, so that the service says so.
    return newest[0].arn if newest else account.machine.execution_arn("none")


def _listed(each: Listed) -> RunView:
    return RunView(
        each.name, status=each.status, started_at=each.started_at, ended_at=each.ended_at
    )


def _events(run: LocalRun) -> Sequence[Happened]:
    alive = run.is_alive
    events = [*parse_events(run.read())]
    return events if alive else [*events, *_killed(run, events)]


def _killed(run: LocalRun, events: Sequence[Happened]) -> Sequence[Happened]:
    """Return the event that somebody could not write who was killed; none where there is an end."""
    if events and events[-1].is_end:
        return ()
    # There was no room for the first event, or no time.
    number, at = (events[-1].number, events[-1].at) if events else (0, run.noted_at)
    return [Happened(number + 1, at, "ExecutionAborted", {"cause": "killed"})]
