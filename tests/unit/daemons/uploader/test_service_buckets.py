from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog

from daemons.uploader.gate import GateState
from shared.fswatch.items import (
    Candidates,
    FoundBy,
    WatchItem,
)
from shared.fswatch.stability import FileIdentity, LocalFile
from shared.lifecycle import Control
from shared.s3.errors import (
    AccessDenied,
    Answer,
    ChecksumMismatch,
    CredentialsExpired,
    ObjectError,
    OutcomeUnknown,
    ServerError,
    Throttled,
)
from shared.s3.memory_buckets import Verb
from shared.systemd import Notifier
from tests.support.uploading import BUCKET, OTHER, Place, Script

pytestmark = pytest.mark.asyncio

Logs = list[Any]
OPEN = "daemons.uploader.job.open_pinned"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Make an empty root with two buckets behind it."""
    return Place(tmp_path)


def events(logs: Logs, event: str) -> Logs:
    """Pick out the lines of one event."""
    return [line for line in logs if line["event"] == event]


@pytest.mark.parametrize(
    ("found_by", "files"), [(FoundBy.FIRST_SCAN, 2000), (FoundBy.SCAN, 10_000)]
)
async def test_missing_bucket_is_one_error_and_few_requests(
    place: Place, found_by: FoundBy, files: int
) -> None:
    """Ten thousand files for a bucket that nobody made; the other buckets do not notice."""
    place.interval_seconds = 60.0
    first = place.write("colony-lost/first")
    for number in range(1, files):
        # Ten thousand names are made a lot faster than ten thousand files.
        (place.root / f"colony-lost/{number}").hardlink_to(first)
    place.write(f"{BUCKET}/a")
    service = place.uploader()

    with structlog.testing.capture_logs() as logs:
        counts = await place.one_pass(service, found_by)

    assert place.held("a") == b"content"
    [line] = [line for line in logs if line["log_level"] == "error"]
    assert (line["event"], line["bucket"]) == ("bucket_refused", "colony-lost")
    assert (line["files"], line["code"]) == (files, "NoSuchBucket")
    assert (counts.held_back, counts.failed, counts.parked) == (files, files, 0)
    assert len(place.requests.verbs("colony-lost")) <= 400
    assert len(place.left()) == files


async def test_bucket_that_is_made_later_gets_its_files(place: Place) -> None:
    """Nobody has to tell the daemon."""
    for number in range(50):
        place.write(f"colony-lost/{number}")
    service = place.uploader()

    await place.one_pass(service)
    place.buckets.create("colony-lost")
    for _ in range(2):
        await place.one_pass(service)

    assert place.left() == []
    assert service.gates["colony-lost"].state is GateState.OPEN


@pytest.mark.parametrize("error", [AccessDenied, CredentialsExpired])
async def test_refused_bucket_is_one_error_a_pass(place: Place, error: type[ObjectError]) -> None:
    """A role without permission must not fill the journal, and parks nothing."""
    place.requests.fault = lambda _, uri: (
        error(uri, Answer("Refused", "no", 403)) if uri.bucket == BUCKET else None
    )
    for number in range(30):
        place.write(f"{BUCKET}/{number}")
    place.write(f"{OTHER}/a")
    service = place.uploader()

    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            await place.one_pass(service)

    assert [(line["code"], line["files"]) for line in events(logs, "bucket_refused")] == [
        ("Refused", 30)
    ] * 3
    assert events(logs, "file_failed") == []
    assert len(service.parked) == 0
    assert place.held("a", OTHER) == b"content"


@pytest.mark.parametrize("error", [Throttled, ServerError, OutcomeUnknown])
async def test_storm_closes_the_gate_and_recovers_by_itself(
    place: Place, error: type[ObjectError]
) -> None:
    """Bounded requests while it lasts, everything delivered once when it is over."""
    place.interval_seconds = 60.0
    place.files_in_flight = 8
    for number in range(200):
        place.write(f"{BUCKET}/{number}", str(number).encode())
    service = place.uploader()
    place.requests.fault = lambda _, uri: error(uri, Answer("SlowDown", "slow down", 503))

    with structlog.testing.capture_logs() as logs:
        counts = await place.one_pass(service)

    assert counts.failed == 200
    assert len(events(logs, "file_failed")) == 5
    assert len(place.requests.seen) <= 40
    place.requests.fault = lambda _verb, _uri: None
    for _ in range(2):
        service.hurry()
        await place.one_pass(service)
    assert place.left() == []
    assert len(place.buckets.history()) == 200


async def test_lost_answers_are_found_out(place: Place) -> None:
    """Each was carried out and nobody heard: looked at next time, and not sent again."""
    place.requests.lost = lambda verb, uri: OutcomeUnknown(uri) if verb is Verb.PUT else None
    for number in range(3):
        place.write(f"{BUCKET}/{number}")
    service = place.uploader()

    await place.one_pass(service)
    counts = await place.one_pass(service)

    assert (counts.uploaded, counts.already_there, counts.removed) == (0, 3, 3)
    assert len(place.buckets.history()) == 3


async def test_wrong_checksum_keeps_the_file_and_is_tried_again(place: Place) -> None:
    """BadDigest: an error, retried; the file stays."""
    place.write(f"{BUCKET}/a")
    place.requests.fault = lambda _, uri: ChecksumMismatch(uri, Answer("BadDigest", "bad", 400))
    service = place.uploader()

    with structlog.testing.capture_logs() as logs:
        await place.one_pass(service)

    [line] = events(logs, "file_failed")
    assert (line["code"], line["log_level"]) == ("BadDigest", "error")
    assert place.left() == [f"{BUCKET}/a"]
    place.requests.fault = lambda _verb, _uri: None
    await place.one_pass(service)
    assert place.left() == []


async def test_probe_that_vanishes_does_not_shut_the_bucket_for_ever(place: Place) -> None:
    """The one file that was to try the bucket may be deleted or rewritten meanwhile."""
    service = place.uploader()
    place.write(f"{BUCKET}/a")
    place.requests.fault = lambda _, uri: AccessDenied(uri)
    await place.one_pass(service)
    place.requests.fault = lambda _verb, _uri: None

    async def ghost() -> AsyncIterator[WatchItem]:
        yield Candidates(
            BUCKET, (LocalFile(f"{BUCKET}/ghost", FileIdentity(1, 1, 1, 1)),), FoundBy.EVENT
        )

    await service.run_once(ghost())
    for _ in range(2):
        await place.one_pass(service)

    assert place.left() == []


async def test_recovered_bucket_has_its_other_files_looked_for_at_once(place: Place) -> None:
    """They were held back and the watch will not tell of them before the next scan."""
    service = place.uploader()
    for number in range(5):
        place.write(f"{BUCKET}/{number}")
    place.requests.fault = lambda _, uri: AccessDenied(uri)
    await place.one_pass(service)
    place.requests.fault = lambda _verb, _uri: None
    script = Script([item async for item in place.scan()][:-1])
    control = Control(Notifier({}))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run, script, control)
            await script.told.wait()
            control.stopping.set()

    assert script.scans_asked == 1
