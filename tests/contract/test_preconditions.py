from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import pytest

from shared.handshake.claims import probe_conditional_writes
from shared.handshake.layout import Layout
from shared.s3.errors import NotFound, PreconditionFailed, Unsupported
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Preconditions
from shared.s3.store import ABSENT, ALWAYS, Matches, ObjectStore, When
from tests.contract.engines import BUCKET, Engine, open_client
from tests.contract.probe import RecordingJournal, SourceFile, uri
from tests.support.strict_s3.access import ACCESS_KEY, SECRET_KEY
from tests.support.strict_s3.behaviour import AWS, Behaviour, Conditions
from tests.support.strict_s3.faults import Fail, Fault
from tests.support.strict_s3.server import StrictS3

LARGE = 9 * 1024 * 1024
OpenStore = Callable[[str], AbstractAsyncContextManager[ObjectStore]]


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be somebody."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@asynccontextmanager
async def memory(preconditions: str) -> AsyncIterator[ObjectStore]:
    """Open the fake over buckets that treat preconditions so."""
    buckets = MemoryBuckets(BUCKET, preconditions=Preconditions(preconditions))
    yield MemoryStore(buckets, journal=RecordingJournal())


@asynccontextmanager
async def client(preconditions: str) -> AsyncIterator[ObjectStore]:
    """Open the reference engine on a server that treats preconditions so."""
    said = Conditions(preconditions)
    behaviour = replace(AWS, conditional_put=said, conditional_complete=said)
    async with on_server(behaviour) as (_, store):
        yield store


@asynccontextmanager
async def on_server(behaviour: Behaviour) -> AsyncIterator[tuple[StrictS3, ObjectStore]]:
    """Open the reference engine on a server of this kind."""
    with StrictS3([BUCKET], behaviour=behaviour) as s3:
        async with open_client(s3.url, RecordingJournal()) as store:
            yield s3, store


STORES: Mapping[str, OpenStore] = {"memory": memory, "client": client}
stores = pytest.mark.parametrize("open_store", STORES.values(), ids=STORES)


async def content(store: ObjectStore, key: str) -> bytes:
    """Read an object."""
    async with store.get(uri(key)) as download:
        return b"".join([piece async for piece in download])


@pytest.mark.asyncio
async def test_refusal_teaches_that_preconditions_are_honoured(engine: Engine) -> None:
    """A success under a precondition proves nothing: a store may have ignored it."""
    await engine.store.put(uri("a"), b"x", when=ABSENT)
    before = await engine.store.capabilities(BUCKET)

    with pytest.raises(PreconditionFailed):
        await engine.store.put(uri("a"), b"y", when=ABSENT)

    assert before.conditional_put is None
    assert (await engine.store.capabilities(BUCKET)).conditional_put is True


@pytest.mark.asyncio
@stores
@pytest.mark.parametrize(
    ("preconditions", "fenced"), [("honoured", True), ("ignored", False), ("refused", False)]
)
async def test_probe_tells_whether_leases_are_fenced(
    open_store: OpenStore, preconditions: str, *, fenced: bool
) -> None:
    """With a wrong yes several watchers own one job and none of them knows."""
    async with open_store(preconditions) as store:
        assert await probe_conditional_writes(store, Layout(BUCKET), "w1") is fenced
        assert [page.objects async for page in store.pages(uri(""))] == [[]]


@pytest.mark.asyncio
@stores
@pytest.mark.parametrize("when", [ABSENT, Matches("0" * 32)])
async def test_refused_precondition_is_raised_and_nothing_written(
    open_store: OpenStore, when: When
) -> None:
    """Writing without the fence that was asked for is for those who say so."""
    async with open_store("refused") as store:
        for _ in range(2):
            with pytest.raises(Unsupported):
                await store.put(uri("a"), b"x", when=when)
        with pytest.raises(NotFound):
            await store.head(uri("a"))


@pytest.mark.asyncio
@stores
@pytest.mark.parametrize("large", [False, True])
async def test_look_takes_the_place_of_a_precondition_on_request(
    open_store: OpenStore, make_source: Callable[[int], SourceFile], *, large: bool
) -> None:
    """A file that one daemon delivers is better off with a look than not delivered."""
    first, second = make_source(LARGE if large else 10), make_source(LARGE + 1 if large else 11)
    async with open_store("refused") as store:
        stored = await store.put_file(uri("a"), first.pinned, when=ABSENT, emulate=True)
        for when in (ABSENT, Matches("0" * 32)):
            with pytest.raises(PreconditionFailed):
                await store.put_file(uri("a"), second.pinned, when=when, emulate=True)
        assert await content(store, "a") == first.body
        with pytest.raises(NotFound):
            await store.put_file(uri("b"), second.pinned, when=Matches("0" * 32), emulate=True)

        await store.put_file(uri("a"), second.pinned, when=Matches(stored.etag), emulate=True)

        assert await content(store, "a") == second.body


@pytest.mark.asyncio
async def test_refused_precondition_teaches_nothing_of_checksums() -> None:
    """An MD5 in place of the checksum would weaken the evidence for every file of the bucket."""
    async with on_server(replace(AWS, conditional_put=Conditions.REFUSED)) as (s3, store):
        await store.put(uri("a"), b"x", when=ABSENT, emulate=True)
        known = await store.capabilities(BUCKET)
        s3.forget()
        await store.put(uri("b"), b"x", when=ABSENT, emulate=True)

        assert (known.checksums, known.conditional_put) == (None, False)
        assert [record.operation for record in s3.requests()] == ["HeadObject", "PutObject"]


@pytest.mark.asyncio
@stores
async def test_one_who_emulates_does_not_take_the_fence_from_another(
    open_store: OpenStore,
) -> None:
    """What one caller puts up with, and the engine remembers, the next must not get unasked."""
    async with open_store("refused") as store:
        await store.put(uri("a"), b"x", when=ABSENT, emulate=True)

        with pytest.raises(Unsupported):
            await store.put(uri("b"), b"x", when=ABSENT)
        with pytest.raises(NotFound):
            await store.head(uri("b"))


@pytest.mark.asyncio
async def test_refused_checksum_teaches_nothing_of_preconditions(
    make_source: Callable[[int], SourceFile],
) -> None:
    """The store can fence, and a large file goes under its precondition all the same."""
    async with on_server(replace(AWS, full_object_checksum=False)) as (_, store):
        await store.put_file(uri("a"), make_source(LARGE).pinned, when=ABSENT)
        with pytest.raises(PreconditionFailed):
            await store.put_file(uri("a"), make_source(LARGE + 1).pinned, when=ABSENT)

        known = await store.capabilities(BUCKET)

    assert (known.checksums, known.conditional_complete) == (False, True)


@pytest.mark.asyncio
@pytest.mark.parametrize("emulate", [False, True])
async def test_refusal_of_something_else_teaches_nothing(*, emulate: bool) -> None:
    """A 501 to a storage class says nothing of checksums or preconditions."""
    async with on_server(AWS) as (s3, store):
        s3.faults.add(Fault(Fail("NotImplemented"), operation="PutObject"))
        for when in (ALWAYS, ABSENT):
            with pytest.raises(Unsupported):
                await store.put(uri("a"), b"x", when=when, emulate=emulate)

        known = await store.capabilities(BUCKET)

    assert (known.checksums, known.conditional_put) == (None, None)
