import pytest

from shared.handshake.layout import JobFolder, Runout
from shared.handshake.listing import OBJECTS_KEPT, Job, Result, list_jobs, list_results
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets
from shared.s3.uri import S3Uri
from tests.support.leasing import BUCKET, LAYOUT

FIRST = JobFolder("2026-03-01", "00001")
SECOND = JobFolder("2026-03-01", "00002")
THIRD = JobFolder("2026-03-02", "00001")


def lay(buckets: MemoryBuckets, *keys: str) -> None:
    """Lay objects below the hand-shake's prefix."""
    for key in keys:
        buckets.put(S3Uri(BUCKET, f"{LAYOUT.prefix}/{key}"), key.encode())


async def jobs_in(buckets: MemoryBuckets, after: JobFolder | None = None) -> list[Job]:
    """List all jobs."""
    return [job async for job in list_jobs(MemoryStore(buckets), LAYOUT, after=after)]


async def results_in(buckets: MemoryBuckets, after: Runout | None = None) -> list[Result]:
    """List all results."""
    return [found async for found in list_results(MemoryStore(buckets), LAYOUT, after=after)]


@pytest.mark.asyncio
async def test_job_is_complete_with_its_marker() -> None:
    """The seeds of a folder without `cid.txt` may still be on their way."""
    buckets = MemoryBuckets(BUCKET)
    buckets.put(LAYOUT.seed(FIRST), b"seeds")
    buckets.put(LAYOUT.seed(SECOND), b"seeds")
    buckets.put(LAYOUT.marker(SECOND), b"00002\n")

    first, second = await jobs_in(buckets)

    assert (first.folder, first.complete) == (FIRST, False)
    assert (second.folder, second.complete) == (SECOND, True)
    assert list(second.seeds) == ["chunk_00002/part-00002.parquet"]
    assert second.left_out == 0


@pytest.mark.asyncio
async def test_what_is_no_job_is_passed_over() -> None:
    """People keep notes, copies and folders of their own there."""
    buckets = MemoryBuckets(BUCKET)
    lay(
        buckets,
        "from-prod/",
        "from-prod/README.txt",
        "from-prod/aws-seeds-2026-03-01-CID-1/cid.txt",
        "from-prod/aws-seeds-2026-03-01-CID-00001/",
        "from-prod/aws-seeds-2026-03-01-CID-00001/optical_seeds/",
        "from-prod/aws-seeds-2026-03-01-CID-00001/optical_seeds/chunk_00001/",
        "from-prod/aws-seeds-2026-03-01-CID-00001/notes.txt",
        "from-prod/aws-seeds-2026-03-01-CID-00001/optical_seeds/a",
        "from-prod/zzz/cid.txt",
    )

    (job,) = await jobs_in(buckets)

    assert list(job.seeds) == ["a"]
    assert job.left_out == 4
    assert not job.complete


@pytest.mark.asyncio
async def test_listing_goes_on_behind_a_folder() -> None:
    """What is finished at the beginning of a long list is not listed again."""
    buckets = MemoryBuckets(BUCKET)
    for folder in (FIRST, SECOND, THIRD):
        buckets.put(LAYOUT.seed(folder), b"seeds")
        buckets.put(LAYOUT.marker(folder), b"")

    assert [job.folder for job in await jobs_in(buckets)] == [FIRST, SECOND, THIRD]
    assert [job.folder for job in await jobs_in(buckets, FIRST)] == [SECOND, THIRD]
    assert [job.folder for job in await jobs_in(buckets, THIRD)] == []


@pytest.mark.asyncio
async def test_folder_that_spans_pages_is_one_job() -> None:
    """A page ends anywhere; half a job would look like one without marker."""
    buckets = MemoryBuckets(BUCKET)
    for number in range(1500):
        lay(buckets, f"from-prod/{FIRST}/optical_seeds/chunk_00001/{number:05d}.parquet")
    buckets.put(LAYOUT.marker(FIRST), b"")
    buckets.put(LAYOUT.marker(SECOND), b"")

    first, second = await jobs_in(buckets)

    assert first.complete
    assert len(first.seeds) == OBJECTS_KEPT
    assert first.left_out == 1500 - OBJECTS_KEPT
    assert second.complete


@pytest.mark.asyncio
async def test_empty_bucket_has_no_jobs_and_no_results() -> None:
    """The first start of all."""
    assert await jobs_in(MemoryBuckets(BUCKET)) == []
    assert await results_in(MemoryBuckets(BUCKET)) == []


@pytest.mark.asyncio
async def test_result_is_what_lies_directly_in_its_folder() -> None:
    """The scripts copied exactly these files."""
    buckets = MemoryBuckets(BUCKET)
    runout, later = Runout("2026-03-01-1207", "00001"), Runout("2026-03-01-1208", "00001")
    buckets.put(LAYOUT.result(runout, "a.csv"), b"1")
    buckets.put(LAYOUT.result(runout, "deeper/b.csv"), b"2")
    buckets.put(LAYOUT.result(runout, ""), b"")
    buckets.put(LAYOUT.manifest(runout), b"{}")
    buckets.put(LAYOUT.result(later, "c.csv"), b"3")
    lay(buckets, f"from-ec2/{runout}/log.txt", "from-ec2/notes/manifest.json")

    first, second = await results_in(buckets)

    assert (first.runout, list(first.files), first.left_out) == (runout, ["a.csv"], 3)
    assert first.manifest is not None
    assert (second.runout, list(second.files), second.manifest) == (later, ["c.csv"], None)
    assert [found.runout for found in await results_in(buckets, runout)] == [later]


@pytest.mark.asyncio
async def test_files_of_a_result_are_bounded() -> None:
    """A result of a million files is none, and costs no memory."""
    buckets = MemoryBuckets(BUCKET)
    runout = Runout("2026-03-01-1207", "00001")
    for number in range(OBJECTS_KEPT + 7):
        buckets.put(LAYOUT.result(runout, f"{number:04d}.csv"), b"")

    (found,) = await results_in(buckets)

    assert (len(found.files), found.left_out) == (OBJECTS_KEPT, 7)
