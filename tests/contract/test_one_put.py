import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import pytest
import pytest_asyncio
from anyio.abc import TaskGroup

from shared.aws import body, clients
from shared.aws.clients import ClientSettings, open_clients
from shared.retry import RetryPolicy
from shared.s3 import streamed
from shared.s3.client import EngineSettings, S3Client
from shared.s3.errors import AccessDenied, PreconditionFailed, SourceChanged
from shared.s3.pinned import Piece, crc64nvme, read_into
from shared.s3.store import ABSENT, Evidence, PinnedFile
from shared.s3.streamed import WHOLE_BYTES_MAX
from shared.s3.wire import encode_crc
from tests.contract.engines import AWS_REGION, BUCKET, client_on_moto, moto_url
from tests.contract.probe import RecordingJournal, SourceFile, uri
from tests.support.gate import Gate
from tests.support.strict_s3.access import ACCESS_KEY, SECRET_KEY
from tests.support.strict_s3.behaviour import AWS, LESSER, Behaviour
from tests.support.strict_s3.faults import Do, Fail, Fault, Reset, Stage, Wait
from tests.support.strict_s3.history import MutationKind
from tests.support.strict_s3.server import StrictS3

LARGE = WHOLE_BYTES_MAX + 1
UNTAKEN = 24 * 1024 * 1024
"""More than the buffers of a connection hold: the client is still reading the file when the server
has seen no more than the head of the request."""
MakeSource = Callable[[int], SourceFile]


@dataclass
class Ground:
    """An engine that sends no parts, on the strict S3."""

    s3: StrictS3
    store: S3Client
    progress: list[int]

    def changes(self) -> list[MutationKind]:
        """Return how the bucket was changed, in order; parts would show as a completed upload."""
        return [mutation.kind for mutation in self.s3.mutations(BUCKET)]

    def held(self) -> dict[str, bytes]:
        """Return what is in the bucket."""
        return self.s3.objects(BUCKET)


@asynccontextmanager
async def one_put_client(url: str, progress: list[int]) -> AsyncIterator[S3Client]:
    """Open one without a journal, as the ingester does."""
    settings = EngineSettings(
        parts=False, policy=RetryPolicy(base_seconds=0.0), progress=lambda: progress.append(1)
    )
    async with open_clients(ClientSettings(AWS_REGION, endpoint_url=url)) as pool:
        yield S3Client(pool, settings, None)


@pytest_asyncio.fixture
async def ground(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ground]:
    """Open it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    progress: list[int] = []
    with StrictS3([BUCKET]) as s3:
        async with one_put_client(s3.url, progress) as store:
            yield Ground(s3, store, progress)


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [0, WHOLE_BYTES_MAX, LARGE, 2 * WHOLE_BYTES_MAX + 123])
async def test_file_of_any_size_is_one_put(
    ground: Ground, make_source: MakeSource, size: int
) -> None:
    """A role that may neither list nor abort uploads could never clean up after parts."""
    source = make_source(size)

    stored = await ground.store.put_file(uri("f"), source.pinned, when=ABSENT)

    assert ground.changes() == [MutationKind.PUT]
    assert ground.held() == {"f": source.body}
    assert stored.evidence is Evidence.ANSWERED
    assert stored.checksums.crc64nvme == encode_crc(crc64nvme(source.body))
    assert stored.etag == hashlib.md5(source.body, usedforsecurity=False).hexdigest()


@pytest.mark.asyncio
async def test_somebody_elses_reading_of_the_api_takes_it(
    journal: RecordingJournal, make_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moto answers no checksum: the ETag proves the bytes, which one of parts could not."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    source = make_source(LARGE)

    async with client_on_moto(journal) as engine, one_put_client(moto_url(), []) as store:
        stored = await store.put_file(uri("f"), source.pinned)
        info = await engine.store.head(uri("f"))

    assert stored.evidence is Evidence.ETAG_MD5
    assert (info.size, info.etag) == (LARGE, stored.etag)


@pytest.mark.asyncio
async def test_store_of_2015_takes_it(ground: Ground, make_source: MakeSource) -> None:
    """It knows no checksums, so the MD5 is taken of a file that is nowhere in memory."""
    ground.s3.behaviour = LESSER
    source = make_source(LARGE)

    stored = await ground.store.put_file(uri("f"), source.pinned)

    assert stored.evidence is Evidence.ETAG_MD5
    assert ground.held() == {"f": source.body}


@pytest.mark.asyncio
async def test_store_that_refuses_the_checksum_is_given_an_md5(
    ground: Ground, make_source: MakeSource
) -> None:
    """Without either, nothing would protect the bytes on their way."""
    refusal = ground.s3.faults.add(Fault(Fail("NotImplemented"), "PutObject", nth=1))
    source = make_source(LARGE)

    await ground.store.put_file(uri("f"), source.pinned)

    assert ground.s3.faults.struck(refusal) == 1
    assert ground.held() == {"f": source.body}


@pytest.mark.asyncio
async def test_signed_body_is_the_one_that_is_sent(
    ground: Ground, make_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over plain HTTP to another machine the SDK reads the file itself, to sign it."""
    monkeypatch.setattr(clients, "_LOOPBACK", frozenset())
    source = make_source(LARGE)

    async with one_put_client(ground.s3.url, []) as store:
        await store.put_file(uri("f"), source.pinned)

    assert ground.held() == {"f": source.body}


@pytest.mark.asyncio
async def test_precondition_holds(ground: Ground, make_source: MakeSource) -> None:
    """Nothing that appeared meanwhile is overwritten."""
    await ground.store.put(uri("f"), b"theirs")

    with pytest.raises(PreconditionFailed):
        await ground.store.put_file(uri("f"), make_source(LARGE).pinned, when=ABSENT)

    assert ground.held() == {"f": b"theirs"}


@pytest.mark.asyncio
async def test_refusal_that_comes_before_the_body_is_read_is_heard(
    ground: Ground, make_source: MakeSource
) -> None:
    """S3 answers as soon as it knows, and hangs up on whoever goes on sending."""
    ground.s3.access.deny("s3:PutObject")

    with pytest.raises(AccessDenied):
        await ground.store.put_file(uri("f"), make_source(UNTAKEN).pinned)

    assert ground.held() == {}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "trouble",
    [
        Fail("SlowDown"),
        Fail("InternalError", stage=Stage.BEFORE_COMMIT),
        Reset(Stage.ARRIVAL),
        Reset(Stage.BEFORE_COMMIT),
    ],
)
async def test_what_was_not_taken_is_sent_again_from_the_start(
    ground: Ground, make_source: MakeSource, trouble: Fail | Reset
) -> None:
    """A body that goes on where the last attempt stopped would be another file."""
    ground.s3.faults.add(Fault(trouble, "PutObject", nth=1))
    source = make_source(LARGE)

    stored = await ground.store.put_file(uri("f"), source.pinned, when=ABSENT)

    assert ground.held() == {"f": source.body}
    assert stored.attempts == 2


@pytest.mark.asyncio
async def test_lost_answer_is_not_sent_again(ground: Ground, make_source: MakeSource) -> None:
    """Under a precondition the second sending would meet the first and look like somebody else."""
    ground.s3.faults.add(Fault(Reset(Stage.AFTER_COMMIT), "PutObject", nth=1))
    source = make_source(LARGE)

    stored = await ground.store.put_file(uri("f"), source.pinned, when=ABSENT)

    assert stored.evidence is Evidence.READ_BACK
    assert stored.attempts == 1


@asynccontextmanager
async def bounded() -> AsyncIterator[TaskGroup]:
    """Run tasks for a while at most."""
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            yield tasks


def truncate(source: SourceFile) -> None:
    """Cut off the last byte."""
    os.truncate(source.path, len(source.body) - 1)


def grow(source: SourceFile) -> None:
    """Append a byte."""
    with source.path.open("ab") as file:
        file.write(b"!")


def rewrite(source: SourceFile) -> None:
    """Write other bytes of the same length over the last of them."""
    with source.path.open("r+b") as file:
        file.seek(-1000, os.SEEK_END)
        file.write(b"#" * 1000)


def rewrite_unseen(source: SourceFile) -> None:
    """Do the same on a disk that keeps no times."""
    rewrite(source)
    before = source.pinned.identity.mtime_ns
    os.utime(source.path, ns=(before, before))


CHANGES = pytest.mark.parametrize("change", [truncate, grow, rewrite])


@pytest.mark.asyncio
@CHANGES
async def test_file_that_changed_since_it_was_found_is_not_begun(
    ground: Ground, make_source: MakeSource, change: Callable[[SourceFile], None]
) -> None:
    """It is looked at before a hundred megabytes are sent in vain."""
    source = make_source(LARGE)
    change(source)

    with pytest.raises(SourceChanged):
        await ground.store.put_file(uri("f"), source.pinned)

    assert ground.s3.count("PutObject") == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("change", [truncate, grow, rewrite, rewrite_unseen])
@pytest.mark.parametrize("behaviour", [AWS, LESSER])
async def test_file_that_changes_while_it_is_sent_is_never_under_its_key(
    ground: Ground,
    make_source: MakeSource,
    change: Callable[[SourceFile], None],
    behaviour: Behaviour,
) -> None:
    """Also in a store that looks at no checksum: the last piece is not handed over."""
    ground.s3.behaviour = behaviour
    source = make_source(UNTAKEN)
    pinned = source.pinned
    if change is rewrite_unseen:
        pinned = PinnedFile(pinned.descriptor, pinned.identity)
    at_head = Do(lambda _call: change(source), Stage.ARRIVAL)
    struck = ground.s3.faults.add(Fault(at_head, "PutObject", nth=1))

    with pytest.raises(SourceChanged):
        await ground.store.put_file(uri("f"), pinned)

    assert ground.s3.faults.struck(struck) == 1
    assert ground.held() == {}


@pytest.mark.asyncio
async def test_disk_that_fails_is_not_taken_for_the_network(
    ground: Ground, make_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sending again would not help; somebody has to look at the disk."""
    reads = 0

    def failing(source: PinnedFile, buffer: bytearray, offset: int) -> Piece:
        nonlocal reads
        reads += 1
        if reads > LARGE // (1024 * 1024) + 3:
            raise OSError(5, "Input/output error")
        return read_into(source, buffer, offset)

    monkeypatch.setattr(streamed, "read_into", failing)

    with pytest.raises(OSError, match="Input/output error") as failure:
        await ground.store.put_file(uri("f"), make_source(LARGE).pinned)

    assert type(failure.value) is OSError
    assert ground.held() == {}


@pytest.mark.asyncio
async def test_connection_that_stalls_is_replaced(
    ground: Ground, make_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is given hours, but a connection that takes nothing for a minute is dead."""
    gate = Gate()
    monkeypatch.setattr(body, "_STALL_SECONDS", 1.0)
    ground.s3.faults.add(Fault(Wait(gate), "PutObject", nth=1))
    source = make_source(UNTAKEN)

    stored = await ground.store.put_file(uri("f"), source.pinned)

    gate.open()
    assert stored.attempts == 2
    assert ground.held() == {"f": source.body}


@pytest.mark.asyncio
async def test_memory_is_that_of_two_pieces_and_progress_is_told(
    ground: Ground, make_source: MakeSource
) -> None:
    """Eight uploads of a gigabyte each must not need eight gigabytes, nor look like a hang."""
    gate = Gate()
    ground.s3.faults.add(Fault(Wait(gate), "PutObject"))
    source = make_source(UNTAKEN)

    async with bounded() as tasks:
        tasks.start_soon(ground.store.put_file, uri("f"), source.pinned)
        await gate.reached()
        held = ground.store._memory.used
        gate.open()

    assert held == 2 * 1024 * 1024
    assert len(ground.progress) > UNTAKEN // (1024 * 1024)
    assert ground.held() == {"f": source.body}


@pytest.mark.asyncio
async def test_cancelled_upload_leaves_nothing(ground: Ground, make_source: MakeSource) -> None:
    """SIGTERM in the middle of a large file."""
    gate = Gate()
    ground.s3.faults.add(Fault(Wait(gate), "PutObject"))

    async with bounded() as tasks:
        tasks.start_soon(ground.store.put_file, uri("f"), make_source(UNTAKEN).pinned)
        await gate.reached()
        tasks.cancel_scope.cancel()

    gate.open()
    assert ground.store._memory.used == 0
    assert ground.held() == {}
