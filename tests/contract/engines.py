"""The engines that the object store suite runs on; a new one is a function and a line here."""

import atexit
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import cache

from moto.backends import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.server import ThreadedMotoServer

from shared.aws.clients import ClientSettings, open_clients
from shared.retry import RetryPolicy
from shared.s3.client import EngineSettings, S3Client
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets
from shared.s3.multipart import PART_SIZE_MIN
from shared.s3.store import Evidence, ObjectStore, UploadJournal
from shared.s3.uri import S3Uri
from tests.support.strict_s3.server import StrictS3

BUCKET = "colony-shots"
OTHER_BUCKET = "colony-stats"
MISSING_BUCKET = "colony-lost"
AWS_REGION = "eu-west-1"
THRESHOLD = PART_SIZE_MIN + 1


@dataclass(frozen=True, slots=True)
class Engine:
    """A store over two empty buckets, `BUCKET` and `OTHER_BUCKET`, and what may be asked of it."""

    store: ObjectStore
    seed: Callable[[Sequence[str]], None]
    """Lay a small object under each key of `BUCKET`, as if it had always been there."""
    threshold: int
    """A file of this many bytes is the smallest that goes in parts."""
    part_size: int
    """Bytes of each part but the last."""
    least_evidence: Evidence = Evidence.ANSWERED
    conditional_copy: bool = True
    line_feeds_in_keys: bool = True
    empty_tag_sets: bool = True
    atomic: bool = True
    """A condition is looked at and the write made in one step."""


OpenEngine = Callable[[UploadJournal], AbstractAsyncContextManager[Engine]]


@asynccontextmanager
async def memory(journal: UploadJournal) -> AsyncIterator[Engine]:
    """Open the fake that ships with the product."""
    buckets = MemoryBuckets(BUCKET, OTHER_BUCKET)
    store = MemoryStore(buckets, journal=journal, threshold=64_000, part_size=50_000)

    def seed(keys: Sequence[str]) -> None:
        for key in keys:
            buckets.put(S3Uri(BUCKET, key), key.encode())

    yield Engine(store, seed, threshold=64_000, part_size=50_000)
    await store.aclose()


@asynccontextmanager
async def client_on_strict_s3(journal: UploadJournal) -> AsyncIterator[Engine]:
    """Open the reference engine on the strict S3, which refuses what AWS refuses."""
    with StrictS3([BUCKET, OTHER_BUCKET]) as server:

        def seed(keys: Sequence[str]) -> None:
            server.seed(BUCKET, {key: key.encode() for key in keys})

        async with open_client(server.url, journal) as store:
            yield Engine(store, seed, THRESHOLD, PART_SIZE_MIN)


@asynccontextmanager
async def client_on_moto(journal: UploadJournal) -> AsyncIterator[Engine]:
    """Open the reference engine on a moto server: somebody else's reading of the API.

    It answers no CRC64NVME to a PUT, ignores the precondition of a copy, and answers 404 to a key
    with a line feed, and 500 to an empty set of tags. Between looking at a condition and writing it
    lets others write.
    """
    backend = get_backend("s3")[DEFAULT_ACCOUNT_ID]["aws"]
    for bucket in (BUCKET, OTHER_BUCKET):
        backend.create_bucket(bucket, AWS_REGION)

    def seed(keys: Sequence[str]) -> None:
        for key in keys:
            backend.put_object(BUCKET, key, key.encode())

    try:
        async with open_client(moto_url(), journal) as store:
            yield Engine(
                store,
                seed,
                THRESHOLD,
                PART_SIZE_MIN,
                least_evidence=Evidence.ETAG_MD5,
                conditional_copy=False,
                line_feeds_in_keys=False,
                empty_tag_sets=False,
                atomic=False,
            )
    finally:
        backend.reset()


@cache
def moto_url() -> str:
    """Start the one moto server of this run; each start and stop costs half a second."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    atexit.register(server.stop)
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


@asynccontextmanager
async def open_client(url: str, journal: UploadJournal) -> AsyncIterator[S3Client]:
    """Open the reference engine on whatever listens at `url`."""
    settings = EngineSettings(multipart_threshold=THRESHOLD, policy=RetryPolicy(base_seconds=0.0))
    async with open_clients(ClientSettings(AWS_REGION, endpoint_url=url)) as clients:
        store = S3Client(clients, settings, journal)
        yield store
        await store.aclose()


ENGINES: Mapping[str, OpenEngine] = {
    "memory": memory,
    "client_on_strict_s3": client_on_strict_s3,
    "client_on_moto": client_on_moto,
}
