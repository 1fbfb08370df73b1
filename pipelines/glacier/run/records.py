"""A job's record in the bucket: read once, written when a run begins, goes on and ends.

Rule: entries of other submissions are never lost. Each write names the version that was read; where
somebody else was faster, the record is read again and our entry put into what is there now.
"""

from dataclasses import replace

import structlog
from structlog.typing import FilteringBoundLogger

from pipelines.glacier.job_record import BadRecord, JobRecord, RunEntry, parse_record
from pipelines.glacier.layout import run_record
from pipelines.glacier.run.request import Place
from shared.handshake.transfer import read_small
from shared.s3.errors import NotFound, OutcomeUnknown, PreconditionFailed
from shared.s3.store import ABSENT, Matches, ObjectStore, PutOptions, When
from shared.s3.uri import S3Uri

log: FilteringBoundLogger = structlog.get_logger()

RECORD_BYTES_MAX = 8 << 20
"""A longer record loses its oldest entries; whoever waits for a job reads it again and again."""
_READ_BYTES_MAX = 64 << 20
_TRIES = 8
_OPTIONS = PutOptions(content_type="application/json")


class Records:
    """The record of one job."""

    def __init__(self, store: ObjectStore, place: Place) -> None:
        self._store = store
        self._place = place
        self._when: When = ABSENT
        self._record = JobRecord(place.job_name, place.satellite)

    @property
    def key(self) -> str:
        """Where it lies."""
        return self._place.key(str(run_record(self._place.job_name)))

    @property
    def _uri(self) -> S3Uri:
        return S3Uri(self._place.bucket, self.key)

    async def load(self) -> JobRecord:
        """Return the record as it is in the bucket; an empty one where there is none.

        What is no record is replaced by the next save, and told.
        """
        self._record = JobRecord(self._place.job_name, self._place.satellite)
        try:
            content, etag = await read_small(self._store, self._uri, limit=_READ_BYTES_MAX)
        except NotFound:
            self._when = ABSENT
            return self._record
        self._when = Matches(etag)
        try:
            self._record = parse_record(content)
        except BadRecord as error:
            where = {"bucket": self._uri.bucket, "key": self.key, "etag": etag}
            log.warning("record_unreadable", **where, size_bytes=len(content), reason=str(error))
        return self._record

    async def save(self, entry: RunEntry) -> None:
        """Make this the submission's entry, and the newest; raises `shared.s3.errors`."""
        for attempt in range(1, _TRIES + 1):
            record = _bounded(self._record.with_entry(entry))
            try:
                stored = await self._store.put(
                    self._uri,
                    record.to_bytes(),
                    when=self._when,
                    options=_OPTIONS,
                    emulate=True,
                )
            except (PreconditionFailed, OutcomeUnknown):
                if attempt == _TRIES:
                    raise
                await self.load()
            else:
                self._record, self._when = record, Matches(stored.etag)
                return


def _bounded(record: JobRecord) -> JobRecord:
    while len(record.entries) > 1 and len(record.to_bytes()) > RECORD_BYTES_MAX:
        record = replace(record, entries=record.entries[1:])
    return record
