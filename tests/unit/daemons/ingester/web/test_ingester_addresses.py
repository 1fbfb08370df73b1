import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.ingester.web.addresses import parse_networks, refusal

LOOPBACK = parse_networks(["127.0.0.0/8", "::1"])


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.8.9.1", "loopback"),
        ("::1", "loopback"),
        ("169.254.169.254", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("fd00:ec2::254", "private"),
        ("fec0::1", "private"),
        ("100.64.0.1", "reserved"),
        ("0.0.0.0", "unspecified"),  # noqa: S104 - an address to refuse, not one to bind
        ("::", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "private"),
        ("240.0.0.1", "private"),
        ("203.0.113.7", "private"),
        ("::ffff:169.254.169.254", "link-local"),
        ("::ffff:10.0.0.1", "private"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("64:ff9b::7f00:1", "loopback"),
        ("2002:a9fe:a9fe::1", "link-local"),
        ("2002:0a00:0001::1", "private"),
        ("2001:db8::1", "private"),
        ("4000::1", "reserved"),
    ],
)
def test_addresses_of_somebodys_own_network_are_refused(address: str, kind: str) -> None:
    """A feed must not make this machine ask its metadata service, its router or itself."""
    assert refusal(address) == f"it is a {kind} address"


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
)
def test_public_addresses_are_reached(address: str) -> None:
    """Podcasts are out there, behind NAT64 too."""
    assert refusal(address) == ""


@pytest.mark.parametrize("address", ["localhost", "", "127.1", "2130706433", "0x7f.1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    """Only what a socket would be given is judged, and odd notations are no addresses."""
    assert refusal(address, LOOPBACK) == "it is no address"


def test_what_is_allowed_by_name_is_reached() -> None:
    """A feed in the house is a matter of configuration, and of nothing else."""
    assert refusal("127.0.0.1", LOOPBACK) == ""
    assert refusal("::1", LOOPBACK) == ""
    assert refusal("::ffff:127.0.0.1", LOOPBACK) == ""
    assert refusal("10.0.0.1", LOOPBACK) != ""
    assert refusal("169.254.169.254", LOOPBACK) != ""


def test_networks_are_read_or_named() -> None:
    """A mistake in the configuration must not open more than was meant."""
    assert parse_networks([]) == ()
    with pytest.raises(ValueError, match=r"'10\.0\.0\.1/8' is no network"):
        parse_networks(["10.0.0.1/8"])


@given(st.ip_addresses(v=4))
def test_an_address_is_the_same_in_any_dress(address: object) -> None:
    """Wrapping a private address in IPv6 must not make it public."""
    assert refusal(f"::ffff:{address}") == refusal(str(address))


@given(st.text())
def test_no_text_breaks_the_judgement(text: str) -> None:
    """What resolvers answer comes from strangers."""
    assert isinstance(refusal(text), str)
