import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from types import FrameType

import anyio
import pytest
from structlog.testing import capture_logs

import shared.lives
from shared.errors import ExitStatus, PermanentError
from shared.lifecycle import Control, Pulse, run
from shared.lives import Setup, run_service
from shared.systemd import Notifier

LIMIT_SECONDS = 10


@dataclass
class Report:
    """The report of a pass."""

    failed: int = 0

    def fields(self) -> Mapping[str, object]:
        """Return the counts."""
        return {"failed": self.failed}


@dataclass
class Carrier:
    """A service whose work is the test's."""

    work: Callable[[Control], Awaitable[None]]
    report: Report = field(default_factory=Report)
    once: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint

    async def run(self, control: Control) -> None:
        """Do the work."""
        await self.work(control)

    async def run_once(self) -> Report:
        """Do one pass."""
        await self.once()
        return self.report


@dataclass
class Life:
    """Lives one life and remembers what was seen."""

    steps: list[str] = field(default_factory=list)
    given_up: list[int] = field(default_factory=list)
    notifier: Notifier = field(default_factory=lambda: Notifier({}))
    grace_seconds: float = LIMIT_SECONDS
    once: bool = False
    controls: list[Control] = field(default_factory=list)

    def live(
        self, service: Carrier, opening: Callable[[], Awaitable[None]] | None = None
    ) -> ExitStatus:
        """Run the service on the event loop that production uses."""
        return run(partial(self._live, service, opening))

    async def _live(
        self, service: Carrier, opening: Callable[[], Awaitable[None]] | None
    ) -> ExitStatus:
        with anyio.fail_after(LIMIT_SECONDS):
            return await run_service(
                Setup(partial(self.open, service, opening), self.grace_seconds),
                notifier=self.notifier,
                once=self.once,
                give_up=self.given_up.append,
            )

    def open(
        self,
        service: Carrier,
        opening: Callable[[], Awaitable[None]] | None,
        control: Control,
    ) -> AbstractAsyncContextManager[Carrier]:
        """Open the service."""
        self.controls.append(control)

        @asynccontextmanager
        async def opened() -> AsyncIterator[Carrier]:
            self.steps.append("opened")
            try:
                if opening is not None:
                    await opening()
                yield service
            finally:
                self.steps.append("closed")

        return opened()

    def open_nothing(self, control: Control) -> AbstractAsyncContextManager[Carrier]:
        """Open a service that does nothing."""
        return self.open(Carrier(work_forever), None, control)


def kill(number: signal.Signals) -> None:
    """Send a signal to ourselves."""
    os.kill(os.getpid(), number)


async def work_forever(_control: Control) -> None:
    """Never look at `stopping`."""
    await anyio.sleep_forever()


async def until_stopping(control: Control) -> None:
    """Stop as asked."""
    kill(signal.SIGTERM)
    await control.stopping.wait()


def test_a_service_that_ends_by_itself_is_done() -> None:
    """Open, ready, closed, in this order, as log events too."""
    life = Life()

    with capture_logs() as logs:
        status = life.live(Carrier(lambda _control: anyio.lowlevel.checkpoint()))

    assert status == ExitStatus.DONE
    assert life.steps == ["opened", "closed"]
    assert [entry["event"] for entry in logs] == ["open", "ready", "closed"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_lets_work_finish(number: signal.Signals) -> None:
    """What is in flight is finished: an upload that was nearly there is not sent twice."""
    finished = []

    async def work(control: Control) -> None:
        kill(number)
        await control.stopping.wait()
        await anyio.lowlevel.checkpoint()
        finished.append("in flight")

    with capture_logs() as logs:
        status = Life().live(Carrier(work))

    assert status == ExitStatus.DONE
    assert finished == ["in flight"]
    assert [entry["event"] for entry in logs] == ["open", "ready", "stopping", "closed"]


def test_after_the_grace_the_rest_is_cancelled() -> None:
    """A spot instance has two minutes; hanging on would end in SIGKILL."""
    life = Life(grace_seconds=0.01)

    async def work(_control: Control) -> None:
        kill(signal.SIGTERM)
        await anyio.sleep_forever()

    with capture_logs() as logs:
        status = life.live(Carrier(work))

    assert status == ExitStatus.DONE
    assert life.steps == ["opened", "closed"]
    assert "grace_ended" in [entry["event"] for entry in logs]


def test_a_second_signal_cancels_at_once() -> None:
    """Somebody presses Ctrl-C again: the grace is over, and the status says so."""
    life = Life(grace_seconds=1000)

    async def work(control: Control) -> None:
        kill(signal.SIGINT)
        await control.stopping.wait()
        kill(signal.SIGINT)
        await anyio.sleep_forever()

    assert life.live(Carrier(work)) == ExitStatus.INTERRUPTED
    assert life.steps == ["opened", "closed"]


def test_a_signal_while_opening_ends_at_once() -> None:
    """Nothing is in flight yet; waiting for a metadata service that is not there helps nobody."""
    life = Life(grace_seconds=1000)

    async def opening() -> None:
        kill(signal.SIGTERM)
        await anyio.sleep_forever()

    assert life.live(Carrier(work_forever), opening) == ExitStatus.DONE
    assert life.steps == ["opened", "closed"]


def test_clean_up_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step can be repeated, so leaving costs nothing; staying for ever does."""
    monkeypatch.setattr(shared.lives, "CLEAN_UP_SECONDS", 0.01)
    life = Life(grace_seconds=0)
    released = anyio.Event()

    def give_up(status: int) -> None:
        life.given_up.append(status)
        released.set()

    async def work(_control: Control) -> None:
        kill(signal.SIGTERM)
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await released.wait()

    async def live() -> ExitStatus:
        return await run_service(
            Setup(partial(life.open, Carrier(work), None), 0),
            notifier=life.notifier,
            give_up=give_up,
        )

    run(live)

    assert life.given_up == [ExitStatus.UNEXPECTED]


@pytest.mark.parametrize(("failed", "status"), [(0, ExitStatus.DONE), (2, ExitStatus.PARTLY_DONE)])
def test_one_pass_says_whether_all_of_it_was_done(failed: int, status: ExitStatus) -> None:
    """Scripts decide by the exit status whether they may go on."""
    life = Life(once=True)

    with capture_logs() as logs:
        ended = life.live(Carrier(work_forever, Report(failed)))

    assert ended == status
    [line] = [entry for entry in logs if entry["event"] == "pass_finished"]
    assert line["failed"] == failed


def test_one_pass_that_was_interrupted_is_not_done() -> None:
    """0 would tell a script that everything is in S3."""
    life = Life(once=True)

    async def once() -> None:
        kill(signal.SIGTERM)
        await life.controls[0].stopping.wait()

    assert life.live(Carrier(work_forever, once=once)) == ExitStatus.INTERRUPTED


def test_an_exception_comes_out_as_itself() -> None:
    """The command renders it; a group around it would hide its exit status."""
    life = Life()

    async def work(_control: Control) -> None:
        await anyio.lowlevel.checkpoint()
        raise PermanentError("it is over")

    with pytest.raises(PermanentError, match="it is over"):
        life.live(Carrier(work))
    assert life.steps == ["opened", "closed"]


def test_signal_handlers_are_put_back() -> None:
    """Who runs a service inside a larger program keeps the handlers that were there."""

    def handler(_number: int, _frame: FrameType | None) -> None:
        """Stand for the larger program's own."""

    interrupt = signal.getsignal(signal.SIGINT)
    before = signal.signal(signal.SIGTERM, handler)
    try:
        Life().live(Carrier(until_stopping))

        assert signal.getsignal(signal.SIGTERM) is handler
        assert signal.getsignal(signal.SIGINT) is interrupt
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_closed_terminal_stops_the_daemon_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise closing the window would leave an invisible daemon behind."""
    monkeypatch.setattr(os, "isatty", lambda _descriptor: True)

    async def work(control: Control) -> None:
        kill(signal.SIGHUP)
        await control.stopping.wait()

    with capture_logs() as logs:
        assert Life().live(Carrier(work)) == ExitStatus.DONE
    assert "stopping" in [entry["event"] for entry in logs]


def received(manager: socket.socket) -> list[str]:
    """Return all that has been sent so far."""
    messages = []
    while True:
        try:
            messages.append(manager.recv(1000).decode())
        except BlockingIOError:
            return messages


def test_systemd_hears_ready_status_and_stopping(manager: socket.socket) -> None:
    """`Type=notify` waits for the first, people read the second in `systemctl status`."""
    notifier = Notifier({"NOTIFY_SOCKET": manager.getsockname()})

    async def work(control: Control) -> None:
        control.status("12 files wait")
        await until_stopping(control)

    Life(notifier=notifier).live(Carrier(work))

    assert received(manager) == ["READY=1", "STATUS=12 files wait", "STOPPING=1"]


def hang(_control: Control) -> None:
    """Do nothing, as a loop that waits for a lock for ever."""


@pytest.mark.parametrize(("loop", "pings"), [(Control.progress, 3), (hang, 0)])
def test_the_watchdog_is_fed_by_progress_only(
    manager: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    loop: Callable[[Control], None],
    pings: int,
) -> None:
    """A loop that hangs on one lock while the process lives must be ended by systemd."""
    environ = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "30000000"}
    slept: list[float] = []

    async def feed() -> ExitStatus:
        notifier = Notifier(environ)
        life = shared.lives._Life(Setup(Life().open_nothing, 0), notifier)
        lives = shared.lives._Lives(life, notifier, None, print)

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) > 3:
                scope.cancel()
            loop(life.control)
            await anyio.lowlevel.checkpoint()

        monkeypatch.setattr(anyio, "sleep", sleep)
        with anyio.CancelScope() as scope:
            await lives.feed_watchdog()
        return ExitStatus.DONE

    run(feed)

    assert slept == [7.5] * 4
    assert received(manager) == ["WATCHDOG=1"] * pings


def test_a_declared_wait_feeds_the_watchdog(manager: socket.socket) -> None:
    """An idle daemon does nothing, and that for minutes; it is alive all the same."""
    notifier = Notifier({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "20000"})

    async def work(control: Control) -> None:
        with control.waiting(LIMIT_SECONDS):
            while await receive(manager) != "WATCHDOG=1":
                pass

    assert Life(notifier=notifier).live(Carrier(work)) == ExitStatus.DONE


async def receive(manager: socket.socket) -> str:
    """Return the next message."""
    await anyio.wait_readable(manager)
    return manager.recv(1000).decode()


@pytest.mark.parametrize(
    ("pulse", "beats"),
    [
        (Pulse(progressed=True), [True, False]),
        (Pulse(waits=[10]), [True, True]),
        (Pulse(waits=[9.5]), [True, False]),
        (Pulse(waits=[100, 9.5]), [True, False]),
        (Pulse(), [False, False]),
    ],
)
def test_a_pulse_counts_progress_once(pulse: Pulse, beats: list[bool]) -> None:
    """One step forward proves life for one beat, a declared wait up to its limit."""
    assert [pulse.beat(9), pulse.beat(10)] == beats


def test_a_wait_ends_with_stopping() -> None:
    """Nobody wants to wait a minute for a daemon that has nothing to do."""

    async def work(control: Control) -> None:
        assert not await control.wait(0)
        kill(signal.SIGTERM)
        assert await control.wait(LIMIT_SECONDS)

    assert Life().live(Carrier(work)) == ExitStatus.DONE
