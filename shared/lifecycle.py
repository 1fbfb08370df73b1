"""The life of a daemon: open -> ready -> pass, pass, ... -> stopping -> closed.

A service is opened with a `Control`, works in `run` until `control.stopping`, finishes what is in
flight and returns. Rule: whatever happens, the process ends within bounds and says with its exit
status how.

| what happens                                  | what follows                        | status |
|-----------------------------------------------|-------------------------------------|--------|
| `run` returns by itself                       | closed                              | 0      |
| first SIGTERM or SIGINT before `ready`        | opening is cancelled, closed        | 0      |
| first SIGTERM or SIGINT, done within grace    | closed                              | 0      |
| the grace is over                             | the rest is cancelled, closed       | 0      |
| a second signal                               | everything is cancelled at once     | 130    |
| any of these while one pass runs (`once`)     | the same                            | 130    |
| one pass, some of its items failed            | closed                              | 4      |
| clean-up outlasts its own limit               | the process is given up             | 1      |
| an exception                                  | closed, the exception goes on       | its own|
"""

import errno
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import anyio
import structlog
from anyio.abc import TaskGroup
from structlog.typing import FilteringBoundLogger

from shared.errors import ExitStatus, SuiteError
from shared.schedule import LastPass, Pace, back_off_seconds, next_pass_due
from shared.systemd import Notifier

log: FilteringBoundLogger = structlog.get_logger()

CLEAN_UP_SECONDS = 15.0
"""How long closing may take after everything was cancelled; then the process is given up, which
costs nothing but repeated work: every step can be repeated."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_BEATS_PER_TIMEOUT = 4
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
    """Set by the first signal: take nothing new, finish what is in flight, return."""
    reload: anyio.Event = field(default_factory=anyio.Event)
    """Set by SIGHUP and then replaced by a new event: await `control.reload.wait()` each time."""
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

    def ask_to_reload(self) -> None:
        """Wake whoever waits for `reload`, or for the next pass."""
        self.reload.set()
        self.reload = anyio.Event()
        self.wake()

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


async def run_service(
    open_service: OpenService,
    *,
    grace_seconds: float,
    notifier: Notifier,
    once: bool = False,
    give_up: Callable[[int], object] = os._exit,
) -> ExitStatus:
    """Live one life of a service, from open to closed; the table above says how it ends."""
    life = _Life(Control(notifier), grace_seconds, give_up)
    with _signal_handlers_put_back(), anyio.open_signal_receiver(*_SIGNALS) as signals:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(life.follow_signals, signals, tasks)
                tasks.start_soon(life.feed_watchdog)
                report = await life.work_through(open_service, once=once)
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            if len(group.exceptions) == 1:
                raise group.exceptions[0] from None
            raise
    status = life.status(report, once=once)
    log.info("closed", status=int(status))
    return status


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


@dataclass(slots=True)
class _Life:
    """One life of a service: what has been asked of it so far."""

    control: Control
    grace_seconds: float
    give_up: Callable[[int], object]
    work: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    forced: bool = False

    async def work_through(self, open_service: OpenService, *, once: bool) -> PassReport | None:
        """Open, work, close; a cancelled service ends here, without an exception."""
        report = None
        with self.work:
            log.info("open")
            async with open_service(self.control) as service:
                self.control.ready()
                if once:
                    started_at = anyio.current_time()
                    report = await service.run_once()
                    log_pass(report, seconds=anyio.current_time() - started_at)
                else:
                    await service.run(self.control)
        return report

    async def follow_signals(
        self, signals: AsyncIterator[signal.Signals], tasks: TaskGroup
    ) -> None:
        """Do what each signal asks for."""
        async for number in signals:
            if number == signal.SIGHUP and not _terminal_is_ours():
                log.info("reload_requested")
                self.control.ask_to_reload()
            elif self.control.stopping.is_set():
                log.warning("stop_forced", signal=number.name)
                self.forced = True
                tasks.start_soon(self.cancel_after, 0.0)
            else:
                log.info("stopping", signal=number.name, grace_seconds=self.grace_seconds)
                self.control.notifier.stopping()
                self.control.stopping.set()
                opened = self.control.is_ready
                tasks.start_soon(self.cancel_after, self.grace_seconds if opened else 0.0)

    async def cancel_after(self, seconds: float) -> None:
        """Cancel the work when its time is over, and the process when even that does not end."""
        await anyio.sleep(seconds)
        if seconds:
            log.warning("grace_ended", grace_seconds=seconds)
        self.work.cancel()
        await anyio.sleep(CLEAN_UP_SECONDS)
        log.error("clean_up_abandoned", limit_seconds=CLEAN_UP_SECONDS)
        self.give_up(ExitStatus.UNEXPECTED)

    async def feed_watchdog(self) -> None:
        """Tell systemd that we are alive as long as the working loop shows that it is."""
        timeout = self.control.notifier.watchdog_seconds
        if timeout is None:
            return
        while True:
            await anyio.sleep(timeout / _BEATS_PER_TIMEOUT)
            if self.control.pulse.beat(anyio.current_time()):
                self.control.notifier.alive()

    def status(self, report: PassReport | None, *, once: bool) -> ExitStatus:
        """Return the exit status of this life."""
        if self.forced or (once and self.control.stopping.is_set()):
            return ExitStatus.INTERRUPTED
        failed = report is not None and report.failed > 0
        return ExitStatus.PARTLY_DONE if failed else ExitStatus.DONE


def _terminal_is_ours() -> bool:
    """Tell whether SIGHUP means that our terminal was closed; a daemon without one reloads."""
    try:
        return os.isatty(2)
    except OSError:
        return False


@contextmanager
def _signal_handlers_put_back() -> Iterator[None]:
    """Leave the process's signal handlers as they were found."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: not installed from Python, cannot be put back
                signal.signal(number, handler)
