"""Quick reads are right, or leave it to the engine: who reads through both sees no difference."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from pipelines.wildlife.storage.bucket import BucketStorage
from pipelines.wildlife.storage.opening import StorageAccount, open_storage
from pipelines.wildlife.storage.protocol import Missing
from shared.aws.clients import ClientPool, ClientSettings, open_clients
from shared.aws.quick_reads import QuickReads, open_quick_reads
from shared.retry import RetryPolicy
from shared.s3.client import EngineSettings, S3Client
from shared.s3.uri import S3Uri
from tests.support.strict_s3.faults import Fail, Fault, HalfAnswer, Reset
from tests.support.strict_s3.server import StrictS3

_BUCKET, _ELSEWHERE = "cards", "cards-far-away"
_REGION = "eu-north-1"
_BODY = bytes(range(256)) * 40
_KEYS = ("x.jpg", "a b/æøå~(1)!*'%2F+&=@$,;:#?.JPG", "//x/", "a/./b", "a/../c")


@dataclass(frozen=True, slots=True)
class Ground:
    """Both ways to the same objects."""

    server: StrictS3
    quick: QuickReads
    clients: ClientPool
    storage: BucketStorage

    @property
    def asked(self) -> int:
        """How often objects were asked for."""
        return self.server.count("GetObject")

    async def read(self, key: str = "x.jpg", start: int = 0, length: int = 100) -> bytes | None:
        """Read in the quick way alone."""
        uri = S3Uri(_BUCKET, key)
        return await self.quick.read(uri, "", start=start, length=length)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StrictS3]:
    """A store with odd keys, and a bucket in another region."""
    with StrictS3([_BUCKET], aws_region=_REGION) as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        server.create_bucket(_ELSEWHERE, "us-west-2")
        server.seed(_BUCKET, dict.fromkeys(_KEYS, _BODY) | {"empty.jpg": b""})
        server.seed(_ELSEWHERE, {"x.jpg": _BODY})
        yield server


@pytest_asyncio.fixture
async def ground(server: StrictS3) -> AsyncIterator[Ground]:
    """Open it."""
    settings = EngineSettings(policy=RetryPolicy(base_seconds=0.0))
    async with (
        open_clients(ClientSettings(_REGION, endpoint_url=server.url)) as clients,
        open_quick_reads(clients, 4) as quick,
    ):
        storage = BucketStorage(S3Client(clients, settings, None), quick)
        yield Ground(server, quick, clients, storage)


@pytest.mark.asyncio
async def test_a_range_is_the_range_whatever_the_key(ground: Ground) -> None:
    """Keys with dots in them are none of ours, and the engine reads them as well as the others."""
    for key in _KEYS:
        for start, length in ((0, 100), (1000, 5000), (10_000, 1000), (0, len(_BODY) + 1)):
            before = ground.asked
            body = await ground.storage.read(f"s3://{_BUCKET}/{key}", start=start, length=length)
            assert body == _BODY[start : start + length]
            assert ground.asked == before + 1
        assert await ground.read(key, 5, 4) == (None if "/." in key else _BODY[5:9])


@pytest.mark.asyncio
async def test_what_is_not_there_is_said_by_the_engine(ground: Ground) -> None:
    """It has the error's name, and knows an object without a byte from none."""
    with pytest.raises(Missing):
        await ground.storage.read(f"s3://{_BUCKET}/nothing.jpg", start=0, length=10)

    for key, start in (("empty.jpg", 0), ("x.jpg", len(_BODY))):
        uri = f"s3://{_BUCKET}/{key}"
        assert await ground.storage.read(uri, start=start, length=10) == b""


@pytest.mark.asyncio
async def test_what_goes_wrong_is_tried_again_by_the_engine(ground: Ground) -> None:
    """Half of a head is no head."""
    for effect in (Fail("SlowDown"), Reset(), HalfAnswer(), Fail("InternalError")):
        fault = ground.server.faults.add(Fault(effect, operation="GetObject", nth=1))

        body = await ground.storage.read(f"s3://{_BUCKET}/x.jpg", start=0, length=1000)

        assert body == _BODY[:1000]
        assert ground.server.faults.struck(fault) == 1
        ground.server.faults.clear()


@pytest.mark.asyncio
async def test_a_bucket_in_another_region_is_read_with_its_signature(ground: Ground) -> None:
    """The engine knows where it is."""
    body = await ground.storage.read(f"s3://{_ELSEWHERE}/x.jpg", start=0, length=1000)

    assert body == _BODY[:1000]
    assert ground.asked == 1


@pytest.mark.asyncio
async def test_after_some_failures_the_engine_is_asked_at_once(ground: Ground) -> None:
    """Where the quick way does not lead anywhere, it costs no further requests."""
    fault = ground.server.faults.add(Fault(Fail("SlowDown"), operation="GetObject"))
    assert [await ground.read() for _ in range(8)] == [None] * 8
    assert ground.server.faults.struck(fault) == 5
    ground.server.faults.remove(fault)

    assert await ground.read() is None
    assert await ground.storage.read(f"s3://{_BUCKET}/x.jpg", start=0, length=4) == _BODY[:4]


@pytest.mark.asyncio
async def test_behind_a_proxy_there_is_no_quick_way(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK knows the way through, and this would only wait."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")

    async with open_quick_reads(ground.clients, 4) as quick:
        assert await quick.read(S3Uri(_BUCKET, "x.jpg"), "", start=0, length=4) is None
    assert ground.asked == 0


@pytest.mark.asyncio
async def test_runs_read_in_the_quick_way(
    server: StrictS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run reads a range of each of its pictures; by the SDK that would be most of its time."""
    monkeypatch.delattr(S3Client, "get")
    account = StorageAccount(_REGION, None, server.url, in_flight=4)

    async with open_storage([f"s3://{_BUCKET}/x.jpg"], account) as storage:
        assert await storage.read(f"s3://{_BUCKET}/x.jpg", start=5, length=4) == _BODY[5:9]
