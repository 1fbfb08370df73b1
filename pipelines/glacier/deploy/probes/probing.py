"""Starts a handler as Lambda does and asks it the probes: from an image, or of this environment."""

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias
from uuid import uuid4

import anyio

from pipelines.glacier.deploy.docker import lines as docker_lines
from pipelines.glacier.deploy.docker.client import (
    ASK_SECONDS,
    DockerFailed,
    find_docker,
    run_docker,
)
from pipelines.glacier.deploy.probes.probes import Probe, faults
from pipelines.glacier.deploy.probes.runtime_interface import (
    HandlerAnswer,
    NoAnswer,
    RuntimeInterface,
    open_interface,
)
from shared.commands import CommandLimits, CommandOutcome, run_command
from shared.errors import PermanentError

START_SECONDS = 120.0
PROBE_SECONDS = 900.0
_WHOLE_SECONDS = 3600.0
_ON_LINUX = sys.platform == "linux"
_LOOPBACK = "127.0.0.1"
_HOST = "host.docker.internal"
"""What docker on a Mac calls the machine that it runs on."""
_SHOWN = 400

RunHandler: TypeAlias = Callable[[Mapping[str, str]], Awaitable[CommandOutcome]]
"""Runs the handler's process with the variables that are its own, until it is cancelled."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a probe found."""

    name: str
    seconds: float
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Container:
    """An image that is tested."""

    image: str
    platform: str
    environment: Mapping[str, str] = field(default_factory=dict)


def host_of_container() -> str:
    """Return how a container reaches what is served on this machine's loopback."""
    return _LOOPBACK if _ON_LINUX else _HOST


async def probe_container(container: Container, probes: Sequence[Probe]) -> list[ProbeResult]:
    """Start the image, ask everything, end it; DockerFailed, NoAnswer."""
    docker = find_docker()
    name = f"glacier-test-{uuid4().hex[:12]}"

    async def start(variables: Mapping[str, str]) -> CommandOutcome:
        line = docker_lines.run(
            docker,
            container.image,
            name=name,
            platform=container.platform,
            environment={**variables, **container.environment},
            host_network=_ON_LINUX,
        )
        try:
            return await run_docker(line, _WHOLE_SECONDS)
        finally:
            # The client ends without its container when it is killed.
            with anyio.CancelScope(shield=True):
                await _end(docker, name)

    return await _ask(start, probes, host=host_of_container())


async def probe_here(environment: Mapping[str, str], probes: Sequence[Probe]) -> list[ProbeResult]:
    """Ask the handler of this environment, run by AWS's runtime client, without a container."""
    line = (sys.executable, "-m", "awslambdaric", "pipelines.glacier.image.lambda_handler.handler")

    async def start(variables: Mapping[str, str]) -> CommandOutcome:
        return await run_command(
            line,
            env={**os.environ, **variables, **environment},
            limits=CommandLimits(time_seconds=_WHOLE_SECONDS),
        )

    return await _ask(start, probes, host=_LOOPBACK)


async def _ask(start: RunHandler, probes: Sequence[Probe], host: str) -> list[ProbeResult]:
    async with open_interface() as interface:
        variables = {"AWS_LAMBDA_RUNTIME_API": f"{host}:{interface.port}", **_LIKE_LAMBDA}
        async with _running(start, variables):
            await interface.ready(START_SECONDS)
            return [await _probe(interface, probe) for probe in probes]


async def _probe(interface: RuntimeInterface, probe: Probe) -> ProbeResult:
    began = anyio.current_time()
    try:
        answer = await interface.invoke(probe.payload(), PROBE_SECONDS)
    except NoAnswer as error:
        return ProbeResult(probe.name, anyio.current_time() - began, (str(error),))
    return ProbeResult(probe.name, anyio.current_time() - began, tuple(_faults(probe, answer)))


def _faults(probe: Probe, answer: HandlerAnswer) -> list[str]:
    if answer.failed:
        said = answer.payload[:_SHOWN].decode("utf-8", "replace")
        return [f"the handler raised or did not load: {said!r}"]
    return faults(probe, answer.payload)


@asynccontextmanager
async def _running(start: RunHandler, variables: Mapping[str, str]) -> AsyncIterator[None]:
    """Run the handler beside a block; HandlerEnded where it ends before the block does."""
    ended: list[PermanentError] = []
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            try:
                outcome = await start(variables)
                ended.append(
                    HandlerEnded(f"the handler ended: {outcome.reason()}\n{outcome.tail[-2000:]}")
                )
            except DockerFailed as error:
                ended.append(error)
            tasks.cancel_scope.cancel()

        tasks.start_soon(run)
        yield
        tasks.cancel_scope.cancel()
    if ended:
        raise ended[0]


async def _end(docker: str, name: str) -> None:
    try:
        await run_docker(docker_lines.stop(docker, name), ASK_SECONDS)
    except DockerFailed:
        # With --rm it is gone as soon as it has ended.
        return


class HandlerEnded(PermanentError):
    """The handler's process ended by itself; the message has the end of what it printed."""


_LIKE_LAMBDA = {
    "AWS_LAMBDA_FUNCTION_NAME": "glacier-test",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "10240",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/glacier-test",
    "AWS_LAMBDA_LOG_STREAM_NAME": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What Lambda tells every function; there is no metadata service to ask."""
