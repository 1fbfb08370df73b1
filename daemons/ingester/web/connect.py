"""The one door to the web: a connector that looks at the address it is about to connect to.

Rule: what is checked is the address of the socket, not a name or a URL. A name that resolves to
something else the second time, a redirect at any hop, a number in an odd notation: each ends in a
socket, and the socket is refused.
"""

import socket
from collections.abc import Sequence

import aiohttp
import anyio
from aiohttp.abc import AbstractResolver, ResolveResult

from daemons.ingester.web.addresses import Network, refusal

_SHOWN = 100
"""Characters of a host's name in a message; a stranger's may have any number."""


class AddressRefused(OSError):
    """The address is not for us; an OSError, since that is what connectors hand on."""


class CheckedResolver(AbstractResolver):
    """Leaves out the addresses that are refused, so that a message can name the host."""

    def __init__(
        self, inner: AbstractResolver, allowed: Sequence[Network], limit_seconds: float
    ) -> None:
        self._inner = inner
        self._allowed = allowed
        self._limit_seconds = limit_seconds

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host that may be connected to."""
        try:
            with anyio.fail_after(self._limit_seconds):
                found = await self._inner.resolve(host, port, family)
        except UnicodeError as error:
            # The codec of names: uvloop hands it on, and a connector translates none but OSError.
            raise AddressRefused(
                f"{host[:_SHOWN]!r} is no name of a host: a part of it is empty or too long"
            ) from error
        good = [result for result in found if not refusal(result["host"], self._allowed)]
        if not found:
            raise OSError(f"{host!r} has no address")
        if not good:
            address = found[0]["host"]
            reason = refusal(address, self._allowed)
            raise AddressRefused(f"{host!r} is at {address}, and {reason}")
        return good

    async def close(self) -> None:
        """Close what was wrapped."""
        await self._inner.close()


def open_connector(
    allowed: Sequence[Network],
    *,
    per_host: int,
    limit_seconds: float,
    resolver: AbstractResolver | None = None,
) -> aiohttp.TCPConnector:
    """Make a connector that refuses every address that `web.addresses` refuses."""

    def checked_socket(
        info: tuple[
            int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[object, ...]
        ],
    ) -> socket.socket:
        family, kind, protocol, _, address = info
        if reason := refusal(str(address[0]), allowed):
            raise AddressRefused(f"{address[0]} is not connected to: {reason}")
        return socket.socket(family, kind, protocol)

    inner = resolver or aiohttp.resolver.DefaultResolver()
    return aiohttp.TCPConnector(
        resolver=CheckedResolver(inner, allowed, limit_seconds),
        socket_factory=checked_socket,
        limit_per_host=per_host,
    )
