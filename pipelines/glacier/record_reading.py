"""Reading the records of jobs from the bucket of the results.

Rule: it reads and nothing else; only who runs a job writes its record.
"""

from pipelines.glacier.job_record import JobRecord, parse_record
from pipelines.glacier.layout import run_record
from shared.handshake.transfer import read_small
from shared.s3.errors import NotFound
from shared.s3.store import ObjectStore
from shared.s3.uri import S3Uri

RECORD_BYTES_MAX = 64 * 1024 * 1024
_READ_SECONDS = 60.0


def record_uri(bucket: str, base_path: str, satellite: str, job_name: str) -> S3Uri:
    """Return where the record of a job lies."""
    return S3Uri(bucket, f"{base_path}/{satellite}/{run_record(job_name)}")


async def read_record(store: ObjectStore, uri: S3Uri) -> JobRecord | None:
    """Return a record, None where there is none; BadRecord, TooLarge, `shared.s3.errors`."""
    try:
        content, _ = await read_small(store, uri, limit=RECORD_BYTES_MAX, deadline=_READ_SECONDS)
    except NotFound:
        return None
    return parse_record(content)
