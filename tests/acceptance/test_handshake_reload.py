import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.handshake.layout import Layout, Runout
from tests.support.collecting import STAMP, contents, ours
from tests.support.collector_ground import CollectorGround
from tests.support.daemon import Daemon, Nursery
from tests.support.dispatcher_ground import DispatcherGround
from tests.support.dispatching import BUCKET
from tests.support.gate import Gate
from tests.support.strict_s3.faults import Fault, Wait

ELSEWHERE = Layout(BUCKET, "another-campaign")
ONE, TWO = "00001", "00002"


@pytest.fixture
def dispatcher(tmp_path: Path, nursery: Nursery) -> Iterator[DispatcherGround]:
    """A project root as PROD has it, and an empty bucket."""
    with DispatcherGround.opened(tmp_path, nursery) as made:
        yield made


@pytest.fixture
def collector(tmp_path: Path, nursery: Nursery) -> Iterator[CollectorGround]:
    """A project root, and an empty bucket."""
    with CollectorGround.opened(tmp_path, nursery) as made:
        yield made


def reload(daemon: Daemon, file: Path, text: str, *, until: str) -> None:
    """Change the configuration, and wait for what the daemon says to that."""
    file.write_text(text)
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(until)


def test_a_dispatcher_finishes_its_cid_and_goes_on_with_the_new_settings(
    dispatcher: DispatcherGround,
) -> None:
    """A job is whole where it was begun, and never sent to both places."""
    ground, held = dispatcher, Gate()
    file = ground.folder / "dispatcher.toml"
    file.write_text("attempts = 2\n")
    ground.s3.faults.add(Fault(Wait(held), operation="PutObject"))
    ground.chunk(ONE)
    daemon = ground.start("--config", str(file))
    held.reached_blocking()
    reload(daemon, file, "attempts = 0\n", until="reload_refused")
    reload(daemon, file, f'prefix = "{ELSEWHERE.prefix}"\n', until="reload_begun")
    ground.chunk(TWO)
    held.open()

    daemon.wait_for("reload_done", changed=["attempts", "prefix"])
    daemon.wait_for("cid_sent", cid=TWO)

    assert daemon.stop() == 0
    assert ground.complete() == [ONE]
    elsewhere = {split[0].cid for key in ground.s3.keys(BUCKET) if (split := ELSEWHERE.job_of(key))}
    assert elsewhere == {TWO}
    assert ground.recorded() == [ONE, TWO]


def test_a_collector_goes_on_with_the_new_settings(collector: CollectorGround) -> None:
    """Another central folder from now on; what was merged before is not merged again."""
    ground = collector
    file = ground.folder / "collector.toml"
    file.write_text("")
    (ground.root / "elsewhere").mkdir()
    ground.lay(ours(Runout(STAMP, ONE), contents(ONE)))
    daemon = ground.start("--config", str(file))
    daemon.wait_for("runout_collected", cid=ONE)
    reload(daemon, file, "poll_seconds = 'x'\n", until="reload_refused")
    reload(daemon, file, 'central = "elsewhere"\n', until="reload_done")
    ground.lay(ours(Runout(STAMP, TWO), contents(TWO)))

    daemon.wait_for("runout_collected", cid=TWO)

    assert daemon.stop() == 0
    assert sorted(ground.merged()) == sorted(contents(ONE))
    elsewhere = {path.name for path in (ground.root / "elsewhere").iterdir()}
    assert elsewhere == set(contents(TWO))
    assert ground.recorded() == [ONE, TWO]
