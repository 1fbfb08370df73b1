import asyncio
import os
import socket
from pathlib import Path

import anyio
import pytest
import uvloop

from tests.support import environment, guard, soak
from tests.support.gate import Gate, Signal
from tests.support.moto_server import MotoServer
from tests.support.raw_http import RawClient


@pytest.mark.parametrize(
    "name",
    [
        "AWS_PROFILE",
        "TOWPATH_ANYTHING",
        "S3_ROOT_DIR",
        "FILE_STABILITY_SECONDS",
        "https_proxy",
        "NOTIFY_SOCKET",
        "XDG_STATE_HOME",
    ],
)
def test_variables_of_the_caller_are_foreign(name: str) -> None:
    """A developer's profile must never decide a test, nor a test reach an account."""
    assert environment.is_foreign(name)
    assert name not in os.environ
    assert not environment.is_foreign("PATH")


def test_every_test_has_an_empty_home() -> None:
    """Configuration files of the person who runs the tests are not found."""
    assert list(Path.home().iterdir()) == []
    assert os.environ["AWS_EC2_METADATA_DISABLED"] == "true"
    assert not Path(os.environ["AWS_CONFIG_FILE"]).exists()
    assert not Path(os.environ["AWS_SHARED_CREDENTIALS_FILE"]).exists()


@pytest.mark.asyncio
async def test_asynchronous_tests_run_on_uvloop(request: pytest.FixtureRequest) -> None:
    """The loop of the tests is that of the daemons, and test ids stay readable."""
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
    assert request.node.name == "test_asynchronous_tests_run_on_uvloop"


@pytest.mark.parametrize("host", ["169.254.169.254", "192.0.2.1", "2001:db8::1"])
def test_other_machines_are_out_of_reach(host: str) -> None:
    """A test that leaves the machine fails by name, not by a time-out."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as line, pytest.raises(guard.NetworkForbidden):
        line.connect((host, 80))

    assert guard.attempts == [host]
    guard.attempts.clear()


@pytest.mark.asyncio
async def test_the_loop_is_guarded_too() -> None:
    """Uvloop connects below Python's sockets."""
    loop = asyncio.get_running_loop()
    with pytest.raises(guard.NetworkForbidden):
        await loop.create_connection(asyncio.Protocol, "192.0.2.1", 80)
    with pytest.raises(guard.NetworkForbidden):
        await loop.getaddrinfo("s3.amazonaws.com", 443)

    assert guard.attempts == ["192.0.2.1", "s3.amazonaws.com"]
    guard.attempts.clear()


def test_names_that_exist_nowhere_fail_as_everywhere() -> None:
    """A DNS failure can be tested without DNS."""
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("bucket.invalid", 443)


def test_repetitions_follow_the_run() -> None:
    """`make soak` runs the same tests, longer."""
    assert soak.repetitions(3, 300) == (300 if soak.SOAKING else 3)


@pytest.mark.asyncio
async def test_gate_counts_who_has_come() -> None:
    """A test can wait for the two hundredth upload in flight."""
    gate = Gate()

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(gate.enter)
        await gate.reached(3)
        assert gate.arrivals == 3
        gate.open()
    await gate.enter()

    with pytest.raises(TimeoutError):
        await gate.reached(5, limit_seconds=0)


@pytest.mark.asyncio
async def test_cancelled_waiter_leaves_the_signal_to_others() -> None:
    """One test's impatience must not open or break a gate."""
    signal = Signal()
    with pytest.raises(TimeoutError):
        await signal.wait(limit_seconds=0)
    signal.set()

    await signal.wait()
    assert signal.is_set()


@pytest.mark.parametrize("attempt", [1, 2])
def test_moto_starts_empty_for_every_test(moto_server: MotoServer, attempt: int) -> None:
    """One server serves all tests, and none sees another's account."""
    raw = RawClient(moto_server.url, aws_region="us-east-1")

    assert raw.call("HEAD", "/moto-bucket").status == 404
    assert raw.call("PUT", "/moto-bucket").status == 200
