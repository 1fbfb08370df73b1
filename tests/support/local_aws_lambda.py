"""An execution environment of Lambda: the Runtime API on loopback, and AWS's own runtime client.

The client (`awslambdaric`) polls for the next event, calls the handler in its process and posts
what it gave back. Nothing of moto is needed for it.
"""

import json
import re
import threading
from collections.abc import Mapping
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as TooLate
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from time import time
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

from tests.support.local_aws_sandbox import Image, Sandbox

_START_SECONDS = 60.0
"""From the start of the process to its first question, imports included."""
_T = TypeVar("_T")
_ENDED = re.compile(r"/2018-06-01/runtime/invocation/([^/]+)/(response|error)")


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSettings:
    """How a function is configured."""

    name: str
    handler: str = ""
    """Empty: the image's."""
    timeout_seconds: float = 60.0
    memory_mb: int = 10240
    version: str = "$LATEST"
    arn: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an invocation ended."""

    payload: bytes
    """What the handler gave back, or the error as Lambda shows it."""
    failed: bool = False

    def document(self) -> Any:
        """Return the payload as it was before it was JSON."""
        return json.loads(self.payload)


@dataclass(slots=True)
class _Invocation:
    payload: bytes
    seconds: float
    id: str = field(default_factory=lambda: str(uuid4()))
    taken: "Future[None]" = field(default_factory=Future)
    outcome: "Future[Outcome]" = field(default_factory=Future)


class LambdaEnvironment:
    """One warm process, which handles one event after the other."""

    def __init__(
        self, image: Image, function: FunctionSettings, environ: Mapping[str, str], *, folder: Path
    ) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._waiting: SimpleQueue[_Invocation | None] = SimpleQueue()
        self._current: _Invocation | None = None
        self._broken: Outcome | None = None
        self._server = _RuntimeApi(self)
        self._serving = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._serving.start()
        handler = function.handler or image.handler
        self._sandbox = Sandbox(
            image,
            [*(image.entry or (image.python, "-m", "awslambdaric")), handler],
            {**environ, **function.variables, **self._variables(image, handler)},
            folder=folder,
        )
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self._watching.start()

    @property
    def log(self) -> Path:
        """What the function wrote on its streams."""
        return self._sandbox.log

    @property
    def usable(self) -> bool:
        """Whether another event can be handled."""
        return self._broken is None and self._sandbox.running

    def invoke(self, payload: bytes, *, seconds: float | None = None) -> Outcome:
        """Have an event handled; `seconds` is the function's time limit for this one."""
        asked = _Invocation(payload, self._function.timeout_seconds if seconds is None else seconds)
        with self._lock:
            assert self._current is None, "an environment handles one event at a time"
            if self._broken is not None:
                return self._broken
            self._current = asked
        self._waiting.put(asked)
        try:
            asked.taken.result(_START_SECONDS)
            return asked.outcome.result(asked.seconds)
        except TooLate:
            # As on AWS: the environment goes, with all that the handler has started.
            self._sandbox.end()
            text = f"{asked.id} Task timed out after {asked.seconds:.2f} seconds"
            return _error("Sandbox.Timedout", f"RequestId: {text}")
        finally:
            with self._lock:
                self._current = None

    def close(self) -> None:
        """End the process and all that it has started."""
        self._sandbox.end()
        self._watching.join(_START_SECONDS)
        self._waiting.put(None)
        self._server.shutdown()
        self._server.server_close()
        self._serving.join(_START_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def next_event(self) -> _Invocation | None:
        """Await what the runtime client is to handle; None: there is nothing more."""
        return self._waiting.get()

    def ended(self, invocation: str, outcome: Outcome) -> None:
        """Take what the runtime client says of an event."""
        with self._lock:
            current = self._current
        if current is not None and current.id == invocation:
            _settle(current.outcome, outcome)

    def broke(self, outcome: Outcome) -> None:
        """Take it that no event can be handled any more; the first reason counts."""
        with self._lock:
            self._broken = self._broken or outcome
            current, broken = self._current, self._broken
        if current is not None:
            _settle(current.taken, None)
            _settle(current.outcome, broken)

    def arn(self) -> str:
        """Return what the function is called."""
        name = f"arn:aws:lambda:us-west-2:123456789012:function:{self._function.name}"
        return self._function.arn or name

    def _watch(self) -> None:
        status = self._sandbox.ended()
        self.broke(_error("Runtime.ExitError", f"Runtime exited with error: exit status {status}"))

    def _variables(self, image: Image, handler: str) -> Mapping[str, str]:
        function = self._function
        return {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_address[1]}",
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
            "AWS_LAMBDA_FUNCTION_VERSION": function.version,
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "local",
            "LAMBDA_TASK_ROOT": str(image.folder),
            "_HANDLER": handler,
        }


class _RuntimeApi(ThreadingHTTPServer):
    """The four requests of the Runtime API."""

    daemon_threads = True

    def __init__(self, environment: LambdaEnvironment) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.environment = environment

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: the only one who talks to it has gone."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _RuntimeApi

    def log_message(self, *said: object) -> None:
        """Say nothing of each request."""

    def do_GET(self) -> None:
        """Answer `/runtime/invocation/next`, when there is one."""
        invocation = self.server.environment.next_event()
        if invocation is None:
            self._answer(410)
            return
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(int((time() + invocation.seconds) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self.server.environment.arn(),
        }
        _settle(invocation.taken, None)
        self._answer(200, invocation.payload, headers)

    def do_POST(self) -> None:
        """Take a response, an error, or that the handler could not be loaded."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        match = _ENDED.fullmatch(self.path)
        if match is not None:
            self.server.environment.ended(match[1], Outcome(body, failed=match[2] == "error"))
        else:
            self.server.environment.broke(Outcome(body, failed=True))
        self._answer(202, b"{}")

    def _answer(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _settle(future: "Future[_T]", value: _T) -> None:
    # What was said first counts.
    with suppress(InvalidStateError):
        future.set_result(value)


def _error(kind: str, message: str) -> Outcome:
    body = json.dumps({"errorType": kind, "errorMessage": message})
    return Outcome(body.encode(), failed=True)
