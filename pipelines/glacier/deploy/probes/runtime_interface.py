"""Lambda's runtime interface on loopback: hands events to a handler's process, takes its answers.

It is what AWS's runtime client asks for its next event, so that an image is tested as Lambda starts
it, and without AWS. Started, the client's first question says that the handler is loaded.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import time
from uuid import uuid4

import anyio
from aiohttp import web

from pipelines.glacier.deploy.probes.loopback import serving
from shared.errors import PermanentError

_VERSION = "/2018-06-01/runtime"
_ANSWER_BYTES_MAX = 8 << 20
_ARN = "arn:aws:lambda:us-west-2:000000000000:function:probe"


class NoAnswer(PermanentError):
    """The handler did not start, or did not answer in its time."""


@dataclass(frozen=True, slots=True)
class HandlerAnswer:
    """What a handler gave back for an event."""

    payload: bytes
    failed: bool = False
    """It raised, or could not be loaded; the payload says how."""


@dataclass(frozen=True, slots=True)
class _Event:
    payload: bytes
    seconds: float
    request_id: str


class RuntimeInterface:
    """The interface of one handler's process, which handles one event after the other."""

    def __init__(self) -> None:
        self.port = 0
        self.asked = anyio.Event()
        """Set when the handler's process asks for its first event, or says that it cannot."""
        self._put, self._events = anyio.create_memory_object_stream[_Event](1)
        self._answer, self._answers = anyio.create_memory_object_stream[HandlerAnswer](1)
        self._current = ""

    async def ready(self, seconds: float) -> None:
        """Wait until the handler is loaded; NoAnswer."""
        with anyio.move_on_after(seconds):
            await self.asked.wait()
            return
        raise NoAnswer(f"the handler did not ask for an event within {seconds:g} s")

    async def invoke(self, event: bytes, seconds: float) -> HandlerAnswer:
        """Have an event handled, with a time limit as a function has one; NoAnswer."""
        with anyio.move_on_after(seconds):
            await self._put.send(_Event(event, seconds, str(uuid4())))
            return await self._answers.receive()
        raise NoAnswer(f"the handler did not answer within {seconds:g} s")

    def application(self) -> web.Application:
        """Return what answers the runtime client's requests."""
        app = web.Application(client_max_size=_ANSWER_BYTES_MAX)
        app.router.add_get(f"{_VERSION}/invocation/next", self._next)
        app.router.add_post(f"{_VERSION}/invocation/{{id}}/response", self._take)
        app.router.add_post(f"{_VERSION}/invocation/{{id}}/error", self._take_error)
        app.router.add_post(f"{_VERSION}/init/error", self._take_start_error)
        return app

    def close(self) -> None:
        """Hand nothing more out."""
        for stream in (self._put, self._events, self._answer, self._answers):
            stream.close()

    async def _next(self, _request: web.Request) -> web.Response:
        self.asked.set()
        try:
            event = await self._events.receive()
        except anyio.ClosedResourceError:
            # Nobody asks any more; the runtime client ends itself.
            return web.Response(status=410)
        self._current = event.request_id
        return web.Response(body=event.payload, headers=_headers(event))

    async def _take(self, request: web.Request) -> web.Response:
        return await self._finish(request, failed=False)

    async def _take_error(self, request: web.Request) -> web.Response:
        return await self._finish(request, failed=True)

    async def _take_start_error(self, request: web.Request) -> web.Response:
        self.asked.set()
        await self._answer.send(HandlerAnswer(await request.read(), failed=True))
        return web.Response(status=202)

    async def _finish(self, request: web.Request, *, failed: bool) -> web.Response:
        # An answer to an event that was given up is nobody's.
        if request.match_info["id"] == self._current:
            self._current = ""
            await self._answer.send(HandlerAnswer(await request.read(), failed=failed))
        return web.Response(status=202)


@asynccontextmanager
async def open_interface() -> AsyncIterator[RuntimeInterface]:
    """Serve the interface on a free port of loopback for the length of a block."""
    interface = RuntimeInterface()
    async with serving(interface.application()) as interface.port:
        try:
            yield interface
        finally:
            interface.close()


def _headers(event: _Event) -> Mapping[str, str]:
    return {
        "Content-Type": "application/json",
        "Lambda-Runtime-Aws-Request-Id": event.request_id,
        "Lambda-Runtime-Deadline-Ms": str(int((time() + event.seconds) * 1000)),
        "Lambda-Runtime-Invoked-Function-Arn": _ARN,
        "Lambda-Runtime-Trace-Id": "",
    }
