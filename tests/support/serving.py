"""An HTTP server in a thread and an event loop of its own, so that no test's loop can stall it."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import uvloop
from aiohttp.web import BaseRequest, RequestHandler, Response, Server, StreamResponse

from tests.support.gate import LIMIT_SECONDS, Signal

Answer = Callable[[BaseRequest], Awaitable[StreamResponse]]


class ServerThread:
    """Serves `answer` on loopback between `start` and `stop`.

    An exception in `answer` is a defect of the fake: the client sees 500, and `stop` raises.
    """

    def __init__(
        self,
        answer: Answer,
        *,
        name: str,
        host: str = "127.0.0.1",
        port: int = 0,
        on_lost: Callable[[RequestHandler], None] | None = None,
    ) -> None:
        self._answer = answer
        self._name = name
        self._host = host
        self._port = port
        self._on_lost = on_lost
        self._thread: threading.Thread | None = None
        self._ready = Signal()
        self._stop = Signal()
        self._failures = _Failures()
        self._startup_error: OSError | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._port

    @property
    def url(self) -> str:
        """Where it is, without a trailing slash."""
        return f"http://{self._host}:{self._port}"

    def start(self) -> None:
        """Listen; returns once connections are taken.

        Raises:
            OSError: the port is in use.
        """
        self._thread = threading.Thread(target=self._main, name=self._name, daemon=True)
        self._thread.start()
        self._ready.wait_blocking()
        if self._startup_error is not None:
            raise self._startup_error

    def stop(self) -> None:
        """Close every connection and wait for the thread to end.

        Raises:
            AssertionError: the fake itself failed meanwhile.
        """
        self._stop.set()
        if self._thread is not None:
            self._thread.join(LIMIT_SECONDS)
            assert not self._thread.is_alive(), f"{self._name} did not stop"
        assert not self._failures.seen, "\n".join(self._failures.seen)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _main(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        logger = logging.Logger(self._name, logging.ERROR)  # noqa: LOG001 - kept out of the tree
        logger.addHandler(self._failures)
        server = _Watched(self._answer, on_lost=self._on_lost, logger=logger)
        try:
            listening = await loop.create_server(server, self._host, self._port, backlog=1024)
        except OSError as error:
            self._startup_error = error
            self._ready.set()
            return
        self._port = listening.sockets[0].getsockname()[1]
        self._ready.set()
        # The one wait without a limit: a server serves until it is told to stop.
        await asyncio.wrap_future(self._stop.future)
        listening.close()
        await server.shutdown(0.1)
        await listening.wait_closed()


class _Watched(Server):
    """aiohttp's server, telling when a connection is lost."""

    def __init__(
        self,
        answer: Answer,
        *,
        on_lost: Callable[[RequestHandler], None] | None,
        logger: logging.Logger,
    ) -> None:
        super().__init__(
            answer, logger=logger, access_log=None, auto_decompress=False, lingering_time=5.0
        )
        self._on_lost = on_lost

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        if self._on_lost is not None:
            self._on_lost(handler)
        super().connection_lost(handler, exc)


class _Failures(logging.Handler):
    """Keeps what aiohttp logs about exceptions in a handler."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(logging.Formatter().format(record))


def plain(status: int, text: str = "", content_type: str = "text/plain") -> Response:
    """Make a small answer."""
    return Response(status=status, text=text, content_type=content_type)


class Served:
    """A double that serves for the length of a block, in the thread that it makes for itself."""

    _thread: ServerThread

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.stop()
