from pathlib import Path

import pytest
import structlog

from shared.handshake.layout import JobFolder, Runout, closest_name
from shared.s3.errors import AccessDenied
from shared.s3.memory_buckets import Verb
from shared.s3.store import PutOptions
from shared.s3.uri import S3Uri
from tests.support.collecting import (
    FIRST,
    LAYOUT,
    ONE,
    SECOND,
    STAMP,
    Prod,
    contents,
    names,
    ours,
    runout_files,
)
from tests.support.uploading import Requests

pytestmark = pytest.mark.asyncio

TWO = "00002"
JOB = JobFolder("2026-03-01", ONE)
TAG = {"towpath": "collected"}
TAGGING = {Verb.TAGS, Verb.SET_TAGS}


@pytest.fixture
def prod(tmp_path: Path, requests: Requests) -> Prod:
    """PROD that tags, and a bucket with one job and its committed result."""
    made = Prod(tmp_path / "prod", faults=requests, tag_seconds=30.0)
    made.lay(ours(FIRST, contents(ONE)), by_watcher=True)
    made.lay({LAYOUT.seed(JOB).key: b"seeds", LAYOUT.marker(JOB).key: b"00001\n"})
    return made


def whole(runout: Runout = FIRST, job: JobFolder | None = JOB) -> set[str]:
    """The keys of a runout of ours, and of its job."""
    keys = {LAYOUT.result(runout, name).key for name in names([runout.cid])}
    seeds = {LAYOUT.seed(job).key, LAYOUT.marker(job).key} if job else set()
    return keys | seeds | {LAYOUT.manifest(runout).key}


async def test_result_and_job_are_tagged_once_they_are_merged(prod: Prod) -> None:
    """The bucket's rule then frees them; leases must stay for ever and are left alone."""
    counts = await prod.one_pass()

    assert (counts.collected, counts.tagged) == (1, 1)
    assert prod.tags() == dict.fromkeys(whole(), TAG)
    assert prod.recorded() == [ONE]


async def test_nothing_is_tagged_unless_asked_for(prod: Prod, requests: Requests) -> None:
    """An upgrade must not let results expire by itself."""
    prod.tag_seconds = 0.0

    await prod.one_pass()

    assert prod.tags() == {}
    assert requests.of(*TAGGING) == []


async def test_killed_between_ledger_and_tag_the_next_life_tags(prod: Prod) -> None:
    """Else what one crash missed would lie in the bucket for ever."""
    prod.tag_seconds = 0.0
    await prod.one_pass()
    prod.tag_seconds = 30.0

    counts = await prod.one_pass()

    assert (counts.collected, counts.tagged) == (0, 1)
    assert prod.tags() == dict.fromkeys(whole(), TAG)


async def test_what_is_tagged_costs_no_request_any_more(prod: Prod, requests: Requests) -> None:
    """A hundred thousand results are listed in each full pass."""
    await prod.one_pass()
    requests.seen.clear()

    for _ in range(3):
        await prod.one_pass()

    assert {verb for verb, _ in requests.seen} == {Verb.LIST}
    assert len(requests.seen) == 3


async def test_a_lost_note_of_what_is_tagged_costs_looking_and_changes_nothing(
    prod: Prod, requests: Requests
) -> None:
    """The ledger in the state folder saves work and is no truth."""
    await prod.one_pass()
    (prod.root / "state/tagged_cids").unlink()
    requests.seen.clear()

    counts = await prod.one_pass()

    assert counts.tagged == 1
    assert set(requests.of(Verb.TAGS)) == whole()
    assert requests.of(Verb.SET_TAGS) == []


async def test_tags_of_others_are_kept(prod: Prod) -> None:
    """Somebody may account for the bucket's costs by tags."""
    key = LAYOUT.result(FIRST, closest_name(ONE))
    held = prod.buckets.look(key)
    assert held is not None
    tags = {"team": "sky", "towpath": "other"}
    options = PutOptions(metadata=held.options.metadata, tags=tags)
    prod.buckets.put(key, held.body, options=options)

    await prod.one_pass()

    assert prod.tags()[key.key] == {"team": "sky", **TAG}


@pytest.mark.parametrize("verb", [Verb.TAGS, Verb.SET_TAGS])
async def test_a_bucket_that_takes_no_tags_delays_no_result(
    prod: Prod, requests: Requests, verb: Verb
) -> None:
    """The right to tag may be missing for weeks; results still come home, with one warning."""
    for number in range(2, 12):
        prod.lay(ours(Runout(STAMP, f"{number:05d}"), contents(f"{number:05d}")), by_watcher=True)
    requests.fault = lambda asked, uri: AccessDenied(uri) if asked is verb else None
    collector = prod.collector()

    with structlog.testing.capture_logs() as logs:
        counts = [await prod.one_pass(collector) for _ in range(3)]

    assert [one.collected for one in counts] == [11, 0, 0]
    assert [one.failed for one in counts] == [0, 0, 0]
    assert len([line for line in logs if line["event"] == "runout_not_tagged"]) == 1
    assert len(requests.of(verb)) <= 3 * (3 + prod.in_flight)
    requests.fault = lambda _verb, _uri: None
    assert (await prod.one_pass(collector)).tagged == 11


async def test_one_object_that_takes_no_tag_holds_up_no_other(
    prod: Prod, requests: Requests
) -> None:
    """It may have ten tags of somebody else's."""
    prod.lay(ours(Runout(STAMP, TWO), contents(TWO)), by_watcher=True)
    prod.in_flight = 1
    bad = LAYOUT.marker(JOB)
    requests.fault = lambda verb, uri: (
        AccessDenied(uri) if verb is Verb.SET_TAGS and uri == bad else None
    )
    collector = prod.collector()

    assert (await prod.one_pass(collector)).tagged == 1
    requests.fault = lambda _verb, _uri: None
    assert (await prod.one_pass(collector)).tagged == 1

    assert set(prod.tags()) == whole() | whole(Runout(STAMP, TWO), None)


async def test_a_conflict_and_an_orphan_are_not_tagged(prod: Prod) -> None:
    """A person has to look at them first, and they are nowhere else.

    The setting comes later, so that nobody knows any more which one was merged.
    """
    prod.lay(runout_files(SECOND, contents(ONE, shift=1.0)))
    orphan = Runout("2026-03-01-1130", ONE)
    lease = {LAYOUT.lease(ONE).key: ours(FIRST, {})[LAYOUT.lease(ONE).key]}
    prod.lay({**ours(orphan, contents(ONE)), **lease}, by_watcher=True)
    prod.tag_seconds = 0.0
    first = await prod.one_pass()
    assert (first.conflicts, first.orphans) == (1, 1)
    prod.tag_seconds = 30.0

    counts = await prod.one_pass()

    assert counts.tagged == 1
    assert set(prod.tags()) == whole()


async def test_what_the_central_folder_no_longer_has_is_not_tagged(prod: Prod) -> None:
    """The copy in the bucket may be the last one."""
    prod.tag_seconds = 0.0
    await prod.one_pass()
    (prod.central / closest_name(ONE)).unlink()
    prod.tag_seconds = 30.0

    counts = await prod.one_pass()

    assert counts.tagged == 0
    assert prod.tags() == {}


async def test_a_result_of_the_scripts_is_tagged_without_its_job(prod: Prod) -> None:
    """Nobody says which job it answers."""
    runout = Runout(STAMP, TWO)
    prod.lay(runout_files(runout, contents(TWO)))
    prod.lay({LAYOUT.marker(JobFolder("2026-03-01", TWO)).key: b"00002\n"})

    counts = await prod.one_pass()

    assert counts.tagged == 2
    expected = {LAYOUT.result(runout, name).key for name in names([TWO])}
    assert set(prod.tags()) == whole() | expected


async def test_an_object_that_has_gone_meanwhile_needs_no_tag(
    prod: Prod, requests: Requests
) -> None:
    """The rule may be faster than a collector that was killed halfway."""

    def remove(verb: Verb, uri: S3Uri) -> None:
        if verb is Verb.TAGS and uri == LAYOUT.marker(JOB):
            prod.remove(uri.key)

    requests.fault = remove

    counts = await prod.one_pass()

    assert counts.tagged == 1
    assert set(prod.tags()) == whole() - {LAYOUT.marker(JOB).key}


async def test_an_unreadable_note_of_what_is_tagged_stops_no_collecting(prod: Prod) -> None:
    """It is the least important file of the daemon."""
    (prod.root / "state").mkdir(exist_ok=True)
    (prod.root / "state/tagged_cids").write_bytes(b"\xff\xfe no ledger")

    with structlog.testing.capture_logs() as logs:
        counts = await prod.one_pass()

    assert (counts.collected, counts.tagged) == (1, 0)
    assert "runout_not_tagged" in [line["event"] for line in logs]
