import argparse
from pathlib import Path

import anyio
import pytest

from shared import status_command
from shared.s3.errors import Unreachable
from shared.s3.memory import Faults, MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Verb
from shared.s3.uri import S3Uri
from tests.support.leasing import BUCKET, CID, LAYOUT

LIMIT_SECONDS = 20


class FirstLookFails(Faults):
    """Is unreachable for the first look, and tells when the third begins."""

    def __init__(self) -> None:
        self.looks = 0
        self.enough = anyio.Event()

    async def before(self, verb: Verb, uri: S3Uri) -> None:
        """Count the looks by their first listing."""
        self.looks += uri == LAYOUT.summaries
        if self.looks == 1 and uri == LAYOUT.jobs:
            raise Unreachable(uri, note="the network is down")
        if self.looks == 3:
            self.enough.set()


@pytest.mark.asyncio
async def test_watch_goes_on_after_a_look_that_failed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Who watches over night wants the table back when the network is."""
    faults = FirstLookFails()
    buckets = MemoryBuckets(BUCKET)
    buckets.put(LAYOUT.lease(CID), b"x")
    settings = status_command.Settings(bucket=BUCKET, root=tmp_path)
    asked = argparse.Namespace(cid=None, state=None, json=False, watch=0.0)

    with anyio.fail_after(LIMIT_SECONDS):
        async with anyio.create_task_group() as tasks:
            store = MemoryStore(buckets, faults=faults)
            tasks.start_soon(status_command._watch, store, settings, asked)
            await faults.enough.wait()
            tasks.cancel_scope.cancel()

    out = capsys.readouterr().out
    assert out.startswith("towpath status: s3://")
    assert "the network is down" in out
    assert f"s3://{BUCKET}/{LAYOUT.prefix} at " in out
    assert "\x1b" not in out  # not a terminal
