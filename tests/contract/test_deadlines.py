from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import pytest

from shared.s3.errors import ObjectError, OutcomeUnknown, Unreachable
from shared.s3.memory import Faults, MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Verb
from shared.s3.store import ABSENT, ObjectStore, OpenUpload
from shared.s3.uri import S3Uri
from tests.contract.engines import BUCKET, Engine, open_client
from tests.contract.probe import RecordingJournal, uri
from tests.support.gate import Gate
from tests.support.strict_s3.access import ACCESS_KEY, SECRET_KEY
from tests.support.strict_s3.faults import Fault, Stage, Wait
from tests.support.strict_s3.server import StrictS3

DEADLINE = 0.05
BOUND_SECONDS = 5.0
OpenStore = Callable[[], AbstractAsyncContextManager[ObjectStore]]


class Silent(Faults):
    """Answers nothing any more, once told."""

    def __init__(self) -> None:
        self.silent = False

    async def before(self, verb: Verb, uri: S3Uri) -> None:
        """Wait for ever."""
        if self.silent:
            await anyio.sleep_forever()


@asynccontextmanager
async def memory() -> AsyncIterator[ObjectStore]:
    """Open the fake with one object, and let it fall silent."""
    faults = Silent()
    store = MemoryStore(MemoryBuckets(BUCKET), faults=faults, journal=RecordingJournal())
    await store.put(uri("a"), b"x")
    faults.silent = True
    yield store


@asynccontextmanager
async def client() -> AsyncIterator[ObjectStore]:
    """Open the reference engine with one object, on a server that falls silent."""
    gate = Gate()
    with StrictS3([BUCKET]) as s3:
        async with open_client(s3.url, RecordingJournal()) as store:
            await store.put(uri("a"), b"x")
            s3.faults.add(Fault(Wait(gate, Stage.ARRIVAL)))
            try:
                yield store
            finally:
                gate.open()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be somebody."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


STORES: Mapping[str, OpenStore] = {"memory": memory, "client": client}


async def get(store: ObjectStore) -> None:
    """Open an object."""
    async with store.get(uri("a"), deadline=DEADLINE):
        pass


async def pages(store: ObjectStore) -> None:
    """List."""
    async for _ in store.pages(uri(""), deadline=DEADLINE):
        pass


Call = Callable[[ObjectStore], Awaitable[object]]
CALLS: Mapping[str, tuple[Call, type[ObjectError]]] = {
    "put": (lambda s: s.put(uri("b"), b"x", when=ABSENT, deadline=DEADLINE), OutcomeUnknown),
    "copy": (lambda s: s.copy(uri("a"), uri("b"), deadline=DEADLINE), OutcomeUnknown),
    "delete": (lambda s: s.delete(uri("a"), deadline=DEADLINE), OutcomeUnknown),
    "delete_many": (lambda s: s.delete_many(BUCKET, ["a"], deadline=DEADLINE), OutcomeUnknown),
    "abort": (lambda s: s.abort(OpenUpload(uri("a"), "u"), deadline=DEADLINE), OutcomeUnknown),
    "set_tags": (lambda s: s.set_tags(uri("a"), {}, deadline=DEADLINE), OutcomeUnknown),
    "tags": (lambda s: s.tags(uri("a"), deadline=DEADLINE), Unreachable),
    "head": (lambda s: s.head(uri("a"), deadline=DEADLINE), Unreachable),
    "get": (get, Unreachable),
    "pages": (pages, Unreachable),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("open_store", STORES.values(), ids=STORES)
@pytest.mark.parametrize(("call", "expected"), CALLS.values(), ids=CALLS)
async def test_deadline_cuts_off_the_attempt_under_way(
    open_store: OpenStore, call: Call, expected: type[ObjectError]
) -> None:
    """A heartbeat that is answered after its lease has run out must not count as one."""
    async with open_store() as store:
        began = anyio.current_time()

        with pytest.raises(expected, match=r"no answer within 0\.05 s"):
            await call(store)

        assert anyio.current_time() - began < BOUND_SECONDS


@pytest.mark.asyncio
async def test_deadline_of_a_read_is_for_its_beginning(engine: Engine) -> None:
    """A slow disk or a large object must not lose its download to a limit for the answer."""
    await engine.store.put(uri("a"), bytes(3 * 1024 * 1024))

    async with engine.store.get(uri("a"), deadline=1.0) as download:
        with anyio.move_on_after(1.1):
            await anyio.Event().wait()
        size = sum([len(piece) async for piece in download])

    assert size == 3 * 1024 * 1024
