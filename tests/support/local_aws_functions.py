"""Functions as Lambda runs them: warm environments, a few at a time, and asynchronous retries."""

import io
import threading
import zipfile
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.support.local_aws_lambda import FunctionSettings, LambdaEnvironment, Outcome
from tests.support.local_aws_sandbox import Image, settle_all

_ATTEMPTS = 3
"""Of an asynchronous event; on AWS a minute or two lie between them, here nothing does."""
_CLOSED = Outcome(b'{"errorMessage": "the account is closed"}', failed=True)


@dataclass(frozen=True, slots=True)
class Invoked:
    """One event that was handled, once for each attempt."""

    function: str
    payload: bytes
    outcome: Outcome
    attempt: int = 1
    asynchronous: bool = False


@dataclass(frozen=True, slots=True)
class Deployed:
    """A function as it is configured now; environments of another one are of no use."""

    image: Image
    settings: FunctionSettings
    identity: str
    """Of its code and of everything that it is configured with."""


class Functions:
    """Runs what is invoked."""

    def __init__(self, folder: Path, environ: Mapping[str, str], *, at_a_time: int) -> None:
        self.invoked: list[Invoked] = []
        """Every event that was handled, in the order of their ends."""
        self._folder = folder
        self._environ = environ
        self._lock = threading.Lock()
        self._idle: dict[str, list[LambdaEnvironment]] = {}
        self._all: list[LambdaEnvironment] = []
        self._places = threading.Semaphore(at_a_time)
        self._later = ThreadPoolExecutor(at_a_time, thread_name_prefix="local-lambda")
        self._promised: list[Future[None]] = []
        self._closed = False

    def logs(self) -> str:
        """Return what all functions wrote."""
        with self._lock:
            files = [environment.log for environment in self._all]
        return "".join(file.read_text(errors="replace") for file in files)

    def call(self, function: Deployed, payload: bytes) -> Outcome:
        """Have an event handled, as soon as there is a place for it."""
        return self._attempt(function, payload, attempt=1, asynchronous=False)

    def promise(self, function: Deployed, payload: bytes) -> None:
        """Have an event handled later, and again if it fails."""
        future = self._later.submit(self._keep, function, payload)
        with self._lock:
            self._promised.append(future)

    def wait(self, seconds: float) -> None:
        """Wait until every event has been handled; raises TimeoutError."""
        with self._lock:
            promised = list(self._promised)
        settle_all(promised, seconds)

    def close(self) -> None:
        """End every environment, and forget the events that have none."""
        self._later.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._closed = True
            ending, self._idle = list(self._all), {}
        for environment in ending:
            environment.close()
        self._later.shutdown()

    def _keep(self, function: Deployed, payload: bytes) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            outcome = self._attempt(function, payload, attempt=attempt, asynchronous=True)
            if not outcome.failed or self._closed:
                break

    def _attempt(
        self, function: Deployed, payload: bytes, *, attempt: int, asynchronous: bool
    ) -> Outcome:
        with self._places:
            environment = self._take(function)
            if environment is None:
                return _CLOSED
            outcome = environment.invoke(payload)
            self._give_back(function, environment)
        name = function.settings.name
        self.invoked.append(Invoked(name, payload, outcome, attempt, asynchronous))
        return outcome

    def _take(self, function: Deployed) -> LambdaEnvironment | None:
        with self._lock:
            if self._closed:
                return None
            idle = self._idle.get(function.identity, [])
            while idle:
                environment = idle.pop()
                if environment.usable:
                    return environment
            folder = self._folder / f"{function.settings.name}-{len(self._all)}"
            # Made under the lock: `close` must not miss it.
            made = LambdaEnvironment(
                function.image, function.settings, self._environ, folder=folder
            )
            self._all.append(made)
            return made

    def _give_back(self, function: Deployed, environment: LambdaEnvironment) -> None:
        with self._lock:
            self._idle.setdefault(function.identity, []).append(environment)


def deployed(function: Any, images: Mapping[str, Image], folder: Path) -> Deployed:
    """Return what runs for a function of moto."""
    image_uri = function.code.get("ImageUri", "")
    assert not image_uri or image_uri in images, f"no image {image_uri!r} here, but {[*images]}"
    image = images[image_uri] if image_uri else _unpacked(function, images, folder)
    command = [*function.image_config.cmd, function.handler or ""]
    settings = FunctionSettings(
        name=function.function_name,
        handler=command[0],
        timeout_seconds=float(function.timeout),
        memory_mb=int(function.memory_size),
        version=str(function.version),
        arn=function.function_arn,
        variables=dict(function.environment_vars),
    )
    identity = repr((image_uri or function.code_sha_256, settings))
    return Deployed(image, settings, identity)


def _unpacked(function: Any, images: Mapping[str, Image], folder: Path) -> Image:
    """Return a package as an image: that of its runtime, where one goes by the runtime's name."""
    code = folder / f"code-{function.code_digest[:16]}"
    if not code.exists():
        with zipfile.ZipFile(io.BytesIO(function.code_bytes)) as archive:
            archive.extractall(code)
    runtime = images.get(function.run_time, Image(code))
    return replace(runtime, folder=code, handler=function.handler)
