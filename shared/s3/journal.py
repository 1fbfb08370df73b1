"""Multipart uploads under way, recorded on disk: after a crash this is the list of what to abort.

One small file an upload, written durably before the first part is sent and removed when the upload
has ended. A listing of the bucket cannot take its place: other machines may share the bucket.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import anyio.to_thread
import structlog
from structlog.typing import FilteringBoundLogger

from shared.files import fsync_directory, write_durably
from shared.s3.store import OpenUpload, UploadJournal
from shared.s3.uri import S3Uri

log: FilteringBoundLogger = structlog.get_logger()

_VERSION = 1
_SUFFIX = ".json"
_DIGEST_LETTERS = 32
_LONGEST_RECORD = 16 * 1024


class FileJournal(UploadJournal):
    """Keeps the records in `folder`, which nothing else writes to; it is made when needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def opened(self, upload: OpenUpload) -> None:
        """Record the upload; returns once the record would survive a power cut.

        Raises:
            OSError: it could not be recorded; the upload must not go on.
        """
        await anyio.to_thread.run_sync(self._write, upload)

    async def closed(self, upload: OpenUpload) -> None:
        """Remove the record; one that is not there is no error.

        The removal need not be durable: aborting an upload that has ended does no harm.
        """
        path = self._folder / _name(upload)
        await anyio.to_thread.run_sync(lambda: path.unlink(missing_ok=True))

    async def leftovers(self) -> Sequence[OpenUpload]:
        """Return the uploads that an earlier process left; what cannot be read is logged, skipped.

        A file that is no record stays where it is: it may be somebody's, and does no harm.
        """
        return await anyio.to_thread.run_sync(self._read_all)

    def _write(self, upload: OpenUpload) -> None:
        if not self._folder.is_dir():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fsync_directory(self._folder.parent)
        record = {
            "version": _VERSION,
            "bucket": upload.uri.bucket,
            "key": upload.uri.key,
            "upload_id": upload.upload_id,
            "started_at": upload.started_at.isoformat() if upload.started_at else None,
        }
        write_durably(self._folder / _name(upload), json.dumps(record).encode(), mode=0o600)

    def _read_all(self) -> Sequence[OpenUpload]:
        try:
            paths = sorted(self._folder.iterdir())
        except FileNotFoundError:
            return []
        found = (_read(path) for path in paths if path.suffix == _SUFFIX and path.is_file())
        return [upload for upload in found if upload is not None]


def parse_record(text: bytes) -> OpenUpload:
    """Read one record.

    Raises:
        ValueError: it is torn, or not a record of this journal.
    """
    try:
        record = json.loads(text)
        if record["version"] != _VERSION:
            raise ValueError(f"version {record['version']!r} is not {_VERSION}")
        started = record["started_at"]
        return OpenUpload(
            S3Uri(_text(record["bucket"]), _text(record["key"])),
            _text(record["upload_id"]),
            None if started is None else datetime.fromisoformat(started),
        )
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not a record of an upload: {error!r}") from error


def _read(path: Path) -> OpenUpload | None:
    try:
        with path.open("rb") as file:
            upload = parse_record(file.read(_LONGEST_RECORD))
        if path.name != _name(upload):
            raise ValueError("the name is not that of its content")  # noqa: TRY301 - one way out
    except (OSError, ValueError) as error:
        log.warning("journal_record_skipped", path=str(path), error=str(error))
        return None
    return upload


def _name(upload: OpenUpload) -> str:
    """Return a file name that any key has: keys are longer than names may be, and hold slashes."""
    named = f"{upload.uri.bucket}\0{upload.uri.key}\0{upload.upload_id}"
    return hashlib.sha256(named.encode()).hexdigest()[:_DIGEST_LETTERS] + _SUFFIX


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value!r} is no text")
    return value
