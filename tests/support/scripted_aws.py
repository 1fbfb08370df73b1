"""AWS's control planes as a script: each operation gives its answers in turn, the last for ever."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import anyio.lowlevel
from botocore.exceptions import ClientError

from shared.aws.clients import ServiceClient

Answer: TypeAlias = Exception | Mapping[str, Any]


def refusal(code: str, status: int = 400, message: str = "said") -> ClientError:
    """Return what the SDK raises for an answer with an error."""
    meta = {"HTTPStatusCode": status, "RequestId": "r0"}
    return ClientError({"Error": {"Code": code, "Message": message}, "ResponseMetadata": meta}, "")


@dataclass
class ScriptedAws:
    """All services; an operation without answers fails the test."""

    answers: dict[str, list[Answer]]
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def client(self, service: str) -> ServiceClient:
        """Return the one client that all services have."""
        return self

    def renew(self) -> bool:
        """Look up nothing."""
        return True

    def __getattr__(self, operation: str) -> Callable[..., Awaitable[dict[str, Any]]]:
        async def call(**arguments: object) -> dict[str, Any]:
            await anyio.lowlevel.checkpoint()
            self.asked.append((operation, dict(arguments)))
            laid = self.answers[operation]
            answer = laid.pop(0) if len(laid) > 1 else laid[0]
            if isinstance(answer, Exception):
                raise answer
            return dict(answer)

        return call

    def operations(self) -> Sequence[str]:
        """Return what was asked, in order."""
        return [operation for operation, _ in self.asked]

    def arguments(self, operation: str) -> Sequence[Mapping[str, Any]]:
        """Return what an operation was asked with, each time."""
        return [arguments for name, arguments in self.asked if name == operation]


@dataclass
class Body(AbstractAsyncContextManager["Body"]):
    """The payload of an invocation, as the SDK gives it."""

    content: bytes

    async def __aexit__(self, *_: object) -> None:
        """Close nothing."""

    async def read(self) -> bytes:
        """Return all of it."""
        await anyio.lowlevel.checkpoint()
        return self.content


async def never_waits(_seconds: float) -> None:
    """Stand for `anyio.sleep` where a test has no time."""
    await anyio.lowlevel.checkpoint()
