"""No test leaves this machine: connections and look-ups go to loopback or nowhere.

uvloop connects below Python's `socket` where it is given a host name, so the loop is guarded too.
Names that can never exist (`.invalid`, `.test`) fail to resolve as they do everywhere; anything
else that is not local is remembered in `attempts` and fails the test that tried it, even where the
code under test swallows the error.
"""

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvloop

attempts: list[str] = []
"""Where this test wanted to go."""

_NOWHERE = (".invalid", ".test")


class NetworkForbidden(RuntimeError):
    """A test wanted to leave this machine; deliberately no OSError, which code would retry."""


def is_local(host: object) -> bool:
    """Say whether a host, as given to connect or getaddrinfo, is this machine."""
    if host is None or host == "":
        return True
    name = host.decode() if isinstance(host, bytes) else str(host)
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def check(host: object) -> None:
    """Let local hosts pass.

    Raises:
        NetworkForbidden: the host is another machine.
        socket.gaierror: it is a name that exists nowhere.
    """
    if is_local(host):
        return
    if str(host).endswith(_NOWHERE):
        raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is not known")
    attempts.append(str(host))
    raise NetworkForbidden(f"a test wanted to reach {host!r}; use a fake from tests/support")


class GuardedLoop(uvloop.Loop):
    """uvloop's loop for the tests."""

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **settings: Any
    ) -> Any:
        """Connect, to this machine only."""
        check(host)
        return await super().create_connection(protocol_factory, host, port, **settings)

    async def create_datagram_endpoint(
        self,
        protocol_factory: Any,
        local_addr: Any = None,
        remote_addr: Any = None,
        **settings: Any,
    ) -> Any:
        """Send datagrams, on this machine only."""
        if isinstance(remote_addr, tuple):
            check(remote_addr[0])
        return await super().create_datagram_endpoint(
            protocol_factory, local_addr, remote_addr, **settings
        )

    async def getaddrinfo(self, host: Any, port: Any, **settings: Any) -> Any:
        """Look up a name of this machine only."""
        check(host)
        return await super().getaddrinfo(host, port, **settings)


@contextmanager
def loopback_only() -> Iterator[None]:
    """Guard Python's own sockets while the context lasts."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
    look_up = socket.getaddrinfo

    def checked_connect(self: socket.socket, address: Any) -> None:
        _check_address(self, address)
        connect(self, address)

    def checked_connect_ex(self: socket.socket, address: Any) -> int:
        _check_address(self, address)
        return connect_ex(self, address)

    def checked_look_up(host: Any, *rest: Any, **settings: Any) -> Any:
        check(host)
        return look_up(host, *rest, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", checked_connect)
        patch.setattr(socket.socket, "connect_ex", checked_connect_ex)
        patch.setattr(socket, "getaddrinfo", checked_look_up)
        yield


def _check_address(connecting: socket.socket, address: Any) -> None:
    if connecting.family in (socket.AF_INET, socket.AF_INET6):
        check(address[0])
