import multiprocessing
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest

from shared.s3.errors import (
    NotFound,
    ObjectError,
    OutcomeUnknown,
    PreconditionFailed,
    Throttled,
    Unreachable,
)
from shared.s3.memory import Faults, MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Mutation, Verb
from shared.s3.pinned import crc64nvme, open_pinned
from shared.s3.store import ABSENT, Evidence, OpenUpload, PinnedFile, PutOptions, Span
from shared.s3.uri import S3Uri
from shared.s3.wire import encode_crc
from tests.support.piped_buckets import PipedBuckets, serve

URI = S3Uri("colony-shots", "a.png")
PART = 1000

Verbs = list[tuple[str, Verb]]


@dataclass
class Script(Faults):
    """Raises what it is told to at a verb, and notes every request."""

    before_verb: dict[Verb, ObjectError] = field(default_factory=dict)
    after_verb: dict[Verb, ObjectError] = field(default_factory=dict)
    seen: Verbs = field(default_factory=list)

    async def before(self, verb: Verb, uri: S3Uri) -> None:
        """Fail before anything happened."""
        self.seen.append(("before", verb))
        if error := self.before_verb.get(verb):
            raise error

    async def after_commit(self, verb: Verb, uri: S3Uri) -> None:
        """Fail when all has happened."""
        self.seen.append(("after", verb))
        if error := self.after_verb.get(verb):
            raise error


class Journal:
    """Remembers which uploads are open."""

    def __init__(self) -> None:
        self.open: set[str] = set()

    async def opened(self, upload: OpenUpload) -> None:
        """Remember it."""
        self.open.add(upload.upload_id)

    async def closed(self, upload: OpenUpload) -> None:
        """Forget it."""
        self.open.discard(upload.upload_id)


@pytest.fixture
def buckets() -> MemoryBuckets:
    """Make one empty bucket."""
    return MemoryBuckets("colony-shots")


@pytest.fixture
def large(tmp_path: Path) -> Iterator[PinnedFile]:
    """Pin a file of two and a half parts."""
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(range(250)) * 10)
    pinned = open_pinned(str(path))
    yield pinned
    os.close(pinned.descriptor)


def store_with(
    buckets: MemoryBuckets, faults: Faults | None = None, journal: Journal | None = None
) -> MemoryStore:
    """Open a store with small parts."""
    return MemoryStore(buckets, faults=faults, journal=journal, threshold=PART, part_size=PART)


@pytest.mark.asyncio
async def test_failure_before_commit_changes_nothing(buckets: MemoryBuckets) -> None:
    """A daemon that was told 503 must find the bucket as it was."""
    store = store_with(buckets, Script(before_verb={Verb.PUT: Throttled(URI)}))

    with pytest.raises(Throttled):
        await store.put(URI, b"x")

    assert buckets.history() == ()


@pytest.mark.asyncio
async def test_lost_answer_comes_after_the_effect(buckets: MemoryBuckets) -> None:
    """The case that reading back exists for: it failed, and it is there."""
    store = store_with(buckets, Script(after_verb={Verb.PUT: OutcomeUnknown(URI)}))

    with pytest.raises(OutcomeUnknown):
        await store.put(URI, b"x")

    assert (await store.head(URI)).size == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("verb", [Verb.PART, Verb.COMPLETE])
async def test_failed_upload_is_aborted(
    buckets: MemoryBuckets, large: PinnedFile, verb: Verb
) -> None:
    """Whatever ends it early, nobody pays for its parts."""
    journal = Journal()
    store = store_with(buckets, Script(before_verb={verb: Throttled(URI)}), journal)

    with pytest.raises(Throttled):
        await store.put_file(URI, large)

    assert buckets.look(URI) is None
    assert list(buckets.uploads(URI)) == []
    assert journal.open == set()


@pytest.mark.asyncio
async def test_upload_that_cannot_be_aborted_stays_in_the_journal(
    buckets: MemoryBuckets, large: PinnedFile
) -> None:
    """The first error is the one to hear of, and the next start must know what to sweep."""
    journal = Journal()
    first, second = Throttled(URI), Unreachable(URI)
    faults = Script(before_verb={Verb.PART: first, Verb.ABORT: second})

    with pytest.raises(Throttled) as raised:
        await store_with(buckets, faults, journal).put_file(URI, large)

    assert raised.value is first
    assert {upload.upload_id for upload in buckets.uploads(URI)} == journal.open
    assert len(journal.open) == 1


@pytest.mark.asyncio
async def test_lost_answer_to_complete_leaves_the_whole_object(
    buckets: MemoryBuckets, large: PinnedFile
) -> None:
    """Cleaning up after an unknown outcome must not take away what was completed."""
    journal = Journal()
    store = store_with(buckets, Script(after_verb={Verb.COMPLETE: OutcomeUnknown(URI)}), journal)

    with pytest.raises(OutcomeUnknown):
        await store.put_file(URI, large)

    assert (await store.head(URI)).size == large.identity.size
    assert list(buckets.uploads(URI)) == []
    assert journal.open == set()


@pytest.mark.asyncio
async def test_cancelled_part_aborts_the_upload(buckets: MemoryBuckets, large: PinnedFile) -> None:
    """The abort itself must get through although the task is being cancelled."""
    reached = anyio.Event()

    class Held(Faults):
        async def before(self, verb: Verb, uri: S3Uri) -> None:
            if verb is Verb.PART:
                reached.set()
                await anyio.sleep_forever()

    journal = Journal()
    store = store_with(buckets, Held(), journal)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.put_file, URI, large)
            await reached.wait()
            tasks.cancel_scope.cancel()

    assert list(buckets.uploads(URI)) == []
    assert journal.open == set()


@pytest.mark.asyncio
async def test_file_is_sent_in_the_expected_requests(
    buckets: MemoryBuckets, large: PinnedFile
) -> None:
    """Tests that count requests rely on the fake making those that the real engine makes."""
    faults = Script()

    await store_with(buckets, faults).put_file(URI, large, when=ABSENT)

    verbs = [verb for moment, verb in faults.seen if moment == "before"]
    assert verbs == [Verb.BEGIN, Verb.PART, Verb.PART, Verb.PART, Verb.COMPLETE]
    held = buckets.look(URI)
    assert held is not None
    assert held.info.etag.endswith("-3")


@pytest.mark.asyncio
async def test_history_tells_every_visible_change_and_no_other(buckets: MemoryBuckets) -> None:
    """The effect check counts mutations; a refused or empty one is none."""
    store = store_with(buckets)
    copy = S3Uri("colony-shots", "copy.png")

    stored = await store.put(URI, b"x")
    with pytest.raises(PreconditionFailed):
        await store.put(URI, b"y", when=ABSENT)
    await store.copy(URI, copy)
    await store.delete(URI)
    await store.delete(URI)
    await store.delete_many("colony-shots", [URI.key, copy.key])

    crc = encode_crc(crc64nvme(b"x"))
    assert buckets.history() == (
        Mutation(Verb.PUT, URI, stored.etag, 1, crc),
        Mutation(Verb.COPY, copy, stored.etag, 1, crc),
        Mutation(Verb.DELETE, URI, stored.etag, 1, crc),
        Mutation(Verb.DELETE_MANY, copy, stored.etag, 1, crc),
    )


@pytest.mark.asyncio
async def test_options_are_kept_for_the_test_s_eyes(buckets: MemoryBuckets) -> None:
    """A daemon's storage class or encryption cannot be seen through the protocol."""
    options = PutOptions(storage_class="STANDARD_IA", encryption="aws:kms", tags={"a": "b"})

    await store_with(buckets).put(URI, b"x", options=options)

    held = buckets.look(URI)
    assert held is not None
    assert held.options == options


@pytest.mark.asyncio
async def test_store_without_checksums_gives_weaker_evidence(large: PinnedFile) -> None:
    """The daemons must behave on older stores, where the ETag or only the size speaks."""
    store = store_with(MemoryBuckets("colony-shots", answers_checksums=False))

    assert (await store.put(URI, b"x")).evidence is Evidence.ETAG_MD5
    assert (await store.put_file(URI, large)).evidence is Evidence.SIZE
    assert (await store.copy(URI, S3Uri("colony-shots", "b"))).evidence is Evidence.SIZE
    assert (await store.head(URI)).checksums.crc64nvme == ""
    assert (await store.capabilities("colony-shots")).checksums is False


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda store: store.put(URI, b"x", deadline=0.0), OutcomeUnknown),
        (lambda store: store.head(URI, deadline=0.0), Unreachable),
    ],
)
async def test_passed_deadline_ends_the_call(
    buckets: MemoryBuckets,
    call: Callable[[MemoryStore], Coroutine[None, None, object]],
    expected: type[ObjectError],
) -> None:
    """A write that was cut off may have happened, a read never matters."""

    class Silent(Faults):
        async def before(self, verb: Verb, uri: S3Uri) -> None:
            await anyio.sleep_forever()

    with anyio.fail_after(10), pytest.raises(expected, match="no answer within"):
        await call(store_with(buckets, Silent()))


@pytest.mark.asyncio
async def test_closed_store_refuses_and_keeps_the_buckets(buckets: MemoryBuckets) -> None:
    """A daemon that goes on after closing has a defect; another one may use the buckets."""
    store = store_with(buckets)
    await store.put(URI, b"x")

    await store.aclose()
    await store.aclose()

    with pytest.raises(Unreachable, match="closed"):
        await store.head(URI)
    assert (await store_with(buckets).head(URI)).size == 1


def test_part_of_an_ended_upload_is_refused(buckets: MemoryBuckets) -> None:
    """A sleeper that wakes after the sweep must not resurrect its upload."""
    upload = buckets.begin(URI)
    buckets.abort(upload)

    with pytest.raises(NotFound) as raised:
        buckets.part(upload, 1, b"x")

    assert raised.value.code == "NoSuchUpload"


@pytest.mark.parametrize("etags", [[], ["0" * 32], ["9dd4e461268c8034f5c8564e155c67a6"] * 2])
def test_complete_wants_every_part(buckets: MemoryBuckets, etags: list[str]) -> None:
    """A part that is lost must not shorten the object without a word."""
    upload = buckets.begin(URI)
    buckets.part(upload, 1, b"x")

    with pytest.raises(NotFound) as raised:
        buckets.complete(upload, etags)

    assert raised.value.code == "InvalidPart"
    assert buckets.look(URI) is None


def test_part_can_be_sent_again(buckets: MemoryBuckets) -> None:
    """A retried part takes the place of the first."""
    upload = buckets.begin(URI)
    buckets.part(upload, 1, b"first")

    info = buckets.complete(upload, [buckets.part(upload, 1, b"second")])

    assert buckets.get(info.uri)[1] == b"second"


def test_bucket_can_be_made_later_and_twice(buckets: MemoryBuckets) -> None:
    """A daemon that held files back for a missing bucket must see it come."""
    buckets.put(URI, b"x")

    buckets.create("colony-stats")
    buckets.create("colony-shots")

    assert buckets.capabilities("colony-stats").region
    assert buckets.head(URI).size == 1


def test_span_behind_the_end_is_refused(buckets: MemoryBuckets) -> None:
    """S3 answers 416."""
    buckets.put(URI, b"0123456789")

    with pytest.raises(PreconditionFailed) as raised:
        buckets.get(URI, Span(10, 11))

    assert raised.value.answer.status == 416


@pytest.mark.parametrize(("start", "stop"), [(5, 5), (5, 4), (-1, 3)])
def test_span_that_holds_nothing_cannot_be_made(start: int, stop: int) -> None:
    """S3 would ignore it and answer with the whole object."""
    with pytest.raises(ValueError, match="is no range of bytes"):
        Span(start, stop)


@pytest.mark.asyncio
async def test_buckets_can_live_behind_a_pipe(buckets: MemoryBuckets) -> None:
    """Thousands of kills are affordable only because the state lives outside the victim."""
    here, there = multiprocessing.Pipe()
    parent = threading.Thread(target=serve, args=(buckets, here))
    parent.start()
    store = MemoryStore(PipedBuckets.over(there))

    await store.put(URI, b"from the child", when=ABSENT)
    with pytest.raises(PreconditionFailed) as raised:
        await store.put(URI, b"again", when=ABSENT)
    there.close()
    parent.join(10)
    here.close()

    assert not parent.is_alive()
    assert raised.value.uri == URI
    assert raised.value.answer.status == 412
    assert str(raised.value) == "s3://colony-shots/a.png: PreconditionFailed a condition is not met"
    assert buckets.get(URI)[1] == b"from the child"
