import pytest

from shared.s3.errors import (
    NotFound,
    PreconditionFailed,
)
from shared.s3.store import (
    ABSENT,
    Evidence,
    Matches,
    PutOptions,
    Stored,
)
from shared.s3.uri import S3Uri
from tests.contract.engines import BUCKET, OTHER_BUCKET, Engine
from tests.contract.probe import list_keys, read, read_pages, uri


@pytest.mark.asyncio
async def test_listing_is_complete_and_in_key_order(engine: Engine) -> None:
    """Listings are merged as sorted streams: one key out of order would be taken for absent."""
    keys = [f"shots/{number:04d}.png" for number in range(2500)] + ["shots", "stats/a", "z"]
    engine.seed(keys)

    pages = await read_pages(engine, "shots/")

    found = [item.uri.key for page in pages for item in page.objects]
    assert found == keys[:2500]
    assert len(pages) >= 3
    assert await list_keys(engine, "shots/", after="shots/2400.png") == keys[2401:2500]
    assert await list_keys(engine, after="shots/2499.png") == ["stats/a", "z"]


@pytest.mark.asyncio
async def test_key_order_is_that_of_the_bytes(engine: Engine) -> None:
    """UTF-16 order differs from UTF-8 beyond the basic plane, as does every locale's."""
    keys = [
        "A",
        "a",
        "a!",
        "a/b",
        "b",
        "\N{LATIN SMALL LETTER E WITH ACUTE}",
        "\uffee",
        "\U00010000",
    ]
    engine.seed(list(reversed(keys)))

    assert await list_keys(engine) == sorted(keys, key=str.encode)


@pytest.mark.asyncio
async def test_listing_shows_size_and_etag(engine: Engine) -> None:
    """A listing replaces a HEAD for each file where it can decide."""
    stored = await engine.store.put(uri("a"), b"1234")

    ((info,),) = [page.objects for page in await read_pages(engine)]

    assert (info.uri, info.size, info.etag) == (uri("a"), 4, stored.etag)


@pytest.mark.asyncio
async def test_empty_listing_ends(engine: Engine) -> None:
    """Nothing there is an answer, and the loop over pages must not spin on it."""
    assert await list_keys(engine, "nothing/") == []


@pytest.mark.asyncio
async def test_delimiter_groups_keys(engine: Engine) -> None:
    """Finding the jobs below a prefix must not read every file of every job."""
    engine.seed(["a", "job/1/x", "job/1/y", "job/2/x", "job/cid.txt", "job/3"])

    (page,) = await read_pages(engine, "job/", delimiter="/")

    assert [item.uri.key for item in page.objects] == ["job/3", "job/cid.txt"]
    assert list(page.prefixes) == ["job/1/", "job/2/"]


@pytest.mark.asyncio
async def test_delimiter_works_with_after(engine: Engine) -> None:
    """A listing of jobs that is resumed must neither repeat nor skip one."""
    engine.seed(["b/1", "d/1", "d/2", "f", "h/1"])

    pages = await read_pages(engine, after="c", delimiter="/")

    assert [prefix for page in pages for prefix in page.prefixes] == ["d/", "h/"]
    assert [item.uri.key for page in pages for item in page.objects] == ["f"]


@pytest.mark.asyncio
async def test_groups_continue_over_pages(engine: Engine) -> None:
    """More than a thousand jobs: a group at a page's edge is listed once."""
    engine.seed([f"{number:04d}/{name}" for number in range(1100) for name in "ab"])

    pages = await read_pages(engine, delimiter="/")

    groups = [prefix for page in pages for prefix in page.prefixes]
    assert groups == [f"{number:04d}/" for number in range(1100)]


@pytest.mark.asyncio
async def test_delete_is_repeatable(engine: Engine) -> None:
    """After a crash a step is done again."""
    await engine.store.put(uri("a"), b"x")

    await engine.store.delete(uri("a"))
    await engine.store.delete(uri("a"))

    with pytest.raises(NotFound):
        await engine.store.head(uri("a"))


@pytest.mark.asyncio
async def test_delete_spares_another_object_than_expected(engine: Engine) -> None:
    """Cleaning up after an old look must not remove what somebody wrote since."""
    old = await engine.store.put(uri("a"), b"old")
    new = await engine.store.put(uri("a"), b"new")

    with pytest.raises(PreconditionFailed):
        await engine.store.delete(uri("a"), if_match=old.etag)
    assert await read(engine, uri("a")) == b"new"

    await engine.store.delete(uri("a"), if_match=new.etag)
    assert await list_keys(engine) == []


@pytest.mark.asyncio
async def test_many_are_deleted_missing_ones_included(engine: Engine) -> None:
    """A request takes a thousand keys; the caller must not have to know."""
    keys = [f"a/{number:04d}" for number in range(1100)]
    engine.seed([*keys, "kept & <safe>"])

    failures = await engine.store.delete_many(BUCKET, [*keys, "never/was"])

    assert list(failures) == []
    assert await list_keys(engine) == ["kept & <safe>"]


@pytest.mark.asyncio
async def test_many_odd_keys_are_deleted_exactly(engine: Engine) -> None:
    """Keys travel in XML here; an entity decoded twice would remove another object."""
    odd = ["a&amp;b", "<a>", "a//b", "a%2Fb", "\N{FIRE}", "a\tb"]
    engine.seed([*odd, "a&b", "a/b"])

    failures = await engine.store.delete_many(BUCKET, odd)

    refused = {failure.key for failure in failures}
    assert set(await list_keys(engine)) == {"a&b", "a/b"} | refused


@pytest.mark.asyncio
async def test_deleting_nothing_succeeds(engine: Engine) -> None:
    """S3 itself refuses an empty bulk delete; callers should not have to ask first."""
    assert list(await engine.store.delete_many(BUCKET, [])) == []


@pytest.mark.asyncio
async def test_copy_keeps_content_and_source(engine: Engine) -> None:
    """Parking a job copies it aside first."""
    source, target = uri("a b+%2F\N{FIRE}"), S3Uri(OTHER_BUCKET, "parked/a b+%2F\N{FIRE}")
    await engine.store.put(source, b"body", options=PutOptions(metadata={"producer": "colony-1"}))

    copied: Stored = await engine.store.copy(source, target)

    assert (copied.uri, copied.size) == (target, 4)
    assert copied.evidence >= min(engine.least_evidence, Evidence.READ_BACK)
    assert await read(engine, target) == await read(engine, source) == b"body"
    assert (await engine.store.head(target)).metadata == {"producer": "colony-1"}


@pytest.mark.asyncio
async def test_copy_never_overwrites_where_absent_is_required(engine: Engine) -> None:
    """The rule that nothing is overwritten silently has no exception for copies."""
    if not engine.conditional_copy:
        pytest.skip("the server does not know the precondition")
    await engine.store.put(uri("a"), b"new")
    kept = await engine.store.put(uri("b"), b"old")

    with pytest.raises(PreconditionFailed):
        await engine.store.copy(uri("a"), uri("b"), when=ABSENT)
    with pytest.raises(PreconditionFailed):
        await engine.store.copy(uri("a"), uri("b"), when=Matches("0" * 32))
    assert await read(engine, uri("b")) == b"old"

    await engine.store.copy(uri("a"), uri("b"), when=Matches(kept.etag))
    assert await read(engine, uri("b")) == b"new"
