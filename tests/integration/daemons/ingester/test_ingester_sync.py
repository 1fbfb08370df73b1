"""The sync on the real engine and the strict S3: requests, retries, preconditions, whole bytes."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from daemons.ingester.syncing.place import SitePlace, site_place
from daemons.ingester.syncing.report import SyncStatus
from daemons.ingester.syncing.site import SiteSync
from shared.aws.clients import ClientSettings, open_clients
from shared.retry import RetryPolicy
from shared.s3.client import EngineSettings, S3Client
from tests.support.strict_s3.faults import Fail, Fault, HalfAnswer, Reset, Stage
from tests.support.strict_s3.history import MutationKind
from tests.support.strict_s3.server import BUCKET, StrictS3
from tests.support.syncing import (
    AUDIO,
    TRANSCRIPT,
    episode,
    episode_numbers,
    manifest_bytes,
    manifest_path,
)

AT_ONCE = RetryPolicy(attempts=3, base_seconds=0.0)


@pytest.fixture
def place(tmp_path: Path, strict_s3: StrictS3, monkeypatch: pytest.MonkeyPatch) -> SitePlace:
    """A site whose bucket is the strict S3's."""
    for name, value in strict_s3.environment().items():
        monkeypatch.setenv(name, value)
    (tmp_path / "data").mkdir()
    return site_place("hardfork", BUCKET, tmp_path / "data", tmp_path / "state")


@asynccontextmanager
async def open_sync(s3: StrictS3, place: SitePlace) -> AsyncIterator[SiteSync]:
    """Open the engine as the ingester does."""
    settings = EngineSettings(parts=False, policy=AT_ONCE)
    async with open_clients(ClientSettings("us-east-1", endpoint_url=s3.url)) as clients:
        store = S3Client(clients, settings, None)
        yield SiteSync(store, place, policy=AT_ONCE)


def lay(place: SitePlace, path: str, body: bytes) -> None:
    """Make a file of long ago."""
    target = place.root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(body)
    os.utime(target, (1_700_000_000, 1_700_000_000))


def changes(s3: StrictS3) -> list[str]:
    """Return the keys that requests have changed, in order."""
    return [each.key for each in s3.mutations(BUCKET) if each.kind is not MutationKind.SEED]


def operations(s3: StrictS3) -> set[str]:
    """Return which operations were asked for."""
    return {record.operation for record in s3.requests()}


@pytest.mark.asyncio
async def test_both_ways_and_then_nothing(strict_s3: StrictS3, place: SitePlace) -> None:
    """The mixed scenario end to end; the second run is listings alone, a page for 1,000 objects."""
    theirs = {f"audio/p/{number:04}.mp3": b"%d" % number for number in range(1200)}
    strict_s3.seed(BUCKET, {**theirs, manifest_path(): manifest_bytes([episode(1)])})
    for key in list(theirs)[:-3]:
        lay(place, key, theirs[key])
    lay(place, TRANSCRIPT, b"ours")
    lay(place, manifest_path(), manifest_bytes([episode(2)]))

    async with open_sync(strict_s3, place) as sync:
        pulled, pushed = await sync.pull(), await sync.push()
        strict_s3.forget()
        again = [await sync.pull(), await sync.push()]

    assert (pulled.moved, pushed.moved) == (4, 2)
    assert changes(strict_s3) == []
    assert [report.moved for report in again] == [0, 0]
    # Six pages each: audio has two, four other folders one.
    assert strict_s3.count("ListObjectsV2") == 12
    assert operations(strict_s3) == {"ListObjectsV2"}
    assert {
        path.relative_to(place.root).as_posix(): path.read_bytes()
        for path in place.root.rglob("*")
        if path.is_file()
    } == strict_s3.objects(BUCKET)
    assert episode_numbers(strict_s3.objects(BUCKET)[manifest_path()]) == ["Episode 1", "Episode 2"]


@pytest.mark.asyncio
async def test_a_large_file_goes_up_in_one_request(strict_s3: StrictS3, place: SitePlace) -> None:
    """The role of a site may neither list nor abort uploads in parts."""
    lay(place, AUDIO, bytes(20 * 1024 * 1024))

    async with open_sync(strict_s3, place) as sync:
        report = await sync.push()
        strict_s3.forget()
        again = await sync.pull()

    assert (report.status, report.moved) == (SyncStatus.OK, 1)
    assert again.moved == 0
    assert strict_s3.objects(BUCKET).keys() == {AUDIO}
    assert len(strict_s3.keys(BUCKET)) == 1
    assert strict_s3.open_uploads() == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "effect", [Fail("SlowDown"), Fail("InternalError"), Reset(), HalfAnswer()], ids=str
)
async def test_trouble_of_the_network_is_tried_again(
    strict_s3: StrictS3, place: SitePlace, effect: Fail | Reset | HalfAnswer
) -> None:
    """Twice in a row is nothing special, and half a body is never a file."""
    body = b"audio" * 1000
    strict_s3.seed(BUCKET, {AUDIO: body})
    fault = strict_s3.faults.add(Fault(effect, operation="GetObject", nth=range(1, 3)))

    async with open_sync(strict_s3, place) as sync:
        report = await sync.pull()

    assert strict_s3.faults.struck(fault) == 2
    assert report.status is SyncStatus.OK
    assert (place.root / AUDIO).read_bytes() == body


@pytest.mark.asyncio
async def test_three_attempts_and_no_more(strict_s3: StrictS3, place: SitePlace) -> None:
    """The engine's attempts and ours must not multiply."""
    strict_s3.seed(BUCKET, {AUDIO: b"audio", TRANSCRIPT: b"text"})
    strict_s3.faults.add(Fault(Fail("InternalError"), operation="GetObject", key=AUDIO))

    async with open_sync(strict_s3, place) as sync:
        report = await sync.pull()

    assert strict_s3.count("GetObject", key=AUDIO) == 3
    assert [note.path for note in report.failures.named] == [AUDIO]
    assert (place.root / TRANSCRIPT).read_bytes() == b"text"
    assert not (place.root / AUDIO).exists()
    assert list(place.work.iterdir()) == []


@pytest.mark.asyncio
async def test_a_refusal_is_not_asked_for_again(strict_s3: StrictS3, place: SitePlace) -> None:
    """403 will be 403 in two seconds."""
    strict_s3.seed(BUCKET, {AUDIO: b"audio"})
    strict_s3.faults.add(Fault(Fail("AccessDenied"), operation="GetObject"))

    async with open_sync(strict_s3, place) as sync:
        report = await sync.pull()

    assert strict_s3.count("GetObject") == 1
    assert report.status is SyncStatus.PARTIAL


@pytest.mark.asyncio
async def test_an_answer_that_is_lost_makes_no_second_write(
    strict_s3: StrictS3, place: SitePlace
) -> None:
    """The upload was carried out; under a precondition our own object must not look foreign."""
    lay(place, TRANSCRIPT, b"ours")
    lay(place, manifest_path(), manifest_bytes([episode(1)]))
    lost = Fault(Reset(stage=Stage.AFTER_COMMIT), operation="PutObject", nth=range(1, 3))
    strict_s3.faults.add(lost)

    async with open_sync(strict_s3, place) as sync:
        report = await sync.push()

    assert strict_s3.faults.struck(lost) == 2
    assert report.status is SyncStatus.OK
    assert changes(strict_s3) == [TRANSCRIPT, manifest_path()]


@pytest.mark.asyncio
async def test_a_listing_that_breaks_off_decides_nothing(
    strict_s3: StrictS3, place: SitePlace
) -> None:
    """The second page fails: files behind the first one must not be sent as missing."""
    keys = [f"audio/p/{number:04}.mp3" for number in range(1500)]
    strict_s3.seed(BUCKET, dict.fromkeys(keys, b"x"))
    for key in keys[:3] + keys[-3:]:
        lay(place, key, b"x")
    second = Fault(Fail("AccessDenied"), operation="ListObjectsV2", nth=2)
    strict_s3.faults.add(second)

    async with open_sync(strict_s3, place) as sync:
        report = await sync.push()

    assert strict_s3.faults.struck(second) == 1
    assert report.status is SyncStatus.FAILED
    assert changes(strict_s3) == []


@pytest.mark.asyncio
async def test_a_manifest_that_changes_between_is_merged_again(
    strict_s3: StrictS3, place: SitePlace
) -> None:
    """The precondition is S3's own: what another machine wrote a moment ago stays in it."""
    strict_s3.seed(BUCKET, {manifest_path(): manifest_bytes([episode(1)])})
    lay(place, manifest_path(), manifest_bytes([episode(1), episode(2)]))
    strict_s3.faults.add(Fault(Fail("PreconditionFailed"), operation="PutObject", nth=1))

    async with open_sync(strict_s3, place) as sync:
        report = await sync.push()

    assert report.status is SyncStatus.OK
    assert strict_s3.count("GetObject") == 2
    assert strict_s3.objects(BUCKET)[manifest_path()] == manifest_bytes([episode(1), episode(2)])
