"""Finding and reading the records of a bucket."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date

import anyio

from pipelines.glacier.job_record import BadRecord
from pipelines.glacier.layout import RUNS
from pipelines.glacier.lines.storage import Storage
from pipelines.glacier.record_reading import read_record
from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.status.board import JobRow, region_of, row_of, unreadable
from shared.errors import UsageError
from shared.s3.errors import TooLarge
from shared.s3.store import ObjectInfo, ObjectStore
from shared.s3.uri import S3Uri

READS_AT_ONCE = 32
RECORDS_MAX = 20_000
_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Which:
    """The jobs that are asked about; empty: all of them."""

    satellites: Sequence[SatelliteName]
    regions: frozenset[str] = frozenset()
    jobs: frozenset[str] = frozenset()
    since: date | None = None

    def takes(self, found: ObjectInfo, job_name: str) -> bool:
        """Tell whether a record is to be read."""
        return (
            (not self.jobs or job_name in self.jobs)
            and (not self.regions or region_of(job_name) in self.regions)
            and (self.since is None or found.modified_at.date() >= self.since)
        )


@dataclass(frozen=True, slots=True)
class _Found:
    uri: S3Uri
    job_name: str
    satellite: SatelliteName


async def survey(store: ObjectStore, storage: Storage, which: Which) -> list[JobRow]:
    """Return a row for each job, by satellite and name.

    Raises:
        UsageError: there are more than anybody can look at.
        shared.s3.errors: the bucket cannot be read.
    """
    found: list[_Found] = []
    async for each in _records(store, storage, which):
        if len(found) == RECORDS_MAX:
            raise UsageError(f"more than {RECORDS_MAX} records; name --regions, or --since")
        found.append(each)
    rows: list[JobRow] = []
    remaining = iter(found)

    async def read() -> None:
        for each in remaining:
            row = await _row(store, each)
            rows.append(row)

    async with anyio.create_task_group() as tasks:
        for _ in range(READS_AT_ONCE):
            tasks.start_soon(read)
    return sorted(rows, key=lambda row: (row.satellite, row.job_name))


async def _records(store: ObjectStore, storage: Storage, which: Which) -> AsyncIterator[_Found]:
    for satellite in which.satellites:
        folder = S3Uri(storage.s3_bucket, f"{storage.s3_base_path}/{satellite}/{RUNS}/")
        # Deeper than the folder lies what belongs to no single job.
        async for page in store.pages(folder, delimiter="/"):
            for each in page.objects:
                name = each.uri.key.removeprefix(folder.key)
                job_name = name.removesuffix(_SUFFIX)
                if name != job_name and which.takes(each, job_name):
                    yield _Found(each.uri, job_name, satellite)


async def _row(store: ObjectStore, found: _Found) -> JobRow:
    try:
        record = await read_record(store, found.uri)
    except (BadRecord, TooLarge) as error:
        return unreadable(found.job_name, found.satellite, str(error))
    if record is None:
        return unreadable(found.job_name, found.satellite, "it was removed while it was read")
    return row_of(record, found.job_name, found.satellite)
