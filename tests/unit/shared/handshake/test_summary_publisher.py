from dataclasses import replace

import pytest

from shared.handshake.summary import Publisher, Summary, parse_summary
from shared.s3.errors import Unreachable
from shared.s3.memory import Faults, MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Verb
from shared.s3.uri import S3Uri
from tests.support.leasing import BUCKET, LAYOUT

WHERE = LAYOUT.summary("collector")
FIRST = Summary("collector", "prod", "09:00", {"collected": frozenset({"00001"})})


class AwayOnce(Faults):
    """The bucket is away for the first write."""

    def __init__(self) -> None:
        self.away = True

    async def before(self, verb: Verb, uri: S3Uri) -> None:
        """Refuse once."""
        if self.away:
            self.away = False
            raise Unreachable(uri)


@pytest.mark.asyncio
async def test_only_news_is_published() -> None:
    """A summary a pass would be a request a pass, for months; age and rate alone are no news."""
    buckets = MemoryBuckets(BUCKET)
    publisher = Publisher(MemoryStore(buckets), LAYOUT)
    news = replace(FIRST, cids={"collected": frozenset({"00001", "00002"})})

    said = [
        await publisher.publish(FIRST),
        await publisher.publish(replace(FIRST, written_at="10:00", per_hour=7.0)),
        await publisher.publish(news),
        await publisher.publish(replace(news, notes={"00002": "differs"})),
    ]

    assert said == [True, False, True, True]
    assert len(buckets.history()) == 3
    held = buckets.look(WHERE)
    assert held is not None
    assert parse_summary(held.body, "collector").notes == {"00002": "differs"}


@pytest.mark.asyncio
async def test_what_was_not_written_is_still_news() -> None:
    """Otherwise one failure would hide a state until the next change."""
    buckets = MemoryBuckets(BUCKET)
    publisher = Publisher(MemoryStore(buckets, faults=AwayOnce()), LAYOUT)
    with pytest.raises(Unreachable):
        await publisher.publish(FIRST)

    assert await publisher.publish(FIRST)
