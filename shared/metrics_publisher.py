"""Publishes a daemon's metrics beside its work: one call a minute, from what it last reported.

Rule: it never harms the daemon; what goes wrong is said once, and tried again a minute later. And
it tells nothing of its own: it runs on when the working loop hangs, so every age comes from a
moment that the loop left behind, and before its first report nothing is sent at all.
"""

import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol

import anyio
import structlog
from structlog.typing import FilteringBoundLogger

from shared.aws.cloudwatch import open_cloudwatch
from shared.errors import SuiteError
from shared.lifecycle import Control, PassReport, Service
from shared.metrics import Board, Counters, Datum, counters_of, plan_data

log: FilteringBoundLogger = structlog.get_logger()

EVERY_SECONDS = 60.0
FIRST_SECONDS = 5.0
"""A machine that has just started is to be seen soon."""


class Sink(Protocol):
    """Where data go: `shared.aws.cloudwatch.CloudWatch`, or a test's list."""

    async def put(self, data: Sequence[Datum], *, at: datetime) -> None:
        """Send them in one call, within bounds."""


OpenSink = Callable[[], AbstractAsyncContextManager[Sink]]


class Publisher:
    """Sends what stands on one board."""

    def __init__(
        self,
        board: Board,
        open_sink: OpenSink,
        *,
        host: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        first_seconds: float = FIRST_SECONDS,
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        self._board = board
        self._open_sink = open_sink
        self._host = host or socket.gethostname()
        self._clock = clock
        self._first_seconds = first_seconds
        self._every_seconds = every_seconds
        self._sent: Counters = {}
        self._failing = False

    async def run(self) -> None:
        """Publish until cancelled."""
        async with self._open_sink() as sink:
            await anyio.sleep(self._first_seconds)
            while True:
                await self.publish(sink)
                await anyio.sleep(self._every_seconds)

    async def run_once(self) -> None:
        """Publish once, what a single pass has left."""
        async with self._open_sink() as sink:
            await self.publish(sink)

    async def publish(self, sink: Sink) -> None:
        """Send what there is to say now; what cannot be sent is said once."""
        report = self._board.report
        if report is None:
            return
        now = self._clock()
        try:
            await sink.put(plan_data(report, self._sent, now=now, host=self._host), at=now)
        except (SuiteError, OSError) as error:
            if not self._failing:
                self._failing = True
                log.warning("metrics_not_sent", reason=str(error))
            return
        self._sent = counters_of(report)
        if self._failing:
            self._failing = False
            log.info("metrics_sent_again")


class PublishedService:
    """A service with its publisher beside it."""

    def __init__(self, service: Service, publisher: Publisher) -> None:
        self._service = service
        self._publisher = publisher

    async def run(self, control: Control) -> None:
        """Let the service work; the publisher ends when it does."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._publisher.run)
            await self._service.run(control)
            tasks.cancel_scope.cancel()

    async def run_once(self) -> PassReport:
        """Do one pass, and publish what it left."""
        report = await self._service.run_once()
        await self._publisher.run_once()
        return report


def with_cloudwatch(
    service: Service, board: Board, *, aws_region: str, profile: str | None
) -> PublishedService:
    """Return the service with its metrics sent to CloudWatch, as whoever this machine lets us."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Sink]:
        async with open_cloudwatch(aws_region=aws_region, profile=profile) as sink:
            yield sink

    return PublishedService(service, Publisher(board, opened))
