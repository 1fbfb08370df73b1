import os
import socket
from pathlib import Path

import pytest

from shared.systemd import Notifier


def test_every_state_has_its_message(manager: socket.socket) -> None:
    """Systemd ignores what it does not know, so a misspelt word would never be noticed."""
    notifier = Notifier({"NOTIFY_SOCKET": manager.getsockname()})

    sent = [notifier.ready(), notifier.alive(), notifier.stopping(), notifier.reloading()]

    assert all(sent)
    assert [manager.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]
    assert manager.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    assert notifier.extend(1.5)
    assert manager.recv(100) == b"EXTEND_TIMEOUT_USEC=1500000"


def test_a_status_is_one_line(manager: socket.socket) -> None:
    """A newline in a status would be read as another message."""
    notifier = Notifier({"NOTIFY_SOCKET": manager.getsockname()})

    notifier.status("uploading\nREADY=1 \udcff" + "x" * 2000)

    assert manager.recv(4000).startswith(b"STATUS=uploading READY=1 \\udcffxxx")


@pytest.mark.skipif(not Path("/proc").exists(), reason="only Linux has abstract sockets")
def test_an_abstract_socket_is_reached() -> None:
    """Containers and user managers use these: `@` stands for the leading NUL."""
    name = f"towpath-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0{name}")
        receiver.settimeout(5)

        assert Notifier({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert receiver.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/at/all", "vsock:2:1"])
def test_nothing_happens_where_nobody_listens(address: str) -> None:
    """A daemon started by hand, or one whose manager has gone, works all the same."""
    notifier = Notifier({"NOTIFY_SOCKET": address} if address else {})

    assert not notifier.ready()
    assert not notifier.status("text")


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_only_for_the_process_that_is_meant(
    environ: dict[str, str], seconds: float | None
) -> None:
    """A child inherits the variables; its pings would keep a hanging parent alive."""
    assert Notifier(environ).watchdog_seconds == seconds
