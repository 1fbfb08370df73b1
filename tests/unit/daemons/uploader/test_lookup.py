from dataclasses import dataclass, field

import pytest

from daemons.uploader.lookup import look_up
from daemons.uploader.plan import Remote
from shared.s3.errors import AccessDenied, ObjectError, Throttled
from shared.s3.memory import Faults, MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Verb
from shared.s3.store import ObjectInfo
from shared.s3.uri import S3Uri

BUCKET = "colony-shots"


@dataclass
class Pages(Faults):
    """Counts pages, and fails from the given one on."""

    fail_from: int = 1_000_000
    error: ObjectError = field(default_factory=lambda: AccessDenied(S3Uri(BUCKET)))
    count: int = 0

    async def before(self, verb: Verb, uri: S3Uri) -> None:
        """Count."""
        assert verb is Verb.LIST
        self.count += 1
        if self.count >= self.fail_from:
            raise self.error


def uri(number: int) -> S3Uri:
    """One of many keys, in order."""
    return S3Uri(BUCKET, f"images/{number:06d}.png")


def bucket_with(numbers: range) -> MemoryBuckets:
    """Fill a bucket."""
    buckets = MemoryBuckets(BUCKET)
    for number in numbers:
        buckets.put(uri(number), b"x")
    return buckets


@pytest.mark.asyncio
async def test_listing_decides_absent_and_present() -> None:
    """One request instead of a thousand."""
    pages = Pages()
    store = MemoryStore(bucket_with(range(0, 2500, 2)), faults=pages)
    wanted = [uri(number) for number in range(1000)]

    known = await look_up(store, wanted)

    assert set(known) == set(wanted)
    assert all(isinstance(known[uri(number)], ObjectInfo) for number in range(0, 1000, 2))
    assert all(known[uri(number)] is Remote.ABSENT for number in range(1, 1000, 2))
    assert pages.count == 1


@pytest.mark.asyncio
async def test_listing_begins_where_the_files_do() -> None:
    """A folder that has been written to for years is not read from its beginning."""
    pages = Pages()
    store = MemoryStore(bucket_with(range(20_000)), faults=pages)

    known = await look_up(store, [uri(number) for number in range(19_000, 19_016)])

    assert all(isinstance(found, ObjectInfo) for found in known.values())
    assert len(known) == 16
    assert pages.count == 1


@pytest.mark.asyncio
async def test_listing_is_given_up_when_the_bucket_holds_far_more() -> None:
    """Forty files must not cost the listing of a million objects; what was seen still counts."""
    pages = Pages()
    store = MemoryStore(bucket_with(range(3000)), faults=pages)
    wanted = [uri(0), *(uri(number) for number in range(2901, 2916))]

    known = await look_up(store, wanted)

    assert set(known) == {uri(0)}
    assert pages.count == 2


@pytest.mark.asyncio
async def test_few_files_are_not_listed() -> None:
    """A HEAD each is cheaper."""
    pages = Pages()

    known = await look_up(MemoryStore(bucket_with(range(5)), faults=pages), [uri(1), uri(2)])

    assert known == {}
    assert pages.count == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [AccessDenied(S3Uri(BUCKET)), Throttled(S3Uri(BUCKET))])
async def test_refused_listing_decides_nothing(error: ObjectError) -> None:
    """Not being allowed to look must not read as absent."""
    store = MemoryStore(bucket_with(range(2500)), faults=Pages(fail_from=1, error=error))

    assert await look_up(store, [uri(number) for number in range(100)]) == {}


@pytest.mark.asyncio
async def test_listing_that_breaks_off_decides_what_it_saw() -> None:
    """The rest is asked for one by one."""
    store = MemoryStore(bucket_with(range(3000)), faults=Pages(fail_from=2))

    known = await look_up(store, [uri(number) for number in range(0, 3000, 30)])

    assert set(known) == {uri(number) for number in range(0, 1000, 30)}


@pytest.mark.asyncio
async def test_missing_bucket_decides_nothing() -> None:
    """The job that follows says so, once for the bucket."""
    assert await look_up(MemoryStore(MemoryBuckets()), [uri(number) for number in range(16)]) == {}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "keys",
    [
        [chr(ord("a") + number) for number in range(20)],
        ["\u00e9", *(f"\u00e9{number:02d}" for number in range(20)), "\U0001f600"],
        [f"x/{number:02d}" for number in range(20)],
    ],
)
async def test_odd_names_are_found(keys: list[str]) -> None:
    """The key before the first must sort right for names of one letter and beyond ASCII."""
    buckets = MemoryBuckets(BUCKET)
    wanted = [S3Uri(BUCKET, key) for key in sorted(keys)]
    for one in wanted:
        buckets.put(one, b"x")
        buckets.put(S3Uri(BUCKET, f"{one.key}-folder/inner"), b"x")

    known = await look_up(MemoryStore(buckets), wanted)

    assert {one for one, found in known.items() if isinstance(found, ObjectInfo)} == set(wanted)


@pytest.mark.asyncio
@pytest.mark.parametrize("numbers", [range(0), range(5)])
async def test_listing_that_ends_early_decides_all(numbers: range) -> None:
    """An empty prefix is an answer, too."""
    known = await look_up(MemoryStore(bucket_with(numbers)), [uri(number) for number in range(20)])

    assert [found is Remote.ABSENT for found in known.values()] == [
        number not in numbers for number in range(20)
    ]


@pytest.mark.asyncio
async def test_page_of_folders_decides_nothing_by_itself() -> None:
    """Where a page ends with a folder, only its last object says how far it went."""
    buckets = MemoryBuckets(BUCKET)
    for number in range(1500):
        buckets.put(S3Uri(BUCKET, f"images/{number:06d}/inner"), b"x")

    known = await look_up(MemoryStore(buckets), [uri(number) for number in range(1400, 1420)])

    assert set(known.values()) == {Remote.ABSENT}
