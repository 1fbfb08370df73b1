"""What every test gets: uvloop, a clean environment, no network, and the fakes as fixtures."""

import asyncio
import gc
import logging
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from tests.support import environment, guard, quick_sdk, soak
from tests.support.imds import Imds
from tests.support.moto_server import MotoServer, running_moto
from tests.support.strict_s3.server import BUCKET, StrictS3

# Of hundreds of properties each is tried a little in every run, and a lot in `make soak`.
settings.register_profile("towpath", max_examples=soak.repetitions(40, 1000))
settings.load_profile("towpath")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run asynchronous tests on uvloop, as the daemons do."""
    return {"uvloop": guard.GuardedLoop}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what only `make soak` runs."""
    if soak.SOAKING:
        return
    for item in items:
        if item.get_closest_marker("soak") is not None:
            item.add_marker(pytest.mark.skip(reason="heavier repetitions: make soak"))


def pytest_collection_finish() -> None:
    """Spare every test what is the same for all of them."""
    quick_sdk.remember()
    # What was collected stays to the end: looking it through for garbage is a twentieth of all.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def loopback_only() -> Iterator[None]:
    """No test leaves this machine."""
    with guard.loopback_only():
        yield


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Hand out an empty home folder a time."""
    base = tmp_path_factory.mktemp("homes")
    return (_made(base / str(number)) for number in count())


@pytest.fixture(autouse=True)
def isolation(monkeypatch: pytest.MonkeyPatch, homes: Iterator[Path]) -> Iterator[None]:
    """Give the test an environment of its own, and fail it if it wanted to leave the machine."""
    environment.isolate(monkeypatch, next(homes))
    guard.attempts.clear()
    yield
    assert guard.attempts == [], "this test wanted to leave the machine"


@pytest.fixture(autouse=True)
def log_put_back() -> Iterator[None]:
    """Undo what a command does to the log of its process: others count on what is logged."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def strict_s3() -> Iterator[StrictS3]:
    """An S3 that refuses what AWS refuses, with the empty bucket `test-bucket`."""
    with StrictS3([BUCKET]) as s3:
        yield s3


@pytest.fixture
def imds() -> Iterator[Imds]:
    """An instance metadata service; `imds.environment()` makes a process find itself on EC2."""
    with Imds() as service:
        yield service


@pytest.fixture(scope="session")
def moto_session() -> Iterator[MotoServer]:
    """One moto for all tests; use `moto_server`."""
    with running_moto() as server:
        yield server


@pytest.fixture
def moto_server(moto_session: MotoServer) -> MotoServer:
    """Moto's server with an empty account."""
    moto_session.reset()
    return moto_session


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
