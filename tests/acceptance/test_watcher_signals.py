import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shared.handshake.lease import LeaseState
from tests.support.daemon import Nursery
from tests.support.imds import Imds
from tests.support.strict_s3.behaviour import Conditions
from tests.support.watcher_ground import WatcherGround


@pytest.fixture
def ground(tmp_path: Path, nursery: Nursery) -> Iterator[WatcherGround]:
    """A machine, and an S3 with an empty bucket."""
    with WatcherGround.opened(tmp_path, nursery) as made:
        yield made


def begin_a_long_job(ground: WatcherGround, cid: str) -> Path:
    """Have a CID's step go on for ever; reading the pipe waits until it runs."""
    begun = ground.folder / "begun"
    os.mkfifo(begun)
    ground.misbehave(cid, f"echo > {begun}; exec sleep 1000")
    ground.send(cid)
    return begun


def test_a_spot_notice_gives_the_job_back_and_claims_none(
    ground: WatcherGround, imds: Imds
) -> None:
    """Two minutes are left: somebody else has the job at once, and this machine takes no other."""
    begun = begin_a_long_job(ground, "00005")
    spot = {
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        **imds.environment(),
        "AWS_ENDPOINT_URL": ground.s3.url,
    }
    daemon = ground.start(env=spot)
    begun.read_text()

    imds.interrupt()

    daemon.wait_for("spot_notice", level="warning", action="terminate")
    daemon.wait_for("lease_released", cid="00005")
    passes = daemon.wait_passes(2)
    assert {event.fields["processed"] for event in passes} == {0}
    lease = ground.lease("00005")
    assert lease is not None
    assert (lease.state, lease.attempts) == (LeaseState.RELEASED, 0)
    assert ground.left() == []
    assert daemon.stop() == 0


def test_a_second_signal_ends_it_at_once_and_still_gives_the_job_back(
    ground: WatcherGround,
) -> None:
    """Whoever presses Ctrl-C twice does not leave the job to the end of its lease."""
    begun = begin_a_long_job(ground, "00005")
    daemon = ground.start()
    begun.read_text()

    daemon.signal(signal.SIGINT)
    daemon.signal(signal.SIGINT)

    assert daemon.wait() in {0, 130}
    lease = ground.lease("00005")
    assert lease is not None
    assert (lease.state, lease.attempts) == (LeaseState.RELEASED, 0)


def test_a_bucket_without_fences_takes_one_watcher_only(ground: WatcherGround) -> None:
    """Two of them would compute everything twice; one says what it does without."""
    ground.send("00005")
    ground.s3.behaviour = replace(ground.s3.behaviour, conditional_put=Conditions.IGNORED)

    refused = ground.command("--once")
    alone = ground.start("--once", "--sole-watcher")

    assert refused.status == 2
    assert "--sole-watcher" in refused.stderr
    assert alone.wait() == 0, alone.tail()
    assert alone.events("fences_missing", level="warning")
    assert ground.recorded() == ["00005"]


def test_two_watchers_of_one_root_share_state_and_ledger(ground: WatcherGround) -> None:
    """One machine with 16 cores may run several, started with the very same line."""
    ground.send(*(f"{number:05d}" for number in range(8)))
    daemons = [ground.start() for _ in range(2)]
    folders = {daemon.wait_for("workspace_opened").fields["folder"] for daemon in daemons}
    for daemon in daemons:
        daemon.wait_for("pass_finished", waiting=0, state="IDLE")

    shown = ground.command("--status")

    assert len(folders) == 2
    assert shown.stdout.count("watcher of ") == 2
    assert [daemon.stop() for daemon in daemons] == [0, 0]
    assert sorted(ground.recorded()) == [f"{number:05d}" for number in range(8)]
