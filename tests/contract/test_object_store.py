import anyio
import pytest

from shared.errors import PermanentError, SuiteError
from shared.s3.errors import (
    BucketMissing,
    Conflict,
    InvalidKey,
    NotFound,
    PreconditionFailed,
)
from shared.s3.pinned import crc64nvme
from shared.s3.store import (
    ABSENT,
    Matches,
    PutOptions,
    Span,
)
from shared.s3.uri import S3Uri
from shared.s3.wire import encode_crc
from tests.contract.engines import BUCKET, MISSING_BUCKET, Engine
from tests.contract.probe import known_checksums, list_keys, read, uri

ODD_KEYS = (
    "a//b",
    "/a",
    "a/",
    ".",
    "..",
    "a/../b",
    "./a",
    "a/./b",
    "-rf",
    " leading and trailing ",
    "two\nlines",
    "tab\tand\rreturn",
    "a%2Fb",
    "a+b #c?d&e=f;g",
    "quote'\"<back>\\slash",
    "\N{FIRE}\N{CAMERA WITH FLASH}.png",
    "\N{HEBREW LETTER SHIN}\N{HEBREW LETTER LAMED}/a\N{RIGHT-TO-LEFT OVERRIDE}b",
    "caf\N{LATIN SMALL LETTER E WITH ACUTE}",
    "cafe\N{COMBINING ACUTE ACCENT}",
    "x" * 1024,
    "\N{LATIN SMALL LETTER E WITH ACUTE}" * 512,
)


@pytest.mark.asyncio
@pytest.mark.parametrize("key", ODD_KEYS)
async def test_odd_key_arrives_exactly_or_is_refused(engine: Engine, key: str) -> None:
    """A key that is quietly rewritten is an object nobody finds, or one that overwrites another."""
    if "\n" in key and not engine.line_feeds_in_keys:
        pytest.skip("the server does not find such a key")
    try:
        await engine.store.put(uri(key), b"odd")
    except InvalidKey:
        assert await list_keys(engine) == []
        return

    assert await list_keys(engine) == [key]
    assert (await engine.store.head(uri(key))).uri == uri(key)
    assert await read(engine, uri(key)) == b"odd"
    await engine.store.delete(uri(key))
    assert await list_keys(engine) == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "key", ["", "x" * 1025, "\N{LATIN SMALL LETTER E WITH ACUTE}" * 513, "\ud800"]
)
async def test_impossible_key_is_refused(engine: Engine, key: str) -> None:
    """The caller parks such a file; a message of an SDK would tell nobody why."""
    with pytest.raises(InvalidKey):
        await engine.store.put(uri(key), b"never")
    with pytest.raises(InvalidKey):
        await engine.store.head(uri(key))


@pytest.mark.asyncio
async def test_composed_and_decomposed_names_are_two_keys(engine: Engine) -> None:
    """A Mac writes the one and Linux the other; normalising would lose a file."""
    composed = uri("caf\N{LATIN SMALL LETTER E WITH ACUTE}")
    decomposed = uri("cafe\N{COMBINING ACUTE ACCENT}")

    await engine.store.put(composed, b"one", when=ABSENT)
    await engine.store.put(decomposed, b"two", when=ABSENT)

    assert await read(engine, composed) == b"one"
    assert await read(engine, decomposed) == b"two"


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [b"", b"x", bytes(range(256)) * 5000])
async def test_put_answers_with_evidence(engine: Engine, body: bytes) -> None:
    """The delete of the local file is decided from this evidence alone."""
    stored = await engine.store.put(uri("a.bin"), body)

    assert stored.uri == uri("a.bin")
    assert stored.size == len(body)
    assert stored.evidence >= engine.least_evidence
    assert stored.checksums.crc64nvme == encode_crc(crc64nvme(body))
    assert stored.attempts == 1
    assert await read(engine, uri("a.bin")) == body


@pytest.mark.asyncio
async def test_head_describes_what_was_put(engine: Engine) -> None:
    """Files found by the first scan are compared by what HEAD says."""
    options = PutOptions(content_type="image/png", metadata={"producer": "colony-1"})

    stored = await engine.store.put(uri("a.png"), b"picture", options=options)

    info = await engine.store.head(uri("a.png"))
    assert (info.uri, info.size, info.etag) == (uri("a.png"), 7, stored.etag)
    assert info.checksums.crc64nvme in known_checksums(engine, stored)
    assert info.metadata == {"producer": "colony-1"}
    assert info.modified_at.tzinfo is not None
    assert '"' not in info.etag


@pytest.mark.asyncio
async def test_missing_object_is_not_found(engine: Engine) -> None:
    """Absent is an ordinary answer and must not look like a failure of the service."""
    with pytest.raises(NotFound):
        await engine.store.head(uri("missing"))
    with pytest.raises(NotFound):
        await read(engine, uri("missing"))
    with pytest.raises(NotFound):
        await engine.store.copy(uri("missing"), uri("copy"))


@pytest.mark.asyncio
async def test_missing_bucket_is_told_apart_from_a_missing_key(engine: Engine) -> None:
    """One error per bucket instead of one per file needs the difference."""
    nowhere = S3Uri(MISSING_BUCKET, "a.png")

    with pytest.raises(BucketMissing):
        await engine.store.put(nowhere, b"x")
    with pytest.raises(BucketMissing):
        await read(engine, nowhere)
    with pytest.raises(BucketMissing):
        async for _ in engine.store.pages(S3Uri(MISSING_BUCKET)):
            pass
    with pytest.raises(BucketMissing):
        await engine.store.capabilities(MISSING_BUCKET)


@pytest.mark.asyncio
async def test_error_says_what_and_where(engine: Engine) -> None:
    """A log line needs nothing beyond the error."""
    await engine.store.put(uri("a"), b"x")

    with pytest.raises(PreconditionFailed) as raised:
        await engine.store.put(uri("a"), b"y", when=ABSENT)

    assert raised.value.uri == uri("a")
    assert raised.value.answer.status == 412
    assert raised.value.code == "PreconditionFailed"
    assert raised.value.answer.attempts == 1


@pytest.mark.asyncio
async def test_absent_never_overwrites(engine: Engine) -> None:
    """Different content under the key must survive whoever comes second."""
    await engine.store.put(uri("a"), b"first", when=ABSENT)

    with pytest.raises(PreconditionFailed):
        await engine.store.put(uri("a"), b"second", when=ABSENT)

    assert await read(engine, uri("a")) == b"first"


@pytest.mark.asyncio
async def test_matches_replaces_only_what_was_seen(engine: Engine) -> None:
    """A replacement decided from an old look must not hit a newer object."""
    seen = await engine.store.put(uri("a"), b"first")

    replaced = await engine.store.put(uri("a"), b"second", when=Matches(seen.etag))
    with pytest.raises(PreconditionFailed):
        await engine.store.put(uri("a"), b"third", when=Matches(seen.etag))

    assert await read(engine, uri("a")) == b"second"
    assert (await engine.store.head(uri("a"))).etag == replaced.etag


@pytest.mark.asyncio
async def test_matches_never_creates(engine: Engine) -> None:
    """An object that was deleted meanwhile must not come back by a replacement."""
    with pytest.raises((NotFound, PreconditionFailed)):
        await engine.store.put(uri("a"), b"x", when=Matches("0" * 32))

    assert await list_keys(engine) == []


@pytest.mark.asyncio
async def test_one_of_many_concurrent_creates_wins(engine: Engine) -> None:
    """A lease is such an object: two winners would be two owners."""
    won: list[bytes] = []
    lost: list[SuiteError] = []

    async def create(body: bytes) -> None:
        try:
            await engine.store.put(uri("lease"), body, when=ABSENT)
        except (PreconditionFailed, Conflict) as error:
            lost.append(error)
        else:
            won.append(body)

    async with anyio.create_task_group() as tasks:
        for number in range(16):
            tasks.start_soon(create, str(number).encode())

    assert (len(won), len(lost)) == (1, 15)
    assert await read(engine, uri("lease")) == won[0]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (Span(0, 1), b"0"),
        (Span(2, 5), b"234"),
        (Span(7), b"789"),
        (Span(0), b"0123456789"),
        (Span(8, 100), b"89"),
    ],
)
async def test_span_yields_exactly_its_bytes(engine: Engine, span: Span, expected: bytes) -> None:
    """A resumed download that is off by one is a corrupt file."""
    await engine.store.put(uri("a"), b"0123456789")

    async with engine.store.get(uri("a"), span=span) as download:
        got = b"".join([piece async for piece in download])

    assert got == expected
    assert download.info.size == 10


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [0, 10, 3 * 1024 * 1024])
async def test_read_shows_the_checksum_of_a_whole_object(engine: Engine, size: int) -> None:
    """A download without a promise from elsewhere is compared with S3's own checksum."""
    body = b"0123456789" * (size // 10)
    stored = await engine.store.put(uri("a"), body)

    async with engine.store.get(uri("a")) as download:
        got = b"".join([piece async for piece in download])

    assert got == body
    assert download.info.checksums.crc64nvme in known_checksums(engine, stored)


@pytest.mark.asyncio
async def test_read_of_a_span_shows_no_checksum(engine: Engine) -> None:
    """The checksum of the whole object beside some of its bytes would refuse a good download."""
    await engine.store.put(uri("a"), b"0123456789")

    async with engine.store.get(uri("a"), span=Span(2, 5)) as download:
        assert b"".join([piece async for piece in download]) == b"234"

    assert download.info.checksums.crc64nvme == ""


@pytest.mark.asyncio
async def test_span_behind_the_end_is_refused(engine: Engine) -> None:
    """An empty answer would look like the end of a good download."""
    await engine.store.put(uri("a"), b"0123456789")

    with pytest.raises(PermanentError):
        await read(engine, uri("a"), Span(10))


@pytest.mark.asyncio
async def test_read_refuses_another_object_than_expected(engine: Engine) -> None:
    """Ranges of two versions must not be put together into one file."""
    stored = await engine.store.put(uri("a"), b"first")

    async with engine.store.get(uri("a"), if_match=stored.etag) as download:
        assert b"".join([piece async for piece in download]) == b"first"
    await engine.store.put(uri("a"), b"second")
    with pytest.raises(PreconditionFailed):
        async with engine.store.get(uri("a"), if_match=stored.etag):
            pass


@pytest.mark.asyncio
async def test_large_object_comes_in_bounded_pieces(engine: Engine) -> None:
    """Memory must not grow with the object."""
    body = bytes(3 * 1024 * 1024 + 1)
    await engine.store.put(uri("a"), body)

    async with engine.store.get(uri("a")) as download:
        sizes = [len(piece) async for piece in download]

    assert sum(sizes) == len(body)
    assert max(sizes) <= 1024 * 1024


@pytest.mark.asyncio
async def test_download_may_be_left_early(engine: Engine) -> None:
    """A reader that has seen enough must not spoil the connection for the next one."""
    await engine.store.put(uri("a"), bytes(3 * 1024 * 1024))

    async with engine.store.get(uri("a")) as download:
        async for _ in download:
            break

    assert await read(engine, uri("a"), Span(0, 1)) == b"\0"


@pytest.mark.asyncio
async def test_capabilities_are_learned_from_answers(engine: Engine) -> None:
    """Stores differ; what one can do must show in what it answered."""
    await engine.store.put(uri("a"), b"x", when=ABSENT)

    known = await engine.store.capabilities(BUCKET)

    assert known.checksums is not False
    assert known.conditional_put is not False
    assert known.conditional_complete is not False
