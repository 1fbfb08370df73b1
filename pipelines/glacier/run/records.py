"""A job's record in the bucket: read once, written when a run begins, goes on and ends.

Rule: entries of other submissions are never lost. Each write names the version that was read; where
somebody else was faster, the record is read again and our entry put into what is there now.

Platforms deliver a request twice at the same time, if seldom. Then both work on one entry:

| the other delivery       | ours            | the entry says                                      |
|--------------------------|-----------------|-----------------------------------------------------|
| success, no_data         | anything worse  | what the other says                                 |
| anything                 | anything        | what ours says                                      |

Scenes that either wrote, and files of both, are in it.
"""

from dataclasses import replace

import structlog
from structlog.typing import FilteringBoundLogger

from pipelines.glacier.job_record import (
    BadRecord,
    JobRecord,
    RunEntry,
    RunStatus,
    SceneEntry,
    parse_record,
)
from pipelines.glacier.layout import run_record
from pipelines.glacier.run.request import Place
from shared.handshake.transfer import read_small
from shared.s3.errors import NotFound, OutcomeUnknown, PreconditionFailed, TooLarge
from shared.s3.store import ABSENT, Matches, ObjectStore, PutOptions, When
from shared.s3.uri import S3Uri

log: FilteringBoundLogger = structlog.get_logger()

RECORD_BYTES_MAX = 8 << 20
"""A longer record loses its oldest entries; whoever waits for a job reads it again and again."""
_READ_BYTES_MAX = 64 << 20
_REQUEST_SECONDS = 60.0
_TRIES = 8
_SETTLED: frozenset[RunStatus] = frozenset({"success", "no_data"})
_OPTIONS = PutOptions(content_type="application/json")


class Records:
    """The record of one job."""

    def __init__(self, store: ObjectStore, place: Place) -> None:
        self._store = store
        self._place = place
        self._when: When = ABSENT
        self._record = JobRecord(place.job_name, place.satellite)
        self._own: RunEntry | None = None
        """Our submission's entry as we saved it last, or as it was before."""
        self._other: RunEntry | None = None
        """The same as another delivery saved it meanwhile."""

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
            content, etag = await read_small(
                self._store, self._uri, limit=_READ_BYTES_MAX, deadline=_REQUEST_SECONDS
            )
        except NotFound:
            self._when = ABSENT
            return self._record
        except TooLarge:
            info = await self._store.head(self._uri, deadline=_REQUEST_SECONDS)
            content, etag = b"", info.etag
        self._when = Matches(etag)
        try:
            self._record = parse_record(content)
        except BadRecord as error:
            where = {"bucket": self._uri.bucket, "key": self.key, "etag": etag}
            log.warning("record_unreadable", **where, size_bytes=len(content), reason=str(error))
        return self._record

    async def save(self, entry: RunEntry) -> None:
        """Make this the submission's entry, and the newest; raises `shared.s3.errors`."""
        if self._own is None:
            self._own = self._record.entry(entry.submission_id)
        for attempt in range(1, _TRIES + 1):
            record, content = _bounded(self._record.with_entry(self._beside_other(entry)))
            try:
                stored = await self._store.put(
                    self._uri,
                    content,
                    when=self._when,
                    options=_OPTIONS,
                    deadline=_REQUEST_SECONDS,
                    emulate=True,
                )
            except (PreconditionFailed, OutcomeUnknown):
                if attempt == _TRIES:
                    raise
                await self.load()
            else:
                self._record, self._when = record, Matches(stored.etag)
                self._own = record.entry(entry.submission_id)
                return

    def _beside_other(self, entry: RunEntry) -> RunEntry:
        """Return the entry with what another delivery of the same submission has put there."""
        theirs = self._record.entry(entry.submission_id)
        if theirs is not None and theirs not in (self._own, entry):
            self._other = theirs
            log.warning("request_delivered_twice", key=self.key, status_of_other=theirs.status)
        return entry if self._other is None else _joined(entry, self._other)


def _joined(ours: RunEntry, theirs: RunEntry) -> RunEntry:
    files = {file.key: file for file in (*theirs.files, *ours.files)}
    scenes = {each.id: each for each in theirs.scenes if each.status != "pending"}
    for each in ours.scenes:
        scenes[each.id] = _further(each, scenes.get(each.id))
    joined = replace(ours, files=tuple(files.values()), scenes=tuple(scenes.values()))
    if theirs.status not in _SETTLED or ours.status in _SETTLED:
        return joined
    return replace(
        joined,
        status=theirs.status,
        ended_at=theirs.ended_at,
        error=theirs.error,
        response=theirs.response,
    )


def _further(ours: SceneEntry, theirs: SceneEntry | None) -> SceneEntry:
    """Return the entry of a scene that says more: what is written stays written."""
    if theirs is None or (theirs.status != "written" and ours.status != "pending"):
        return ours
    return theirs


def _bounded(record: JobRecord) -> tuple[JobRecord, bytes]:
    content = record.to_bytes()
    while len(record.entries) > 1 and len(content) > RECORD_BYTES_MAX:
        record = replace(record, entries=record.entries[1:])
        content = record.to_bytes()
    return record, content
