"""Makes a result visible, and recognises one that a former owner made visible.

qc.txt first, other files, the table, then the manifest: every one only where nothing is, so that
two owners never write into one runout. A runout counts when its CID's lease is committed to it, and
until then nobody merges it; a runout that loses stays where it is.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from daemons.watcher.outputs import Output, Outputs
from shared.handshake.claims import Claim
from shared.handshake.fields import RECORD_BYTES_MAX
from shared.handshake.layout import JobFolder, Layout, Runout, runout_at
from shared.handshake.listing import Job, Result, list_results
from shared.handshake.manifest import GENERATION, OWNER, Manifest, parse_manifest
from shared.handshake.transfer import fetch_file, read_small
from shared.s3.errors import (
    ChecksumMismatch,
    Conflict,
    InvalidKey,
    NotFound,
    PreconditionFailed,
    TooLarge,
)
from shared.s3.pinned import crc64nvme
from shared.s3.store import ABSENT, ObjectStore, PutOptions, require_evidence
from shared.s3.uri import S3Uri
from shared.s3.wire import encode_crc

_NAMES_TRIED = 120
_DAYS_BEFORE = 2
"""How far behind the day of a job a result of it may be named: clocks are never compared."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One result on its way; made once, so that pushing it again writes the same bytes."""

    job: JobFolder
    outputs: Outputs
    manifest: Manifest
    begun_at: datetime


def prepare(job: Job, claim: Claim, outputs: Outputs, now: datetime) -> Publication:
    """Say what is pushed, by whom and for what."""
    lease = claim.lease
    manifest = Manifest(
        cid=lease.cid,
        job=job.folder,
        generation=lease.generation,
        owner=lease.owner.process,
        producer=producer(),
        created_at=now.isoformat(timespec="seconds"),
        files=tuple(output.file for output in outputs.files),
    )
    return Publication(job.folder, outputs, manifest, now)


@cache
def producer() -> str:
    """Return what computes here; asked once, because reading a version takes milliseconds."""
    try:
        found = version("towpath")
    except PackageNotFoundError:
        found = "of unknown version"
    return f"towpath {found} on {socket.gethostname()}"


class Publisher:
    """Pushes results and finds those that were pushed."""

    def __init__(
        self,
        store: ObjectStore,
        layout: Layout,
        *,
        file_bytes_max: int,
        step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._layout = layout
        self._file_bytes_max = file_bytes_max
        self._step = step

    async def push(self, made: Publication) -> Runout:
        """Push into the first runout of our own; may be called again after any error.

        Raises:
            Conflict: the names of two hours are taken.
            shared.s3.errors: as `ObjectStore.put_file` does.
        """
        cid = made.manifest.cid
        for minutes in range(_NAMES_TRIED):
            runout = runout_at(made.begun_at + timedelta(minutes=minutes), cid)
            try:
                await self._push_into(runout, made)
            except PreconditionFailed:
                continue
            return runout
        note = f"{_NAMES_TRIED} names of results are taken by others"
        raise Conflict(self._layout.runouts, note=note)

    async def _push_into(self, runout: Runout, made: Publication) -> None:
        for output in made.outputs.files:
            await self._put(self._layout.result(runout, output.file.name), made, output)
            self._step("pushed")
        await self._put(self._layout.manifest(runout), made, None)
        self._step("published")

    async def _put(self, uri: S3Uri, made: Publication, output: Output | None) -> None:
        """Put a file, or the manifest; PreconditionFailed when somebody else's lies there."""
        metadata = {GENERATION: str(made.manifest.generation), OWNER: made.manifest.owner}
        body = made.manifest.to_bytes() if output is None else b""
        try:
            if output is None:
                json = PutOptions(content_type="application/json", metadata=metadata)
                stored = await self._store.put(uri, body, when=ABSENT, options=json)
            else:
                options = PutOptions(metadata=metadata)
                stored = await self._store.put_file(
                    uri, output.pinned, when=ABSENT, options=options
                )
            require_evidence(stored)
        except PreconditionFailed:
            # It may be our own, from before an answer that was lost.
            crc = output.file.crc64nvme if output else encode_crc(crc64nvme(body))
            size = output.file.size if output else len(body)
            found = await self._store.head(uri)
            ours = all(found.metadata.get(name) == value for name, value in metadata.items())
            if not ours or found.size != size or found.checksums.crc64nvme not in {"", crc}:
                raise

    async def find(self, job: Job, scratch: Path) -> Runout | None:
        """Return the first whole result of this very job that a former owner pushed, if any."""
        cid = job.folder.cid
        async for result in list_results(self._store, self._layout, after=_before(job.folder)):
            if result.runout.cid != cid or result.manifest is None:
                continue
            if await self._is_whole(result, job, scratch):
                return result.runout
        return None

    async def _is_whole(self, result: Result, job: Job, scratch: Path) -> bool:
        """Compare every byte of a result with what its manifest promises."""
        uri = self._layout.manifest(result.runout)
        try:
            body, _ = await read_small(self._store, uri, limit=RECORD_BYTES_MAX)
            manifest = parse_manifest(body, job.folder.cid)
            if manifest.job != job.folder:
                return False
            for file in manifest.files:
                await fetch_file(
                    self._store,
                    self._layout.result(result.runout, file.name),
                    scratch / "former-result",
                    limit=min(file.size, self._file_bytes_max),
                    crc64nvme=file.crc64nvme,
                )
        except (ValueError, NotFound, TooLarge, ChecksumMismatch, InvalidKey):
            return False
        return True


def _before(job: JobFolder) -> Runout | None:
    """Return a name behind which every result of the job lies."""
    try:
        day = datetime.fromisoformat(job.stamp).replace(tzinfo=UTC)
        return runout_at(day - timedelta(days=_DAYS_BEFORE), "00000")
    except (ValueError, OverflowError):
        return None
