import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.acceptance.ground import BUCKET, Ground
from tests.support.daemon import Daemon, NotifySocket
from tests.support.gate import Gate
from tests.support.nursery import Birth
from tests.support.strict_s3.faults import Fault, Wait


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[NotifySocket]:
    """What a service manager listens on."""
    opened = NotifySocket(tmp_path / "notify")
    yield opened
    opened.close()


def configure(ground: Ground, **settings: object) -> Path:
    """Write the configuration file."""
    known: Mapping[str, object] = {
        "directory": str(ground.root),
        "state_directory": str(ground.state),
        "interval_seconds": 0.5,
        "stability_seconds": 1,
        "log_form": "json",
        **settings,
    }
    file = ground.folder / "uploader.toml"
    file.write_text("".join(f"{name} = {value!r}\n" for name, value in known.items()))
    return file


def start(ground: Ground, env: Mapping[str, str] | None = None, **settings: object) -> Daemon:
    """Start a daemon that has everything from its configuration file, and wait for its scan."""
    file = configure(ground, **settings)
    daemon = Daemon(Birth(["--config", str(file)], ground.environment(env)), ground.nursery.start)
    ground.daemons.append(daemon)
    daemon.wait_for("pass_finished")
    return daemon


def kinds(notified: NotifySocket) -> list[str]:
    """Return what the service manager was told of the daemon's state."""
    words = [text.partition("=")[0] for text in notified.received]
    return [word for word in words if word in {"READY", "RELOADING", "STOPPING"}]


def test_a_reload_finishes_what_is_in_flight_and_applies_the_new_settings(
    ground: Ground, notified: NotifySocket
) -> None:
    """Nothing is lost or sent twice, and `systemctl reload` returns when they are in force."""
    held = Gate()
    ground.s3.faults.add(Fault(Wait(held), operation="PutObject"))
    daemon = start(ground, {"NOTIFY_SOCKET": str(notified.address)})
    ground.put("a.png", b"picture")
    ground.put("b.tmp", b"a temporary name until now")
    held.reached_blocking()

    configure(ground, skip_names=["*.never"])
    daemon.signal(signal.SIGHUP)
    daemon.wait_for("reload_begun", changed=["skip_names"])
    ground.put("later.png", b"later")
    assert not daemon.events("reload_done")
    held.open()

    daemon.wait_for("reload_done", changed=["skip_names"])
    for key in ("b.tmp", "later.png"):
        daemon.wait_for("file_uploaded", key=key)
    daemon.wait_until(ground.is_empty)
    assert daemon.stop() == 0
    assert len(daemon.events("file_uploaded", key="a.png")) == 1
    assert not daemon.events("grace_ended")
    notified.wait_for("STOPPING=1")
    assert kinds(notified) == ["READY", "RELOADING", "READY", "STOPPING"]
    ground.check()


def test_a_wrong_configuration_is_refused_with_its_reasons_and_all_goes_on(
    ground: Ground, notified: NotifySocket
) -> None:
    """A slip of the pen must not stop a daemon that runs for months, nor apply by half."""
    daemon = start(ground, {"NOTIFY_SOCKET": str(notified.address)})
    configure(ground, interval_seconds=-1, skip_names=["*.png"], colour="blue")
    daemon.signal(signal.SIGHUP)

    daemon.wait_for("reload_refused", level="error", count=2)
    notified.wait_for("READY=1", count=2)
    ground.put("a.png", b"picture")
    daemon.wait_for("file_uploaded", key="a.png")

    reasons = [str(event.fields["reason"]) for event in daemon.events("reload_refused")]
    assert any("interval" in reason and "-1" in reason for reason in reasons)
    assert any("colour" in reason for reason in reasons)
    assert len(daemon.events("open")) == 1
    assert daemon.stop() == 0
    ground.check()


def test_settings_that_cannot_be_opened_with_are_taken_back(ground: Ground) -> None:
    """What only opening can find out, a state folder that is none, is no reason to be down."""
    daemon = start(ground)
    blocked = ground.folder / "blocked"
    blocked.write_text("a file, not a folder")
    configure(ground, state_directory=str(blocked), skip_names=["*.png"])
    daemon.signal(signal.SIGHUP)

    daemon.wait_for("reload_refused", level="error")
    ground.put("a.png", b"picture")
    daemon.wait_for("file_uploaded", key="a.png")
    daemon.signal(signal.SIGHUP)
    daemon.wait_for("reload_refused", count=2)
    configure(ground)
    daemon.signal(signal.SIGHUP)
    daemon.wait_for("reload_unchanged")

    assert ground.left() == []
    assert BUCKET in ground.produced
    assert daemon.stop() == 0
