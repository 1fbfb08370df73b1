"""The lives of a daemon in one process: open -> ready -> pass, pass, ... -> stopping -> closed.

Usually there is one. A reload that brings other settings ends it once all that is in flight is
finished, and opens the next one in its place. Rule: whatever happens, the process ends within
bounds and says with its exit status how; and a configuration applies as a whole or not at all.

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
| SIGHUP: what is read is wrong, or the same    | all goes on as before               |        |
| SIGHUP: other settings                        | drained, closed, opened with them   |        |
| they cannot be opened with                    | opened with those before            |        |
| nor with those                                | the exception goes on               | its own|
"""

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field

import anyio
import structlog
from anyio import to_thread
from anyio.abc import TaskGroup
from structlog.typing import FilteringBoundLogger

from shared.errors import ExitStatus, SuiteError, UsageError
from shared.lifecycle import CLEAN_UP_SECONDS, Control, OpenService, PassReport, log_pass
from shared.reloading import Keep, Refuse, Replace, Values, changed_names, plan_reload
from shared.systemd import Notifier

log: FilteringBoundLogger = structlog.get_logger()

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_BEATS_PER_TIMEOUT = 4
_BEAT_SECONDS = 15.0
"""How often a manager without a watchdog is told that a reload gets on."""
_OPENING_SECONDS = 300.0
"""How long opening may take in a reload, before the watchdog ends the process: it runs already."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a life is opened with."""

    open_service: OpenService
    grace_seconds: float
    values: Values = field(default_factory=dict)
    """The settings by name: a reload compares them, and names those that differ."""
    prepare: Callable[[], object] = lambda: None
    """Called before the service is opened: sets up the log as the settings say."""
    finishes: bool = False
    """A reload waits for what is in flight as long as it takes, not only for the grace."""


ReadAgain = Callable[[], Setup]
"""Reads the configuration as it was read at the start; blocks, and raises UsageError."""


async def run_service(
    setup: Setup,
    *,
    notifier: Notifier,
    once: bool = False,
    read_again: ReadAgain | None = None,
    give_up: Callable[[int], object] = os._exit,
) -> ExitStatus:
    """Live until a signal, or until the service ends by itself; the table above says how."""
    lives = _Lives(_Life(setup, notifier), notifier, None if once else read_again, give_up)
    with _signal_handlers_put_back(), anyio.open_signal_receiver(*_SIGNALS) as signals:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lives.follow_signals, signals, tasks)
                tasks.start_soon(lives.reload_when_asked, tasks)
                tasks.start_soon(lives.feed_watchdog)
                report = await lives.work_through(once=once)
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise _unwrapped(group) from None
    status = lives.status(report, once=once)
    log.info("closed", status=int(status))
    return status


class _Life:
    """One life of a service, from open to closed."""

    def __init__(
        self, setup: Setup, notifier: Notifier, changed: tuple[str, ...] | None = None
    ) -> None:
        self.setup = setup
        self.control = Control(notifier)
        self.changed = changed
        """What differs from the life before, of one that a reload began."""
        self.work = anyio.CancelScope()
        self.patience = anyio.CancelScope()
        """Holds what ends the work when its time is over; cancelled when it has ended."""


@dataclass(slots=True)
class _Lives:
    """The life that is lived now, and what has been asked of the process so far."""

    life: _Life
    notifier: Notifier
    read_again: ReadAgain | None
    give_up: Callable[[int], object]
    whole: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    opened: anyio.Event = field(default_factory=anyio.Event)
    """Set while a life is open; a new event when it is closed."""
    asked: anyio.Event = field(default_factory=anyio.Event)
    """Set by SIGHUP; a new event once it is seen to."""
    waiting: Setup | None = None
    """What the next life is opened with, as soon as this one is over."""
    reloading: bool = False
    """The service manager was told so, and not yet that it is over."""
    ending: bool = False
    forced: bool = False

    async def work_through(self, *, once: bool) -> PassReport | None:
        """Live one life after the other; a cancelled one ends here, without an exception."""
        report = None
        with self.whole:
            report = await self._live(once=once)
            while self.waiting is not None and not self.ending:
                await self._succeed(self.waiting)
        return report

    async def _live(self, *, once: bool = False) -> PassReport | None:
        """Open, work, close."""
        life, report = self.life, None
        life.setup.prepare()
        log.info("open")
        try:
            with life.work:
                async with AsyncExitStack() as stack:
                    with life.control.waiting(_OPENING_SECONDS):
                        opening = life.setup.open_service(life.control)
                        service = await stack.enter_async_context(opening)
                    self._is_open(life)
                    if once:
                        started_at = anyio.current_time()
                        report = await service.run_once()
                        log_pass(report, seconds=anyio.current_time() - started_at)
                    else:
                        await service.run(life.control)
                    life.control.progress()
        finally:
            life.patience.cancel()
            if self.opened.is_set():
                self.opened = anyio.Event()
        return report

    async def _succeed(self, setup: Setup) -> None:
        """Live with the settings that waited; where that cannot even begin, with those before."""
        before, self.waiting = self.life.setup, None
        changed = changed_names(before.values, setup.values)
        self.life = _Life(setup, self.notifier, changed)
        try:
            await self._live()
        except (SuiteError, OSError, ExceptionGroup) as error:
            reasons = _refusals(error)
            if self.life.control.is_ready or not reasons:
                raise
            self.life = _Life(before, self.notifier)
            before.prepare()
            _tell_refused(reasons)
            await self._live()

    def _is_open(self, life: _Life) -> None:
        # Before READY=1, which lets `systemctl reload` return: then it can be read in the log.
        if life.changed is not None:
            log.info("reload_done", changed=list(life.changed))
        self.reloading = False
        life.control.ready()
        self.opened.set()

    async def follow_signals(
        self, signals: AsyncIterator[signal.Signals], tasks: TaskGroup
    ) -> None:
        """Do what each signal asks for."""
        async for number in signals:
            if number == signal.SIGHUP and not _terminal_is_ours():
                self._ask_to_reload()
            elif self.ending:
                log.warning("stop_forced", signal=number.name)
                self.forced = True
                tasks.start_soon(self._cancel_after, 0.0, self.whole)
            else:
                self._stop(number, tasks)

    def _stop(self, number: signal.Signals, tasks: TaskGroup) -> None:
        grace = self.life.setup.grace_seconds
        log.info("stopping", signal=number.name, grace_seconds=grace)
        self.ending = True
        self.notifier.stopping()
        self.life.control.stop()
        tasks.start_soon(self._cancel_after, grace if self.opened.is_set() else 0.0, self.whole)

    def _ask_to_reload(self) -> None:
        log.info("reload_requested")
        if self.ending:
            _tell_refused(["the daemon is stopping"])
        elif self.read_again is None:
            _tell_refused(["the command does one pass and ends; start it anew"])
        else:
            self._say_reloading()
            self.asked.set()

    async def reload_when_asked(self, tasks: TaskGroup) -> None:
        """Read the configuration again whenever it is asked for, several times at once as one."""
        while True:
            await self.asked.wait()
            # Before a life is open, nobody knows which settings are to stay.
            await self.opened.wait()
            self.asked = anyio.Event()
            self._say_reloading()
            found = await to_thread.run_sync(self._read)
            if self.ending:
                return
            if self.opened.is_set():
                self._reload(found, tasks)
            else:
                # The life that they would be compared with is over.
                self.asked.set()

    def _read(self) -> Setup | str:
        """Return what there is to run with now, or in lines what is wrong with it."""
        if self.read_again is None:
            return ""
        try:
            return self.read_again()
        except UsageError as error:
            return str(error)

    def _reload(self, found: Setup | str, tasks: TaskGroup) -> None:
        """Refuse, leave all as it is, or let the life come to its end for the next one."""
        life, values = self.life, found if isinstance(found, str) else found.values
        waiting = None if self.waiting is None else self.waiting.values
        match plan_reload(values, life.setup.values, waiting):
            case Refuse(reasons):
                _tell_refused(reasons)
            case Keep():
                log.info("reload_unchanged")
            case Replace(changed) if isinstance(found, Setup):
                log.info("reload_begun", changed=list(changed))
                life.control.status("finishing what is in flight, then the new settings apply")
                if self.waiting is None:
                    tasks.start_soon(self._end_drain, life)
                self.waiting = found
                life.control.drain()
        if self.waiting is None:
            self.reloading = False
            self.notifier.ready()

    async def _end_drain(self, life: _Life) -> None:
        if not life.setup.finishes:
            with life.patience:
                await self._cancel_after(life.setup.grace_seconds, life.work)

    async def _cancel_after(self, seconds: float, scope: anyio.CancelScope) -> None:
        """Cancel the work when its time is over, and the process when even that does not end."""
        await anyio.sleep(seconds)
        if seconds:
            log.warning("grace_ended", grace_seconds=seconds)
        scope.cancel()
        await anyio.sleep(CLEAN_UP_SECONDS)
        log.error("clean_up_abandoned", limit_seconds=CLEAN_UP_SECONDS)
        self.give_up(ExitStatus.UNEXPECTED)

    def _say_reloading(self) -> None:
        if self.opened.is_set() and not self.reloading:
            self.reloading = True
            self.notifier.reloading()

    async def feed_watchdog(self) -> None:
        """Tell systemd that we are alive as long as the working loop shows that it is."""
        timeout = self.notifier.watchdog_seconds or _BEAT_SECONDS * _BEATS_PER_TIMEOUT
        while True:
            await anyio.sleep(timeout / _BEATS_PER_TIMEOUT)
            if not self.life.control.pulse.beat(anyio.current_time()):
                continue
            if self.notifier.watchdog_seconds is not None:
                self.notifier.alive()
            if self.reloading:
                # Or a reload that waits for hours of work would be called a failure.
                self.notifier.extend(timeout)

    def status(self, report: PassReport | None, *, once: bool) -> ExitStatus:
        """Return the exit status of the process."""
        if self.forced or (once and self.ending):
            return ExitStatus.INTERRUPTED
        failed = report is not None and report.failed > 0
        return ExitStatus.PARTLY_DONE if failed else ExitStatus.DONE


def _tell_refused(reasons: tuple[str, ...] | list[str]) -> None:
    for reason in reasons:
        log.error("reload_refused", reason=reason)


def _refusals(error: BaseException) -> list[str]:
    """Return why a service could not be opened, one text a cause; nothing for a mistake of ours."""
    if isinstance(error, BaseExceptionGroup):
        found = [_refusals(inner) for inner in error.exceptions]
        return [reason for reasons in found for reason in reasons] if all(found) else []
    return (str(error).splitlines() or [repr(error)]) if _is_refusal(error) else []


def _is_refusal(error: BaseException) -> bool:
    return isinstance(error, SuiteError | OSError)


def _unwrapped(error: BaseException) -> BaseException:
    """Return the one exception in a group of one, or of groups of one; else the group."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


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
