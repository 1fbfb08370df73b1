import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import anyio
import pytest
import structlog

import shared.lives
from shared.errors import AlreadyRunning, ExitStatus
from shared.lifecycle import Control
from shared.lives import Setup
from shared.systemd import Notifier
from tests.support.living import LIMIT_SECONDS, Carrier, Said, Work, hang_up


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as a daemon does: a hang-up asks for a reload."""
    monkeypatch.setattr(os, "isatty", lambda _descriptor: False)


def told(manager: socket.socket) -> list[str]:
    """Return what has been sent so far, but for lines for people."""
    words: list[str] = []
    while True:
        try:
            text = manager.recv(1000).decode()
        except BlockingIOError:
            return words
        if not text.startswith("STATUS="):
            words.append(text.partition("\n")[0])


@pytest.fixture
def said() -> Iterator[Said]:
    """Read along what is logged."""
    taken = Said()
    structlog.configure(processors=[taken])
    yield taken
    structlog.reset_defaults()


def reloading_to(name: str | None) -> Work:
    """Return a life that is reloaded with these settings, and ends as it should."""

    async def work(carrier: Carrier, control: Control) -> None:
        carrier.configured = name
        hang_up()
        await control.stopping.wait()
        assert not control.leaving.is_set(), "nothing is given back for a reload"

    return work


async def end(_carrier: Carrier, _control: Control) -> None:
    """End by itself, and with it the process."""


def test_other_settings_begin_a_new_life_in_the_same_process(
    manager: socket.socket, said: Said
) -> None:
    """Drained, closed, opened; the log is set up anew; systemd hears when it is over."""
    carrier = Carrier([reloading_to("b"), end])
    notifier = Notifier({"NOTIFY_SOCKET": manager.getsockname()})

    assert carrier.live(notifier) == ExitStatus.DONE

    assert carrier.steps == ["log a", "open a", "close a", "log b", "open b", "close b"]
    assert told(manager) == ["READY=1", "RELOADING=1", "READY=1"]
    assert said.events == [
        *("open", "ready", "reload_requested", "reload_begun"),
        *("open", "reload_done", "ready", "closed"),
    ]
    assert said.entries[5]["changed"] == ["name"]


@pytest.mark.parametrize(
    ("configured", "events"),
    [(None, ["reload_refused", "reload_refused"]), ("a", ["reload_unchanged"])],
)
def test_without_new_settings_the_life_goes_on(
    manager: socket.socket, said: Said, configured: str | None, events: list[str]
) -> None:
    """What is wrong is said a line each; nothing is stopped for it."""

    async def work(carrier: Carrier, control: Control) -> None:
        carrier.configured = configured
        for times in (1, 2):
            hang_up()
            await said.until(events[0], times * len(events))
        assert not control.stopping.is_set()

    carrier = Carrier([work])

    assert carrier.live(Notifier({"NOTIFY_SOCKET": manager.getsockname()})) == ExitStatus.DONE

    assert carrier.lives == ["open a", "close a"]
    assert said.events[2:-1] == ["reload_requested", *events] * 2
    assert told(manager) == ["READY=1", *["RELOADING=1", "READY=1"] * 2]


def test_settings_that_cannot_be_opened_with_are_taken_back(said: Said) -> None:
    """A lock that somebody holds, a bucket that refuses: the daemon must not be down for it."""
    carrier = Carrier([reloading_to("b"), reloading_to("c"), end], refuses={"b"})

    assert carrier.live() == ExitStatus.DONE

    opened = [step for step in carrier.lives if step.startswith("open")]
    assert opened == ["open a", "open b", "open a", "open c"]
    [refused] = said.of("reload_refused")
    assert refused["reason"] == "b is in use"


def test_when_nothing_opens_any_more_the_process_ends_with_its_reason() -> None:
    """The unit is then started anew by the service manager, as after any failure."""
    carrier = Carrier([reloading_to("b")])

    async def close_the_door(name: str) -> None:
        await anyio.lowlevel.checkpoint()
        if name == "b":
            carrier.refuses = {"a", "b"}

    carrier.at_opening = close_the_door

    with pytest.raises(AlreadyRunning, match="a is in use"):
        carrier.live()


def test_an_exception_of_a_life_is_no_refusal() -> None:
    """What went wrong at work, not at opening, would go wrong with the former settings too."""

    async def fail(_carrier: Carrier, _control: Control) -> None:
        await anyio.lowlevel.checkpoint()
        raise AlreadyRunning("the ledger")

    carrier = Carrier([reloading_to("b"), fail])

    with pytest.raises(AlreadyRunning, match="the ledger"):
        carrier.live()
    assert carrier.lives == ["open a", "close a", "open b", "close b"]


@pytest.mark.parametrize(
    ("later", "opened"), [("c", "open c"), (None, "open b"), ("b", "open b"), ("a", "open a")]
)
def test_what_was_read_last_counts_while_something_is_in_flight(
    said: Said, later: str | None, opened: str
) -> None:
    """Hours may pass; settings that somebody has corrected meanwhile must never run."""

    async def work(carrier: Carrier, control: Control) -> None:
        carrier.configured = "b"
        hang_up()
        await control.stopping.wait()
        carrier.configured = later
        hang_up()
        await said.more(2, after=4)

    carrier = Carrier([work, end])

    assert carrier.live() == ExitStatus.DONE

    assert carrier.lives[2] == opened
    assert len(carrier.lives) == 4
    assert len(said.of("reload_done")) == 1


def test_a_request_while_it_opens_is_seen_to_when_it_is_ready(
    manager: socket.socket, said: Said
) -> None:
    """READY=1 before the first opening is over would be a lie."""

    async def ask(_name: str) -> None:
        hang_up()
        await said.until("reload_requested")

    async def work(_carrier: Carrier, _control: Control) -> None:
        await said.until("reload_refused")

    carrier = Carrier([work], configured=None, at_opening=ask)

    carrier.live(Notifier({"NOTIFY_SOCKET": manager.getsockname()}))

    assert told(manager) == ["READY=1", "RELOADING=1", "READY=1"]


def test_what_hangs_is_given_up_when_the_grace_is_over(said: Said) -> None:
    """A request that S3 never answers must not keep the new settings out for ever."""

    async def work(carrier: Carrier, control: Control) -> None:
        carrier.configured = "b"
        hang_up()
        await anyio.sleep_forever()

    carrier = Carrier([work, end], grace_seconds=0.001)

    assert carrier.live() == ExitStatus.DONE
    assert said.of("grace_ended")
    assert carrier.lives == ["open a", "close a", "open b", "close b"]


def test_a_daemon_that_finishes_what_it_has_in_hand_is_given_the_time(said: Said) -> None:
    """Hours of computing are not thrown away for a change of settings."""
    finished = []

    async def work(carrier: Carrier, control: Control) -> None:
        carrier.configured = "b"
        hang_up()
        await control.stopping.wait()
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        finished.append("in flight")

    carrier = Carrier([work, end], grace_seconds=0, finishes=True)

    assert carrier.live() == ExitStatus.DONE
    assert finished == ["in flight"]
    assert not said.of("grace_ended")


def test_the_limit_of_one_life_does_not_end_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload that went well must not end the process when its grace would have been over."""
    monkeypatch.setattr(shared.lives, "CLEAN_UP_SECONDS", 0)

    async def outlive(_carrier: Carrier, control: Control) -> None:
        with anyio.move_on_after(0.1):
            await control.stopping.wait()

    carrier = Carrier([reloading_to("b"), outlive], grace_seconds=0.02)

    assert carrier.live() == ExitStatus.DONE
    assert carrier.given_up == []
    assert carrier.lives == ["open a", "close a", "open b", "close b"]


@pytest.mark.parametrize("hangs", [True, False])
def test_sigterm_ends_it_within_the_grace_whatever_a_reload_waits_for(
    said: Said, *, hangs: bool
) -> None:
    """A machine that shuts down kills what does not end."""

    async def work(carrier: Carrier, control: Control) -> None:
        carrier.configured = "b"
        hang_up()
        await control.stopping.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await control.leaving.wait()
        hang_up()
        await said.until("reload_refused")
        if hangs:
            await anyio.sleep_forever()

    carrier = Carrier([work], grace_seconds=0.05, finishes=True)

    assert carrier.live() == ExitStatus.DONE
    assert carrier.lives == ["open a", "close a"]
    assert "reload_done" not in said.events
    assert said.of("reload_refused")[0]["reason"] == "the daemon is stopping"


def test_sigterm_while_the_next_life_opens_ends_it_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is in flight then."""
    carrier = Carrier([reloading_to("b")], grace_seconds=1000)

    @asynccontextmanager
    async def hang(_control: Control) -> AsyncIterator[Carrier]:
        os.kill(os.getpid(), signal.SIGTERM)
        await anyio.sleep_forever()
        yield carrier

    hanging = Setup(hang, 1000, values={"name": "b"})
    monkeypatch.setattr(carrier, "read_again", lambda: hanging)

    assert carrier.live() == ExitStatus.DONE
    assert carrier.lives == ["open a", "close a"]


def test_one_pass_is_not_reloaded(said: Said) -> None:
    """It is over soon, and whoever started it wants what they asked for."""
    carrier = Carrier([], once=True, configured="b")

    assert carrier.live() == ExitStatus.DONE
    assert len(said.of("reload_refused")) == 1
    assert carrier.lives == ["open a", "close a"]


def test_systemd_is_told_that_a_long_reload_gets_on(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or `systemctl reload` calls one that waits for hours of work a failure."""
    monkeypatch.setattr(shared.lives, "_BEAT_SECONDS", 0.01)
    words: list[str] = []

    async def work(carrier: Carrier, control: Control) -> None:
        with control.waiting(LIMIT_SECONDS):
            carrier.configured = "b"
            hang_up()
            while "EXTEND_TIMEOUT_USEC=40000" not in words:
                await anyio.wait_readable(manager)
                words.extend(told(manager))

    carrier = Carrier([work, end], finishes=True)

    assert carrier.live(Notifier({"NOTIFY_SOCKET": manager.getsockname()})) == ExitStatus.DONE
    assert words[:2] == ["READY=1", "RELOADING=1"]
