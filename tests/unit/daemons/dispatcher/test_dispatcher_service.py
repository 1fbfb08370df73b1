from contextlib import ExitStack

import pytest
from structlog.testing import capture_logs

from daemons.dispatcher.service import Limits
from shared.fswatch.items import ScanFinished
from shared.handshake.layout import JobFolder
from shared.s3.memory_buckets import Verb
from tests.support.dispatching import BUCKET, LAYOUT, Project, chunk_text, seed_of


@pytest.mark.asyncio
async def test_a_chunk_becomes_a_job_and_leaves_nothing_behind(project: Project) -> None:
    """Seeds, marker, ledger: to the key and byte of the contract."""
    project.chunk("02104")

    counts = await project.one_pass()

    folder = "aws-seeds-2026-03-01-CID-02104"
    assert project.below() == [
        f"{folder}/cid.txt",
        f"{folder}/optical_seeds/chunk_02104/part-02104.parquet",
    ]
    assert project.body(LAYOUT.marker(project.job_today("02104"))) == b"02104\n"
    assert project.body(LAYOUT.seed(project.job_today("02104"))) == seed_of(chunk_text("02104"))
    assert [m.uri.key.rpartition("/")[2] for m in project.written()] == [
        "part-02104.parquet",
        "cid.txt",
    ]
    assert project.recorded() == ["02104"]
    assert project.staged() == []
    assert (counts.sent, counts.failed) == (1, 0)


@pytest.mark.asyncio
async def test_cids_go_in_their_order(project: Project) -> None:
    """People look at the ledger to see how far it is."""
    for cid in ("00300", "00002", "10000"):
        project.chunk(cid)

    await project.one_pass()

    assert project.recorded() == ["00002", "00300", "10000"]


@pytest.mark.asyncio
async def test_an_answered_or_recorded_cid_is_left_alone(project: Project) -> None:
    """The archive has answered, or a script has sent it."""
    for cid in ("00001", "00002", "00003"):
        project.chunk(cid)
    project.answer("00001")
    project.record("00002")

    await project.one_pass()

    assert project.step.built == ["00003"]
    assert project.recorded() == ["00002", "00003"]


@pytest.mark.asyncio
async def test_nothing_to_do_is_a_good_end_and_asks_s3_for_nothing(project: Project) -> None:
    """A script that runs every minute must not list a bucket of a million objects."""
    project.chunk("00001")
    project.record("00001")

    with capture_logs() as logs:
        counts = await project.one_pass()

    assert counts.failed == 0
    assert project.requests.seen == []
    assert [line["event"] for line in logs if line["event"] == "nothing_to_do"]


@pytest.mark.asyncio
async def test_a_folder_of_done_chunks_costs_no_look_at_any(project: Project) -> None:
    """A hundred thousand chunks that were sent months ago are still there."""
    cids = [f"{number:05d}" for number in range(5000)]
    for cid in cids:
        (project.positions / f"positions_chunk_{cid}.csv").touch()
    project.record(*cids[1000:])
    for cid in cids[:1000]:
        (project.positions / f"positions{cid}_closest.csv").touch()

    with ExitStack() as stack:
        life = project.life(stack)
        await life.service.prepare()
        seen = [item async for item in life.items()]
        states = life.service.states()

    assert [item.files_seen for item in seen if isinstance(item, ScanFinished)] == [0]
    assert (len(states.new), len(states.answered), len(states.sent)) == (0, 1000, 4000)
    assert project.requests.seen == []


@pytest.mark.asyncio
async def test_the_bucket_is_listed_once_for_many_cids(project: Project) -> None:
    """One listing, and two requests a CID."""
    for number in range(10):
        project.chunk(f"{number:05d}")

    await project.one_pass()

    assert project.requests.verbs(BUCKET).count(Verb.LIST) == 1
    assert project.requests.verbs(BUCKET).count(Verb.PUT) == 20
    assert len(project.requests.seen) == 21


@pytest.mark.asyncio
async def test_a_complete_job_of_any_day_is_only_recorded(project: Project) -> None:
    """The ledger was lost, or the life before ended between marker and ledger."""
    project.chunk("00001")
    project.put_job("00001", "2024-05-06", marker=True)

    counts = await project.one_pass()

    assert project.step.built == []
    assert project.recorded() == ["00001"]
    assert (counts.sent, counts.recorded) == (0, 1)


@pytest.mark.asyncio
async def test_a_job_without_marker_is_completed_in_its_own_folder(project: Project) -> None:
    """Scripts were interrupted years ago; a second folder would be computed twice."""
    project.chunk("00001")
    project.put_job("00001", "2024-05-06", seed=b"half", marker=False)

    with capture_logs() as logs:
        await project.one_pass()

    folder = JobFolder("2024-05-06", "00001")
    assert project.body(LAYOUT.seed(folder)) == seed_of(chunk_text("00001"))
    assert project.body(LAYOUT.marker(folder)) == b"00001\n"
    assert len(project.below()) == 2
    replaced = [line for line in logs if line["event"] == "seed_replaced"]
    assert replaced[0]["replaced_size_bytes"] == 4


@pytest.mark.asyncio
async def test_equal_seeds_are_not_sent_again(project: Project) -> None:
    """At most one mutation for each key and content."""
    project.chunk("00001")
    project.put_job("00001", "2024-05-06", seed=seed_of(chunk_text("00001")), marker=False)

    await project.one_pass()

    assert len(project.written()) == 2
    assert project.body(LAYOUT.marker(JobFolder("2024-05-06", "00001"))) == b"00001\n"


@pytest.mark.asyncio
async def test_of_two_folders_of_one_cid_the_complete_one_counts(project: Project) -> None:
    """Two folders are what interrupted scripts leave."""
    project.chunk("00001")
    project.put_job("00001", "2024-05-06", marker=False)
    project.put_job("00001", "2024-05-07", marker=True)

    await project.one_pass()

    assert project.recorded() == ["00001"]
    assert project.step.built == []


@pytest.mark.asyncio
async def test_a_pass_ends_after_its_interval_and_the_next_goes_on(project: Project) -> None:
    """A smaller CID that comes later must not wait for a backlog of days."""
    project.limits = Limits(1e-9)
    for cid in ("00001", "00002", "00003"):
        project.chunk(cid)

    counts = await project.one_pass()

    assert project.recorded() == ["00001", "00002", "00003"]
    assert (counts.sent, counts.waiting) == (3, 0)


@pytest.mark.asyncio
async def test_objects_that_are_no_jobs_are_ignored(project: Project) -> None:
    """The bucket is shared; a foreign folder is nobody's job."""
    project.chunk("00001")
    for key in (
        "from-prod/aws-seeds-2024-05-06-CID-1/cid.txt",
        "from-prod/aws-seeds-20240506-CID-00001/cid.txt",
        "from-prod/notes.txt",
        "from-prod-old/aws-seeds-2024-05-06-CID-00001/cid.txt",
    ):
        project.put(key, b"x")

    counts = await project.one_pass()

    assert counts.sent == 1
