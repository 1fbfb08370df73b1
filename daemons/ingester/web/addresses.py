"""Which addresses a feed may send us to. Pure.

A feed, and every redirect on the way from it, is written by a stranger; this machine stands inside
a network that the stranger does not. Reached are public addresses, and the networks that the
operator has named.

| address                                                     | reached                     |
|-------------------------------------------------------------|-----------------------------|
| in a network that is allowed by name                        | yes                         |
| an IPv4 address wrapped in IPv6 (mapped, 6to4, NAT64)       | as the IPv4 address would be|
| loopback, private, link-local (instance metadata), shared   | no                          |
| multicast, reserved, unspecified, for documentation         | no                          |
| any other                                                   | yes                         |
"""

from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network

_NAT64 = IPv6Network("64:ff9b::/96")
_IPV4_BITS = 0xFFFFFFFF


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Read networks such as `127.0.0.0/8` or `::1`; ValueError names the one that is none."""
    networks: list[Network] = []
    for text in texts:
        try:
            networks.append(ip_network(text.strip()))
        except ValueError as error:
            raise ValueError(f"{text!r} is no network: {error}; write 10.0.0.0/8 or ::1") from None
    return tuple(networks)


def refusal(address: str, allowed: Sequence[Network] = ()) -> str:
    """Say why an address is not connected to; empty where it may be."""
    try:
        plain = _unwrapped(ip_address(address.partition("%")[0]))
    except ValueError:
        return "it is no address"
    if any(plain in network for network in allowed if network.version == plain.version):
        return ""
    return _kind(plain)


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & _IPV4_BITS)
    return address.ipv4_mapped or address.sixtofour or address


def _kind(address: IPv4Address | IPv6Address) -> str:
    """Name what makes an address one of somebody's own network; empty for a public one."""
    kinds = {
        "loopback": address.is_loopback,
        "link-local": address.is_link_local,
        "multicast": address.is_multicast,
        "unspecified": address.is_unspecified,
        "private": address.is_private or (address.version == 6 and address.is_site_local),  # noqa: PLR2004 - IPv6
        "reserved": address.is_reserved or not address.is_global,
    }
    return next((f"it is a {kind} address" for kind, fits in kinds.items() if fits), "")
