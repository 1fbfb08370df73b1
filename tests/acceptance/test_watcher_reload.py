import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.handshake.layout import JobFolder, Layout
from shared.handshake.lease import LeaseState
from tests.support.daemon import Nursery
from tests.support.watcher_ground import WatcherGround
from tests.support.watching import BUCKET, DAY

ELSEWHERE = Layout(BUCKET, "another-campaign")


@pytest.fixture
def ground(tmp_path: Path, nursery: Nursery) -> Iterator[WatcherGround]:
    """A machine, and an S3 with an empty bucket."""
    with WatcherGround.opened(tmp_path, nursery) as made:
        yield made


class LongStep:
    """A step of one CID that runs until the test says so."""

    def __init__(self, ground: WatcherGround, cid: str) -> None:
        self._begun, self._go = ground.folder / "begun", ground.folder / "go"
        os.mkfifo(self._begun)
        os.mkfifo(self._go)
        wait = f"echo > {self._begun}; read -r _ < {self._go}"
        ground.misbehave(cid, f'if [ "$1" = sidecar ]; then {wait}; fi')
        ground.send(cid)

    def wait_until_it_runs(self) -> None:
        """Reading the pipe waits for the step."""
        self._begun.read_text()

    def let_it_end(self) -> None:
        """Writing to the pipe ends it."""
        self._go.write_text("go\n")


def send_elsewhere(ground: WatcherGround, cid: str) -> None:
    """Put a whole job below the other prefix."""
    folder = JobFolder(DAY, cid)
    objects = {
        ELSEWHERE.seed(folder).key: b"seeds\n",
        ELSEWHERE.marker(folder).key: f"{cid}\n".encode(),
    }
    ground.s3.seed(BUCKET, objects)


def test_a_reload_waits_for_the_running_cid_and_then_applies(ground: WatcherGround) -> None:
    """Hours of computing are not thrown away for a change of settings, nor is the change lost."""
    step = LongStep(ground, "00005")
    ground.send("00006")
    send_elsewhere(ground, "00007")
    file = ground.folder / "watcher.toml"
    file.write_text("attempts = 3\n")
    # So long that one look would do for both.
    daemon = ground.start("--config", str(file), "--grace", "0", "--poll", "1000")
    step.wait_until_it_runs()

    file.write_text("attempts = 0\n")
    daemon.signal(signal.SIGHUP)
    daemon.wait_for("reload_refused", level="error")
    file.write_text(f'attempts = 3\nprefix = "{ELSEWHERE.prefix}"\n')
    daemon.signal(signal.SIGHUP)
    daemon.wait_for("reload_begun", changed=["prefix"])
    step.let_it_end()

    daemon.wait_for("job_processed", cid="00005")
    daemon.wait_for("reload_done", changed=["prefix"])
    daemon.wait_for("job_processed", cid="00007")
    assert daemon.stop() == 0
    assert not daemon.events("lease_released")
    assert not daemon.events("job_claimed", cid="00006")
    assert sorted(ground.recorded()) == ["00005", "00007"]


def test_sigterm_while_a_reload_waits_gives_the_job_back(ground: WatcherGround) -> None:
    """A machine that shuts down does not wait for a CID either, reload or not."""
    step = LongStep(ground, "00005")
    file = ground.folder / "watcher.toml"
    file.write_text("")
    daemon = ground.start("--config", str(file))
    step.wait_until_it_runs()
    file.write_text(f'prefix = "{ELSEWHERE.prefix}"\n')
    daemon.signal(signal.SIGHUP)
    daemon.wait_for("reload_begun")

    assert daemon.stop() == 0

    assert daemon.events("lease_released", cid="00005")
    assert not daemon.events("reload_done")
    lease = ground.lease("00005")
    assert lease is not None
    assert (lease.state, lease.attempts) == (LeaseState.RELEASED, 0)
    assert ground.left() == []
