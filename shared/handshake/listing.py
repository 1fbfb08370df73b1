"""Jobs and results as a listing of the bucket shows them, one folder at a time.

A folder of a million objects, or a million folders, costs requests and no memory: of each folder
only the objects that belong to the hand-shake are kept, and only so many.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from shared.handshake.layout import (
    MANIFEST,
    MARKER,
    OUTPUT_FOLDER,
    SEEDS_FOLDER,
    JobFolder,
    Layout,
    Runout,
)
from shared.s3.store import ObjectInfo, ObjectStore

OBJECTS_KEPT = 100
"""Objects of one folder that are remembered; neither side ever wrote more than three."""


@dataclass(slots=True)
class Job:
    """A folder below `from-prod/`."""

    folder: JobFolder
    marker: ObjectInfo | None = None
    """`cid.txt`; without it the job is not complete, and not to be taken."""
    seeds: dict[str, ObjectInfo] = field(default_factory=dict)
    """Path below `optical_seeds/` to object, in key order."""
    left_out: int = 0
    """Objects that are none of the hand-shake's, or too many."""

    @property
    def complete(self) -> bool:
        """Whether everything of it has been sent."""
        return self.marker is not None


@dataclass(slots=True)
class Result:
    """A folder below `from-ec2/`."""

    runout: Runout
    manifest: ObjectInfo | None = None
    """`manifest.json`; the bash scripts write none."""
    files: dict[str, ObjectInfo] = field(default_factory=dict)
    """Name to object, of what lies directly in `aws_compare_out/`, in key order."""
    left_out: int = 0
    """Objects deeper down or elsewhere, or too many."""


async def list_jobs(
    store: ObjectStore, layout: Layout, *, after: JobFolder | None = None
) -> AsyncIterator[Job]:
    """Yield every job behind the folder `after`, in the order of their names."""
    job: Job | None = None
    start = "" if after is None else f"{layout.jobs.key}{after}0"
    async for page in store.pages(layout.jobs, after=start):
        for found in page.objects:
            split = layout.job_of(found.uri.key)
            if split is None:
                continue
            folder, rest = split
            if job is None or job.folder != folder:
                if job is not None:
                    yield job
                job = Job(folder)
            _into_job(job, rest, found)
    if job is not None:
        yield job


async def list_results(
    store: ObjectStore, layout: Layout, *, after: Runout | None = None
) -> AsyncIterator[Result]:
    """Yield every result behind the folder `after`, in the order of their names."""
    result: Result | None = None
    start = "" if after is None else f"{layout.runouts.key}{after}0"
    async for page in store.pages(layout.runouts, after=start):
        for found in page.objects:
            split = layout.runout_of(found.uri.key)
            if split is None:
                continue
            runout, rest = split
            if result is None or result.runout != runout:
                if result is not None:
                    yield result
                result = Result(runout)
            _into_result(result, rest, found)
    if result is not None:
        yield result


async def list_reports(store: ObjectStore, layout: Layout) -> dict[str, str]:
    """Return the failure reports, CID to ETag; whether a CID is parked, its lease tells."""
    reports: dict[str, str] = {}
    async for page in store.pages(layout.failures):
        for found in page.objects:
            cid = layout.cid_of(found.uri.key)
            if cid is not None:
                reports[cid] = found.etag
    return reports


def _into_job(job: Job, rest: str, found: ObjectInfo) -> None:
    path = rest.removeprefix(SEEDS_FOLDER)
    if rest == MARKER:
        job.marker = found
    elif path not in {rest, ""} and not path.endswith("/") and len(job.seeds) < OBJECTS_KEPT:
        job.seeds[path] = found
    else:
        job.left_out += 1


def _into_result(result: Result, rest: str, found: ObjectInfo) -> None:
    name = rest.removeprefix(OUTPUT_FOLDER)
    if rest == MANIFEST:
        result.manifest = found
    elif name not in {rest, ""} and "/" not in name and len(result.files) < OBJECTS_KEPT:
        result.files[name] = found
    else:
        result.left_out += 1
