from pathlib import Path

import anyio
import pytest

from daemons.uploader.service import Uploader
from daemons.uploader.settings import Settings
from daemons.uploader.status import Reporter, StatusWriter
from shared.metrics import Board
from shared.s3.memory_buckets import Verb
from shared.s3.uri import S3Uri
from shared.status import Status, read_status
from tests.support.gate import Gate, Signal
from tests.support.uploading import BUCKET, Place

pytestmark = pytest.mark.asyncio

FILES = 4
HOUR = 3600.0


class Noted(Reporter):
    """Counts what was written, and tells of the first."""

    def __init__(self, writer: StatusWriter, *, between_seconds: float) -> None:
        super().__init__(writer, between_seconds=between_seconds)
        self.writes = 0
        self.wrote = Signal()

    async def write(self, service: Uploader) -> None:
        """Write and tell."""
        await super().write(service)
        self.writes += 1
        self.wrote.set()


class Backlog:
    """Four files, one of them in flight, and a store that takes one and holds the next."""

    def __init__(self, folder: Path, *, between_seconds: float) -> None:
        self.place = Place(folder / "root", files_in_flight=1)
        for number in range(FILES):
            self.place.write(f"{BUCKET}/{number}")
        self.state, self.board, self.gate = folder / "state", Board(), Gate()
        self.puts = 0
        self.place.requests.before = self._hold  # type: ignore[method-assign] # a fault that waits
        settings = Settings(directory=self.place.root)
        writer = StatusWriter(self.state, settings, self.board)
        self.reporter = Noted(writer, between_seconds=between_seconds)
        self.service = self.place.uploader()
        self.service._progress = self.reporter.progress

    async def _hold(self, verb: Verb, uri: S3Uri) -> None:
        if verb is Verb.PUT:
            self.puts += 1
            if self.puts > 1:
                await self.gate.enter()

    def status(self) -> Status:
        """Read what was written."""
        found = read_status(self.state)
        assert found is not None
        return found


async def test_a_pass_that_lasts_is_reported_while_it_gets_on(tmp_path: Path) -> None:
    """A pass ends with its backlog: a busy daemon would ring the alarms of a dead one."""
    backlog = Backlog(tmp_path, between_seconds=0)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(backlog.reporter.run, backlog.service)
            tasks.start_soon(backlog.service.run_once, backlog.place.scan())
            await backlog.gate.reached()
            await backlog.reporter.wrote.wait()
            await anyio.wait_all_tasks_blocked()
            assert backlog.reporter.writes == 1, "a loop that hangs must fall silent"
            tasks.cancel_scope.cancel()

    status = backlog.status()
    assert status.last_success_at is not None
    assert status.details["totals"]["uploaded"] == 1  # type: ignore[index] # a table
    assert status.details["last_pass"]["uploaded"] == 0  # type: ignore[index] # a table
    assert backlog.board.report is not None
    assert backlog.board.report.last_success_at == backlog.service.last_success_at


async def test_reports_in_between_are_as_rare_as_was_asked(tmp_path: Path) -> None:
    """A hundred small files a second must not mean a hundred durable writes."""
    backlog = Backlog(tmp_path, between_seconds=HOUR)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(backlog.reporter.run, backlog.service)
            async with anyio.create_task_group() as passes:
                passes.start_soon(backlog.service.run_once, backlog.place.scan())
                await backlog.reporter.wrote.wait()
                backlog.gate.open()
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()

    assert backlog.service.totals.uploaded == FILES
    assert backlog.reporter.writes == 1


async def test_end_of_a_pass_is_always_reported(tmp_path: Path) -> None:
    """Its counts are the last word, however lately something was written."""
    backlog = Backlog(tmp_path, between_seconds=HOUR)
    backlog.gate.open()
    await backlog.reporter.write(backlog.service)

    await backlog.place.one_pass(backlog.service)
    await backlog.reporter.write(backlog.service)

    assert backlog.status().details["last_pass"]["uploaded"] == FILES  # type: ignore[index] # a table
