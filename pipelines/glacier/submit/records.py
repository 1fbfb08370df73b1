"""The records of one submission's jobs."""

from pipelines.glacier.job_record import RunEntry
from pipelines.glacier.record_reading import read_record, record_uri
from pipelines.glacier.submit.submission import Submission
from shared.s3.store import ObjectStore


class SubmissionRecords:
    """Reads what whoever runs the jobs has written about them."""

    def __init__(self, store: ObjectStore, submission: Submission) -> None:
        self._store = store
        self._submission = submission

    async def entry(self, job_name: str) -> RunEntry | None:
        """Return this submission's entry in a record; BadRecord, `shared.s3.errors`."""
        storage, satellite = self._submission.storage, self._submission.satellite
        uri = record_uri(storage.s3_bucket, storage.s3_base_path, satellite, job_name)
        record = await read_record(self._store, uri)
        return None if record is None else record.entry(self._submission.submission_id)

    def place(self, job_name: str) -> str:
        """Return where the record of a job lies."""
        storage, satellite = self._submission.storage, self._submission.satellite
        return str(record_uri(storage.s3_bucket, storage.s3_base_path, satellite, job_name))
