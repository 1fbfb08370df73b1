import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.ground import Ground
from tests.support.daemon import NotifySocket
from tests.support.gate import Gate
from tests.support.strict_s3.faults import Fault, Wait


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[NotifySocket]:
    """What a service manager listens on."""
    opened = NotifySocket(tmp_path / "notify")
    yield opened
    opened.close()


def test_it_tells_systemd_ready_alive_and_stopping(ground: Ground, notified: NotifySocket) -> None:
    """Type=notify waits for the first, the watchdog for the second, and a restart for the third."""
    daemon = ground.start(
        interval=0.2,
        env={"NOTIFY_SOCKET": str(notified.address), "WATCHDOG_USEC": "800000"},
    )

    notified.wait_for("READY=1")
    notified.wait_for("WATCHDOG=1", count=3)
    notified.wait_for("STATUS=*")
    assert daemon.stop() == 0
    notified.wait_for("STOPPING=1")
    assert notified.received.count("READY=1") == 1
    assert notified.received.index("READY=1") < notified.received.index("STOPPING=1")


def test_it_feeds_the_watchdog_while_it_waits_for_a_slow_answer(
    ground: Ground, notified: NotifySocket
) -> None:
    """An hour of quiet or one slow upload is no reason to be killed."""
    held = Gate()
    ground.s3.faults.add(Fault(Wait(held), operation="PutObject"))
    ground.put("a.png", b"picture")
    daemon = ground.start(
        interval=3600,
        env={"NOTIFY_SOCKET": str(notified.address), "WATCHDOG_USEC": "400000"},
    )
    held.reached_blocking()
    fed = notified.received.count("WATCHDOG=1")

    notified.wait_for("WATCHDOG=1", count=fed + 5)

    held.open()
    daemon.wait_for("file_uploaded", key="a.png")
    assert daemon.stop() == 0


def test_it_does_not_say_ready_when_it_cannot_start(ground: Ground, notified: NotifySocket) -> None:
    """A unit whose credentials are missing has failed, not started."""
    outcome = ground.command(
        env={
            "NOTIFY_SOCKET": str(notified.address),
            "AWS_ACCESS_KEY_ID": "",
            "AWS_SECRET_ACCESS_KEY": "",
        }
    )

    assert outcome.status == 3
    with pytest.raises(AssertionError):
        notified.wait_for("READY=1", limit=0.1)


def test_sighup_does_not_end_it(ground: Ground) -> None:
    """`systemctl reload`, or a terminal that is closed, must not stop the uploads."""
    daemon = ground.ready()
    daemon.signal(signal.SIGHUP)
    daemon.wait_for("reload_requested")
    ground.put("a.png", b"picture")

    daemon.wait_for("file_uploaded", key="a.png")
    assert daemon.stop() == 0


def test_without_a_journal_to_talk_to_every_line_is_json(ground: Ground) -> None:
    """A variable left over from the session that started it is no journal."""
    daemon = ground.start("--log-form", "auto", env={"JOURNAL_STREAM": "8:12345"})
    daemon.wait_for("ready")

    assert daemon.text == ""
    assert daemon.stop() == 0
    assert daemon.text == ""
