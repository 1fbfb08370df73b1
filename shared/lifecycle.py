"""The life of a service as the service sees it: open -> ready -> pass, pass, ... -> stopping.

A service is opened with a `Control`, works in `run` until `control.stopping`, finishes what is in
flight and returns. Rule: what asks it to stop, and what follows, is known to `shared.lives` alone.
"""

import errno
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import anyio
import structlog
from anyio.abc import TaskGroup
from structlog.typing import FilteringBoundLogger

from shared.errors import ExitStatus, SuiteError
from shared.metrics import Board
from shared.schedule import LastPass, Pace, back_off_seconds, next_pass_due
from shared.systemd import Notifier

log: FilteringBoundLogger = structlog.get_logger()

CLEAN_UP_SECONDS = 15.0
"""How long closing may take after everything was cancelled; then the process is given up, which
costs nothing but repeated work: every step can be repeated."""

_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class PassReport(Protocol):
    """What a pass did."""

    @property
    def failed(self) -> int:
        """Items that failed or were parked; any makes `--once` exit 4."""

    def fields(self) -> Mapping[str, object]:
        """Return all counts, for the line `pass_finished`."""


class Service(Protocol):
    """What a daemon is to its life cycle."""

    async def run(self, control: "Control") -> None:
        """Work until `control.stopping`; then take nothing new, finish, return."""

    async def run_once(self) -> PassReport:
        """Do one pass.

        It is given no `Control`: keep the one that the service was opened with, and look at
        `stopping` between two items, or a signal has no effect before the grace ends.
        """


@dataclass(slots=True)
class Pulse:
    """Decides whether the working loop is alive enough to feed the watchdog. Pure.

    | since the last beat                            | beat |
    |------------------------------------------------|------|
    | the loop reported progress                     | yes  |
    | tasks wait, as they said, and none too long    | yes  |
    | one of them waits longer than it said          | no   |
    | nobody waits                                   | no   |
    """

    progressed: bool = False
    waits: list[float] = field(default_factory=list)
    """Until when each declared wait may last: one entry a task that waits."""

    def beat(self, now: float) -> bool:
        """Return whether to feed the watchdog now; progress counts for one beat."""
        alive = self.progressed or (bool(self.waits) and now <= min(self.waits))
        self.progressed = False
        return alive


@dataclass(slots=True)
class Control:
    """What the life cycle tells a service, and what the service tells the life cycle."""

    notifier: Notifier
    stopping: anyio.Event = field(default_factory=anyio.Event)
    """Set by a signal, and when other settings wait: take nothing new, finish what is in flight,
    return."""
    leaving: anyio.Event = field(default_factory=anyio.Event)
    """Set, with `stopping`, by a signal only: whatever would outlast the grace is to be given back
    now; a service that never holds anything for so long need not look at it."""
    board: Board = field(default_factory=Board)
    """Where the service leaves what monitors are told."""
    pulse: Pulse = field(default_factory=Pulse)
    is_ready: bool = False
    failures: int = 0
    """Passes of `run_passes` that have failed in a row."""
    trouble: str = ""
    """Why the last pass failed; empty after a good one."""
    _woken: anyio.Event = field(default_factory=anyio.Event)

    def ready(self) -> None:
        """Say that start-up checks have run and resources are open; `run_service` calls it."""
        if not self.is_ready:
            self.is_ready = True
            log.info("ready")
            self.notifier.ready()
            self.progress()

    def status(self, text: str) -> None:
        """Show a line in `systemctl status`."""
        self.notifier.status(text)

    def progress(self) -> None:
        """Report that the working loop got on; without this the watchdog ends the process."""
        self.pulse.progressed = True

    @contextmanager
    def waiting(self, limit_seconds: float) -> Iterator[None]:
        """Declare that a task waits for something, and for how long at most.

        Any number of tasks may; one that waits longer than it said is what the watchdog is for.
        """
        until = anyio.current_time() + limit_seconds
        self.pulse.waits.append(until)
        try:
            yield
        finally:
            self.pulse.waits.remove(until)
            self.progress()

    async def wait(self, seconds: float) -> bool:
        """Wait until stopping or woken, at most so long; tell whether it is stopping."""
        with self.waiting(seconds), anyio.move_on_after(seconds):
            await self._stopping_or_woken()
        if self._woken.is_set():
            self._woken = anyio.Event()
        return self.stopping.is_set()

    async def rest(self, seconds: float) -> bool:
        """Wait until stopping, at most so long, whoever calls; tell whether it is stopping."""
        with self.waiting(seconds), anyio.move_on_after(seconds):
            await self.stopping.wait()
        return self.stopping.is_set()

    def wake(self) -> None:
        """End every `wait` now, or the next one if nobody waits: there is something to do."""
        self._woken.set()

    def stop(self) -> None:
        """Have the service end within the grace."""
        self.stopping.set()
        self.leaving.set()

    def drain(self) -> None:
        """Have the service end once all that is in flight is finished."""
        self.stopping.set()

    async def _stopping_or_woken(self) -> None:
        woken = self._woken

        async def end_with(tasks: TaskGroup) -> None:
            await self.stopping.wait()
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end_with, tasks)
            await woken.wait()
            tasks.cancel_scope.cancel()


OpenService = Callable[[Control], AbstractAsyncContextManager[Service]]


def run(main: Callable[[], Awaitable[ExitStatus]], *, uvloop: bool = True) -> ExitStatus:
    """Run an asynchronous main function in an event loop of its own."""
    return anyio.run(main, backend="asyncio", backend_options={"use_uvloop": uvloop})


async def run_passes(
    run_once: Callable[[], Awaitable[PassReport]],
    control: Control,
    pace: Pace,
    *,
    chance: Callable[[], float] = random.random,
) -> None:
    """Run one pass after the other until stopping; `control.wake` brings the next one forward.

    | a pass ends in                                   | then                                   |
    |--------------------------------------------------|----------------------------------------|
    | its report                                       | the next one is due in rhythm          |
    | a survivable error, a full disk, a group of such | `pass_failed`; the next after back-off |
    | anything else                                    | raised: the end of the daemon          |

    Waking does not cut a back-off short, or events would hammer a service that is down.
    """
    last: LastPass | None = None
    while not await _turn_has_come(control, last, pace, chance()):
        started_at = anyio.current_time()
        try:
            log_pass(await run_once(), seconds=anyio.current_time() - started_at)
            control.failures, control.trouble = 0, ""
        except (SuiteError, OSError, ExceptionGroup) as error:
            reasons = _survivable_reasons(error)
            if not reasons:
                raise
            control.failures += 1
            control.trouble = "; ".join(dict.fromkeys(reasons))
            log.warning("pass_failed", reason=control.trouble, failures=control.failures)
        last = LastPass(started_at, anyio.current_time(), control.failures)


async def _turn_has_come(
    control: Control, last: LastPass | None, pace: Pace, chance: float
) -> bool:
    """Wait for the next pass; tell whether the daemon is stopping instead."""
    now = anyio.current_time()
    due = next_pass_due(last, pace, now=now, chance=chance)
    if last is not None and last.failures:
        earliest = last.ended_at + back_off_seconds(last.failures, pace, chance=chance)
        if await control.rest(max(0.0, earliest - now)):
            return True
    return await control.wait(max(0.0, due - anyio.current_time()))


def _survivable_reasons(error: BaseException) -> list[str]:
    """Return what is wrong, one text a cause; nothing when a daemon must not go on."""
    if isinstance(error, BaseExceptionGroup):
        found = [_survivable_reasons(inner) for inner in error.exceptions]
        return [reason for reasons in found for reason in reasons] if all(found) else []
    full = isinstance(error, OSError) and error.errno in _DISK_FULL
    survivable = isinstance(error, SuiteError) and error.survivable
    return [str(error)] if full or survivable else []


def log_pass(report: PassReport, *, seconds: float) -> None:
    """Log the one line that carries all counts of a pass."""
    log.info("pass_finished", **report.fields(), duration_seconds=round(seconds, 3))
