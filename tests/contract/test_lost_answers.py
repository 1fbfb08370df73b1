from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from shared.s3.client import S3Client
from shared.s3.errors import OutcomeUnknown, PreconditionFailed, Throttled, Unreachable
from shared.s3.store import ABSENT, ALWAYS, Evidence, Matches, ObjectStore, Stored, When
from shared.s3.uri import S3Uri
from tests.contract.engines import BUCKET, open_client
from tests.contract.probe import RecordingJournal, SourceFile, uri
from tests.support.strict_s3.access import ACCESS_KEY, SECRET_KEY
from tests.support.strict_s3.faults import Effect, Fail, Fault, HalfAnswer, Reset, Stage
from tests.support.strict_s3.server import StrictS3

KEY = "lease"
LOST: tuple[Effect, ...] = (Reset(Stage.AFTER_COMMIT), HalfAnswer())
IDLE_CLOSED = Reset(Stage.ARRIVAL)
"""What a client sees whose idle connection the server has just closed."""
REST = range(2, 100)


@dataclass
class Ground:
    """The reference engine on a strict S3 that keeps count; one connection is open already."""

    s3: StrictS3
    store: S3Client
    journal: RecordingJournal

    def requests(self) -> list[str]:
        """Name the requests since the trouble began, in order."""
        return [record.operation for record in self.s3.requests()]

    def meet(self, *faults: Fault) -> None:
        """Begin to count, and let these requests meet trouble."""
        self.s3.forget()
        for fault in faults:
            self.s3.faults.add(fault)

    def held(self) -> bytes:
        """Return what the server holds under the key."""
        return self.s3.objects(BUCKET)[KEY]


@pytest_asyncio.fixture
async def ground(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ground]:
    """Open it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    journal = RecordingJournal()
    with StrictS3([BUCKET]) as s3:
        async with open_client(s3.url, journal) as store:
            await store.put(uri("source"), b"ours")
            yield Ground(s3, store, journal)


async def write(ground: Ground, when: When) -> Stored:
    """Write our bytes under the key."""
    return await ground.store.put(uri(KEY), b"ours", when=when)


async def create(ground: Ground) -> Stored:
    """Write where nothing is."""
    return await write(ground, ABSENT)


async def replace_seen(ground: Ground) -> Stored:
    """Write over the object that was seen."""
    return await write(ground, Matches("8fc42c6ddf9966db3b09e84365034357"))


async def copy(ground: Ground) -> Stored:
    """Copy to where nothing is."""
    return await ground.store.copy(uri("source"), uri(KEY), when=ABSENT)


def lay_old(ground: Ground) -> None:
    """Lay down what `replace_seen` has seen."""
    ground.s3.seed(BUCKET, {KEY: b"the"})


Action = Callable[[Ground], Awaitable[Stored]]


@pytest.mark.asyncio
@pytest.mark.parametrize("effect", LOST, ids=["reset", "half an answer"])
@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (create, ["PutObject", "HeadObject"]),
        (replace_seen, ["PutObject", "HeadObject"]),
        (copy, ["HeadObject", "CopyObject", "HeadObject"]),
    ],
)
async def test_write_whose_answer_was_lost_is_sent_once_and_found(
    ground: Ground, action: Action, expected: list[str], effect: Effect
) -> None:
    """Sent again under its precondition it is refused, and our claim looks like another's."""
    if action is replace_seen:
        lay_old(ground)
    ground.meet(Fault(effect, operation=expected[-2], nth=1))

    stored = await action(ground)

    assert ground.requests() == expected
    assert (stored.evidence, stored.attempts) == (Evidence.READ_BACK, 1)
    assert len(ground.s3.mutations(BUCKET, KEY)) == 1
    assert ground.held() == b"ours"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (create, ["PutObject", "HeadObject", "PutObject"]),
        (replace_seen, ["PutObject", "HeadObject", "PutObject"]),
        (copy, ["HeadObject", "CopyObject", "HeadObject", "CopyObject"]),
    ],
)
async def test_idle_connection_that_was_closed_costs_a_retry_of_ours(
    ground: Ground, action: Action, expected: list[str]
) -> None:
    """It happens to every daemon that pauses, so it is neither an error nor worth a line."""
    if action is replace_seen:
        lay_old(ground)
    ground.meet(Fault(IDLE_CLOSED, operation=expected[-1], nth=1))

    with capture_logs() as logs:
        stored = await action(ground)

    assert ground.requests() == expected
    assert (stored.evidence, stored.attempts) == (Evidence.ANSWERED, 2)
    assert len(ground.s3.mutations(BUCKET, KEY)) == 1
    assert logs == []


async def read_all(store: ObjectStore) -> None:
    """Read an object."""
    async with store.get(uri("source")) as download:
        assert b"".join([piece async for piece in download]) == b"ours"


async def list_all(store: ObjectStore) -> None:
    """List the bucket."""
    assert [page async for page in store.pages(uri(""))]


async def look(store: ObjectStore) -> None:
    """Ask for an object."""
    await store.head(uri("source"))


async def remove(store: ObjectStore) -> None:
    """Remove an object."""
    await store.delete(uri("source"))


async def look_at_tags(store: ObjectStore) -> None:
    """Ask for an object's tags."""
    await store.tags(uri("source"))


async def tag(store: ObjectStore) -> None:
    """Replace an object's tags."""
    await store.set_tags(uri("source"), {"a": "b"})


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("action", "operation"),
    [
        (read_all, "GetObject"),
        (list_all, "ListObjectsV2"),
        (look, "HeadObject"),
        (remove, "DeleteObject"),
        (look_at_tags, "GetObjectTagging"),
        (tag, "PutObjectTagging"),
    ],
)
async def test_request_that_may_be_repeated_is_repeated_by_us_alone(
    ground: Ground, action: Callable[[ObjectStore], Awaitable[None]], operation: str
) -> None:
    """Two layers that try again multiply in a storm, and one of them knows no budget."""
    ground.meet(Fault(IDLE_CLOSED, operation=operation, nth=1))

    await action(ground.store)

    assert ground.requests() == [operation] * 2


@pytest.mark.asyncio
async def test_budget_bounds_what_broken_connections_cost(ground: Ground) -> None:
    """All attempts of one call and not one more."""
    ground.meet(Fault(Reset(), operation="HeadObject"))

    with pytest.raises(Unreachable) as raised:
        await look(ground.store)

    assert ground.requests() == ["HeadObject"] * 5
    assert raised.value.answer.attempts == 5


LOST_PUT = Fault(Reset(Stage.AFTER_COMMIT), operation="PutObject", nth=1)
FAILED_PUT = Fault(Fail("InternalError", stage=Stage.AFTER_COMMIT), operation="PutObject", nth=1)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "faults",
    [
        (LOST_PUT, Fault(Fail("AccessDenied"), operation="HeadObject")),
        (
            LOST_PUT,
            Fault(Reset(), operation="HeadObject"),
            Fault(Reset(), operation="PutObject", nth=REST),
        ),
        (FAILED_PUT, Fault(Fail("SlowDown"), operation="PutObject", nth=REST)),
        (FAILED_PUT, Fault(Fail("AccessDenied"), operation="PutObject", nth=REST)),
        (FAILED_PUT, Fault(Fail("AccessDenied"), operation="HeadObject")),
    ],
    ids=[
        "may not look",
        "gone afterwards",
        "failed, then throttled",
        "failed, then denied",
        "failed, refused, may not look",
    ],
)
async def test_write_in_doubt_is_never_reported_as_not_done(
    ground: Ground, faults: tuple[Fault, ...]
) -> None:
    """An owner that believes it has no lease, while the bucket says it has, helps nobody."""
    ground.meet(*faults)

    with pytest.raises(OutcomeUnknown) as raised:
        await create(ground)

    assert ground.held() == b"ours"
    assert raised.value.uri == uri(KEY)


@pytest.mark.asyncio
@pytest.mark.parametrize("action", [create, replace_seen, copy])
async def test_failure_after_the_commit_is_found_by_the_retry(
    ground: Ground, action: Action
) -> None:
    """500 need not mean that nothing happened; the retry's 412 is about our own object."""
    if action is replace_seen:
        lay_old(ground)
    operation = "CopyObject" if action is copy else "PutObject"
    failure = Fail("InternalError", stage=Stage.AFTER_COMMIT)
    ground.meet(Fault(failure, operation=operation, nth=1))

    stored = await action(ground)

    assert (stored.evidence, stored.attempts) == (Evidence.READ_BACK, 2)
    assert len(ground.s3.mutations(BUCKET, KEY)) == 1


@pytest.mark.asyncio
async def test_another_writer_s_object_ends_the_doubt(ground: Ground) -> None:
    """Other bytes under the key, and a 412: ours are not there, and never will be."""
    ground.meet(Fault(Fail("InternalError"), operation="PutObject", nth=1))
    ground.s3.seed(BUCKET, {KEY: b"theirs"})

    with pytest.raises(PreconditionFailed):
        await create(ground)

    assert ground.held() == b"theirs"


@pytest.mark.asyncio
async def test_refusal_alone_leaves_no_doubt(ground: Ground) -> None:
    """SlowDown is an answer: nothing was done, and the caller may say so."""
    ground.meet(Fault(Fail("SlowDown"), operation="PutObject"))

    with pytest.raises(Throttled):
        await create(ground)

    assert ground.requests() == ["PutObject"] * 5


@pytest.mark.asyncio
@pytest.mark.parametrize("when", [ALWAYS, ABSENT])
async def test_completion_in_doubt_is_never_reported_as_not_done(
    ground: Ground, make_source: Callable[[int], SourceFile], when: When
) -> None:
    """The same for a file in parts, and nothing stays open to be paid for."""
    complete = "CompleteMultipartUpload"
    ground.meet(
        Fault(Fail("InternalError", stage=Stage.AFTER_COMMIT), operation=complete, nth=1),
        Fault(Fail("SlowDown"), operation=complete, nth=REST),
    )
    source = make_source(9 * 1024 * 1024)

    with pytest.raises(OutcomeUnknown):
        await ground.store.put_file(uri(KEY), source.pinned, when=when)

    assert ground.held() == source.body
    assert ground.s3.open_uploads() == []
    assert ground.journal.left_open() == set()


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [10, 3_000_000])
async def test_body_that_breaks_off_is_unreachable(ground: Ground, size: int) -> None:
    """An error of the HTTP library would end a daemon with a traceback, for one lost packet."""
    await ground.store.put(uri(KEY), bytes(size))
    ground.meet(Fault(HalfAnswer(), operation="GetObject", nth=1))

    async with ground.store.get(uri(KEY)) as download:
        with pytest.raises(Unreachable):
            async for _ in download:
                pass


@pytest.mark.asyncio
async def test_first_look_at_a_bucket_is_tried_again(ground: Ground) -> None:
    """One 503 to a request that nobody asked for must not fail the write behind it."""
    ground.s3.create_bucket("colony-new")
    ground.meet(
        Fault(Fail("SlowDown", 503), operation="HeadBucket", nth=1),
        Fault(Reset(), operation="HeadBucket", nth=2),
    )

    await ground.store.put(S3Uri("colony-new", KEY), b"ours")

    assert ground.requests() == ["HeadBucket"] * 3 + ["PutObject"]
