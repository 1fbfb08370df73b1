import os
from collections.abc import Callable

import anyio
import pytest

from shared.errors import SuiteError
from shared.s3.errors import (
    PreconditionFailed,
    SourceChanged,
    Unreachable,
)
from shared.s3.pinned import crc64nvme
from shared.s3.store import (
    ABSENT,
    OpenUpload,
    PutOptions,
)
from shared.s3.wire import encode_crc
from tests.contract.engines import Engine
from tests.contract.probe import (
    RecordingJournal,
    SourceFile,
    assert_nothing_left,
    known_checksums,
    read,
    uploads_of,
    uri,
)

BOUND_SECONDS = 60.0


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "size_of",
    [
        pytest.param(lambda e: 0, id="empty"),
        pytest.param(lambda e: 1000, id="small"),
        pytest.param(lambda e: e.threshold - 1, id="one byte below the threshold"),
        pytest.param(lambda e: e.threshold, id="exactly the threshold"),
        pytest.param(lambda e: 2 * e.part_size + 123, id="several parts"),
        pytest.param(lambda e: 2 * e.part_size, id="whole parts"),
    ],
)
async def test_file_arrives_with_evidence(
    engine: Engine,
    journal: RecordingJournal,
    make_source: Callable[[int], SourceFile],
    size_of: Callable[[Engine], int],
) -> None:
    """Whatever its size, the answer proves the very bytes, as one checksum over all parts."""
    source = make_source(size_of(engine))

    stored = await engine.store.put_file(uri("f"), source.pinned, when=ABSENT)

    assert stored.size == len(source.body)
    assert stored.evidence >= engine.least_evidence
    assert stored.checksums.crc64nvme == encode_crc(crc64nvme(source.body))
    info = await engine.store.head(uri("f"))
    assert info.checksums.crc64nvme in known_checksums(engine, stored)
    assert (info.size, info.etag) == (stored.size, stored.etag)
    assert await read(engine, uri("f")) == source.body
    assert await uploads_of(engine) == []
    assert journal.left_open() == set()


@pytest.mark.asyncio
async def test_large_file_keeps_its_options(
    engine: Engine, make_source: Callable[[int], SourceFile]
) -> None:
    """What is stored beside the bytes must not depend on how they travelled."""
    source = make_source(engine.threshold + 1)

    await engine.store.put_file(
        uri("f"), source.pinned, options=PutOptions(metadata={"producer": "colony-1"})
    )

    assert (await engine.store.head(uri("f"))).metadata == {"producer": "colony-1"}


@pytest.mark.asyncio
async def test_precondition_holds_for_a_large_file(
    engine: Engine, journal: RecordingJournal, make_source: Callable[[int], SourceFile]
) -> None:
    """Multipart must not be a way around the rule that nothing is overwritten silently."""
    await engine.store.put(uri("f"), b"first")
    source = make_source(engine.threshold + 1)

    with pytest.raises(PreconditionFailed):
        await engine.store.put_file(uri("f"), source.pinned, when=ABSENT)

    assert await read(engine, uri("f")) == b"first"
    assert await uploads_of(engine) == []
    assert journal.left_open() == set()


@pytest.mark.asyncio
async def test_journal_knows_an_upload_before_its_first_part(
    engine: Engine, journal: RecordingJournal, make_source: Callable[[int], SourceFile]
) -> None:
    """After a crash the journal is the only list of what to abort."""
    source = make_source(engine.threshold + 1)

    await engine.store.put_file(uri("f"), source.pinned)

    (first, opened), (last, closed) = journal.told
    assert (first, last) == ("opened", "closed")
    assert opened.uri == uri("f")
    assert opened.upload_id == closed.upload_id != ""


@pytest.mark.asyncio
async def test_small_file_needs_no_journal(
    engine: Engine, journal: RecordingJournal, make_source: Callable[[int], SourceFile]
) -> None:
    """A record on disk for each small file would cost more than the upload."""
    await engine.store.put_file(uri("f"), make_source(10).pinned)

    assert journal.told == []


def truncate(source: SourceFile) -> None:
    """Cut off the last byte."""
    os.truncate(source.path, len(source.body) - 1)


def empty(source: SourceFile) -> None:
    """Cut off everything."""
    os.truncate(source.path, 0)


def grow(source: SourceFile) -> None:
    """Append a byte."""
    with source.path.open("ab") as file:
        file.write(b"!")


def rewrite(source: SourceFile) -> None:
    """Write other bytes of the same length over it."""
    with source.path.open("r+b") as file:
        file.write(b"#" * len(source.body))
    before = source.pinned.identity.mtime_ns
    os.utime(source.path, ns=(before + 1, before + 1))


CHANGES = pytest.mark.parametrize("change", [truncate, empty, grow, rewrite])


@pytest.mark.asyncio
@CHANGES
@pytest.mark.parametrize("large", [False, True])
async def test_file_that_changed_since_it_was_found_is_not_stored(
    engine: Engine,
    journal: RecordingJournal,
    make_source: Callable[[int], SourceFile],
    change: Callable[[SourceFile], None],
    *,
    large: bool,
) -> None:
    """Half of a file, or two halves of different ones, must never be visible under its key."""
    source = make_source(engine.threshold + 1 if large else 1000)
    change(source)

    with pytest.raises(SourceChanged):
        await engine.store.put_file(uri("f"), source.pinned)

    await assert_nothing_left(engine, journal)


@pytest.mark.asyncio
@CHANGES
async def test_file_that_changes_under_way_is_not_stored(
    engine: Engine,
    journal: RecordingJournal,
    make_source: Callable[[int], SourceFile],
    change: Callable[[SourceFile], None],
) -> None:
    """A slow writer goes on while the parts are sent."""
    source = make_source(engine.part_size + engine.threshold)

    async def write_on() -> None:
        change(source)

    journal.on_opened = write_on

    with pytest.raises(SourceChanged):
        await engine.store.put_file(uri("f"), source.pinned)

    await assert_nothing_left(engine, journal)


@pytest.mark.asyncio
async def test_cancelled_upload_leaves_nothing(
    engine: Engine, journal: RecordingJournal, make_source: Callable[[int], SourceFile]
) -> None:
    """SIGTERM in the middle of a large file: its parts would be paid for, month after month."""
    source = make_source(engine.part_size + engine.threshold)

    with anyio.CancelScope() as scope:

        async def stop() -> None:
            scope.cancel()

        journal.on_opened = stop
        await engine.store.put_file(uri("f"), source.pinned)

    assert scope.cancelled_caught
    await assert_nothing_left(engine, journal)


@pytest.mark.asyncio
async def test_upload_that_is_cancelled_while_it_is_recorded_leaves_nothing(
    engine: Engine, journal: RecordingJournal, make_source: Callable[[int], SourceFile]
) -> None:
    """The record may be on disk or not; a deadline or a signal must not depend on luck."""
    source = make_source(engine.part_size + engine.threshold)

    with anyio.CancelScope() as scope:

        async def stop() -> None:
            scope.cancel()
            await anyio.sleep_forever()

        journal.on_opened = stop
        await engine.store.put_file(uri("f"), source.pinned)

    assert scope.cancelled_caught
    await assert_nothing_left(engine, journal)


@pytest.mark.asyncio
async def test_upload_that_cannot_be_recorded_is_not_begun(
    engine: Engine, journal: RecordingJournal, make_source: Callable[[int], SourceFile]
) -> None:
    """Parts without a record on disk would be orphans after a crash, so a full disk stops them."""
    source = make_source(engine.threshold + 1)

    async def disk_full() -> None:
        raise OSError(28, "no space left on device")

    journal.on_opened = disk_full

    with pytest.raises(Unreachable, match="no space left"):
        await engine.store.put_file(uri("f"), source.pinned)

    await assert_nothing_left(engine, journal)


@pytest.mark.asyncio
async def test_open_upload_is_listed_and_can_be_aborted(
    engine: Engine, journal: RecordingJournal, make_source: Callable[[int], SourceFile]
) -> None:
    """The sweep at the next start works from an id alone, and may find its work done already."""
    source = make_source(engine.part_size + engine.threshold)
    seen: list[OpenUpload] = []

    async def sweep() -> None:
        if seen:
            return
        seen.extend(await uploads_of(engine))
        for upload in seen:
            await engine.store.abort(upload)
            await engine.store.abort(upload)

    journal.on_opened = sweep

    with pytest.raises(SuiteError):
        await engine.store.put_file(uri("f"), source.pinned)

    assert [upload.uri for upload in seen] == [uri("f")]
    await assert_nothing_left(engine, journal)


@pytest.mark.asyncio
async def test_deadline_that_is_far_away_changes_nothing(
    engine: Engine, make_source: Callable[[int], SourceFile]
) -> None:
    """Every daemon passes one."""
    source = make_source(engine.threshold + 1)

    await engine.store.put(uri("a"), b"x", deadline=BOUND_SECONDS)
    await engine.store.put_file(uri("f"), source.pinned, deadline=BOUND_SECONDS)

    assert (await engine.store.head(uri("a"), deadline=BOUND_SECONDS)).size == 1
    async with engine.store.get(uri("f"), deadline=BOUND_SECONDS) as download:
        assert b"".join([piece async for piece in download]) == source.body
