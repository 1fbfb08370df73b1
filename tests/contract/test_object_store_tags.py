from collections.abc import Mapping

import pytest

from shared.errors import PermanentError
from shared.s3.errors import BucketMissing, InvalidKey, NotFound
from shared.s3.store import PutOptions
from shared.s3.uri import S3Uri
from tests.contract.engines import MISSING_BUCKET, Engine
from tests.contract.probe import read, uri

TAGS = {"towpath": "collected", "team/cost centre": "a+b = c:d@e_f", "empty": ""}


@pytest.mark.asyncio
async def test_tags_are_set_over_whatever_was_there(engine: Engine) -> None:
    """Whoever keeps the tags of others must read them first: this verb keeps nothing."""
    await engine.store.put(uri("a"), b"x", options=PutOptions(tags={"before": "1"}))
    assert await engine.store.tags(uri("a")) == {"before": "1"}

    await engine.store.set_tags(uri("a"), TAGS)
    await engine.store.set_tags(uri("a"), TAGS)

    assert await engine.store.tags(uri("a")) == TAGS
    if engine.empty_tag_sets:
        await engine.store.set_tags(uri("a"), {})
        assert await engine.store.tags(uri("a")) == {}


@pytest.mark.asyncio
async def test_tags_change_nothing_else_of_an_object(engine: Engine) -> None:
    """A reader that holds an ETag, or judges by the time, must not take a tag for a new object."""
    options = PutOptions(metadata={"producer": "colony-1"})
    stored = await engine.store.put(uri("a"), b"picture", options=options)
    before = await engine.store.head(uri("a"))

    await engine.store.set_tags(uri("a"), TAGS)

    after = await engine.store.head(uri("a"))
    assert (after.etag, after.metadata, after.size) == (stored.etag, options.metadata, 7)
    assert after.modified_at == before.modified_at
    assert await read(engine, uri("a")) == b"picture"


@pytest.mark.asyncio
async def test_object_without_tags_has_none(engine: Engine) -> None:
    """No tags is an answer, and no error."""
    await engine.store.put(uri("a"), b"x")

    assert await engine.store.tags(uri("a")) == {}


@pytest.mark.asyncio
async def test_tags_of_what_is_not_there(engine: Engine) -> None:
    """An object that somebody removed meanwhile is an ordinary answer."""
    for where, expected in (
        (uri("missing"), NotFound),
        (S3Uri(MISSING_BUCKET, "a"), BucketMissing),
        (uri(""), InvalidKey),
    ):
        with pytest.raises(expected):
            await engine.store.tags(where)
        with pytest.raises(expected):
            await engine.store.set_tags(where, TAGS)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "tags", [{f"tag-{number}": "" for number in range(11)}, {"k" * 129: ""}, {"k": "v" * 257}]
)
async def test_tags_that_s3_does_not_take_are_refused_for_good(
    engine: Engine, tags: Mapping[str, str]
) -> None:
    """Trying again would never help; the tags that were there stay."""
    await engine.store.put(uri("a"), b"x", options=PutOptions(tags={"before": "1"}))

    with pytest.raises(PermanentError):
        await engine.store.set_tags(uri("a"), tags)

    assert await engine.store.tags(uri("a")) == {"before": "1"}
