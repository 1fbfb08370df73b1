"""S3 is away for a day: nothing is lost, hardly anything is asked, and then all goes on."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import anyio

from shared.handshake.layout import Runout
from shared.lifecycle import Control
from shared.s3.errors import Unreachable
from shared.systemd import Notifier
from tests.support.collecting import STAMP, Prod, contents, ours
from tests.support.dispatching import Project
from tests.support.uploading import Requests
from tests.support.virtual_time import run_in_virtual_time
from tests.support.watching import Ec2

DAY_SECONDS = 86_400.0
PASSES_MAX = 600
"""A pass each 150 to 300 s, once the back-off is as long as it gets, and a dozen before that."""
CIDS = [f"{number:05d}" for number in range(1, 21)]


async def _outlive(requests: Requests, control: Control, recorded: Callable[[], list[str]]) -> None:
    """Live through a day without S3, and through what follows until all is done."""
    requests.fault = lambda _verb, uri: Unreachable(uri)
    await anyio.sleep(DAY_SECONDS)
    asked, requests.fault = len(requests.seen), lambda _verb, _uri: None
    await anyio.sleep(3600.0)
    control.stopping.set()
    assert sorted(recorded()) == CIDS
    assert DAY_SECONDS / 300 <= asked <= PASSES_MAX


def test_the_watcher_outlives_it(tmp_path: Path) -> None:
    """Jobs wait in S3; none is held against its CID."""
    ec2 = Ec2(tmp_path, poll_seconds=30.0)
    ec2.send(*CIDS)

    async def live() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ec2.watcher().run, ec2.control)
            await _outlive(ec2.requests, ec2.control, ec2.recorded)

    run_in_virtual_time(live)

    leases = [ec2.lease(cid) for cid in CIDS]
    assert [(lease.generation, lease.attempts) for lease in leases if lease] == [(1, 0)] * len(CIDS)
    assert len(ec2.steps.ran) == 2 * len(CIDS)


def test_the_collector_outlives_it(tmp_path: Path) -> None:
    """Results wait in S3."""
    requests = Requests()
    prod = Prod(tmp_path / "prod", faults=requests)
    for cid in CIDS:
        prod.lay(ours(Runout(STAMP, cid), contents(cid)))
    control = Control(Notifier({}))

    async def live() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(prod.collector().run, control)
            await _outlive(requests, control, prod.recorded)

    run_in_virtual_time(live)

    assert prod.merged() == {name: body for cid in CIDS for name, body in contents(cid).items()}


def test_the_dispatcher_outlives_it(tmp_path: Path) -> None:
    """Chunks wait on disk; their seeds are made once, and no chunk is set aside."""
    project = Project(tmp_path)
    for cid in CIDS:
        project.chunk(cid)

    async def live() -> None:
        with ExitStack() as stack:
            life = project.life(stack)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(life.service.run, life.items())
                await _outlive(project.requests, life.control, project.recorded)

    run_in_virtual_time(live)

    assert project.step.built == CIDS
