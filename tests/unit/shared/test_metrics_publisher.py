from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from shared.aws.cloudwatch import MetricsNotSent
from shared.lifecycle import Control
from shared.metrics import Board, Datum, Metric, Report
from shared.metrics_publisher import PublishedService, Publisher
from shared.status import StatusFile
from shared.systemd import Notifier

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LIMIT_SECONDS = 10


@dataclass
class List:
    """A sink that keeps what it is given, unless it is to fail."""

    calls: list[Mapping[str, float]] = field(default_factory=list)
    failures: list[Exception | None] = field(default_factory=list)
    enough: anyio.Event = field(default_factory=anyio.Event)
    wanted: int = 1
    opened: int = 0

    async def put(self, data: Sequence[Datum], *, at: datetime) -> None:
        """Take one call."""
        await anyio.lowlevel.checkpoint()
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        self.calls.append({one.name: one.value for one in data})
        if len(self.calls) >= self.wanted:
            self.enough.set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["List"]:
        """Be open for a block."""
        self.opened += 1
        yield self


def uploaded(count: float) -> Report:
    """Return a report of so many uploads."""
    metric = Metric("files_uploaded_total", "counter", "Files", count)
    return Report("carrier", AT, AT, (metric,))


def publisher(board: Board, sink: List, clock: datetime = AT) -> Publisher:
    """Make a publisher without any patience."""
    return Publisher(
        board, sink.open, host="h", clock=lambda: clock, first_seconds=0, every_seconds=0.001
    )


@pytest.mark.asyncio
async def test_nothing_is_sent_before_the_first_report() -> None:
    """A daemon that falls over before its first pass ends must look like none at all."""
    sink, board = List(), Board()

    await publisher(board, sink).publish(sink)

    assert sink.calls == []


@pytest.mark.asyncio
async def test_it_goes_on_while_the_loop_hangs_and_the_age_grows() -> None:
    """No pass has run for an hour: the age that was sent last time must not be sent again."""
    sink, board = List(), Board(uploaded(7))
    hours = iter(range(100))
    sink.wanted = 3
    made = Publisher(
        board,
        sink.open,
        clock=lambda: AT + timedelta(hours=next(hours)),
        first_seconds=0,
        every_seconds=0.001,
    )

    with anyio.fail_after(LIMIT_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(made.run)
            await sink.enough.wait()
            tasks.cancel_scope.cancel()

    ages = [call["last_report_age_seconds"] for call in sink.calls[:3]]
    assert ages == [0, 3600, 7200]
    assert [call["files_uploaded"] for call in sink.calls[:3]] == [7, 0, 0]
    assert sink.opened == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "failure", [MetricsNotSent("denied"), OSError("no route"), TimeoutError("slow")], ids=repr
)
async def test_what_cannot_be_sent_is_said_once_and_counted_later(failure: Exception) -> None:
    """A policy that is missing for a month is one line, and loses no count of what happened."""
    sink, board = List(failures=[failure, failure, None]), Board(uploaded(7))
    made = publisher(board, sink)

    with capture_logs() as logs:
        for _ in range(3):
            await made.publish(sink)
        board.report = uploaded(9)
        await made.publish(sink)

    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("metrics_not_sent", "warning"),
        ("metrics_sent_again", "info"),
    ]
    assert [call["files_uploaded"] for call in sink.calls] == [7, 2]


@dataclass
class Carrier:
    """A service that works until the sink has had enough."""

    sink: List
    ran: list[str] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Nothing fails."""
        return 0

    def fields(self) -> Mapping[str, object]:
        """Return no counts."""
        return {}

    async def run(self, _control: Control) -> None:
        """Work."""
        await self.sink.enough.wait()
        self.ran.append("run")

    async def run_once(self) -> "Carrier":
        """Do one pass."""
        self.ran.append("pass")
        return self


@pytest.mark.asyncio
async def test_the_publisher_ends_with_the_service() -> None:
    """It must not keep a daemon alive that has nothing more to do."""
    sink, board = List(), Board(uploaded(1))
    carrier = Carrier(sink)
    service = PublishedService(carrier, publisher(board, sink))

    with anyio.fail_after(LIMIT_SECONDS):
        await service.run(Control(Notifier({})))

    assert carrier.ran == ["run"]


@pytest.mark.asyncio
async def test_one_pass_is_published_once() -> None:
    """A timer's work is watched by the same alarms."""
    sink, board = List(), Board(uploaded(1))
    carrier = Carrier(sink)

    report = await PublishedService(carrier, publisher(board, sink)).run_once()

    assert report is carrier
    assert len(sink.calls) == 1


def test_what_is_written_to_the_files_stands_on_the_board(tmp_path: Path) -> None:
    """Also when the disk is full: then monitors are needed most."""
    board = Board()
    metrics = [Metric("parked_files", "gauge", "Parked", 3)]
    blocked = tmp_path / "file"
    blocked.write_text("")

    writer = StatusFile(blocked / "state", "carrier", started_at=AT, board=board)
    with capture_logs():
        writer.write_or_warn({}, metrics, now=AT, last_success_at=None)

    assert board.report == Report("carrier", AT, None, tuple(metrics))
