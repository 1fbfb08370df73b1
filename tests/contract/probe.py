"""What the object store suite does with an engine, in one word each."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from shared.s3.store import (
    Evidence,
    OpenUpload,
    Page,
    PinnedFile,
    Span,
    Stored,
)
from shared.s3.uri import S3Uri
from tests.contract.engines import BUCKET, Engine


@dataclass
class RecordingJournal:
    """Remembers what it was told, and lets a test do something at that very moment."""

    told: list[tuple[str, OpenUpload]] = field(default_factory=list)
    on_opened: Callable[[], Awaitable[None]] | None = None

    async def opened(self, upload: OpenUpload) -> None:
        """Note the upload, then let the test have its moment."""
        self.told.append(("opened", upload))
        if self.on_opened:
            await self.on_opened()

    async def closed(self, upload: OpenUpload) -> None:
        """Note that it is over."""
        self.told.append(("closed", upload))

    def left_open(self) -> set[str]:
        """Return the ids that were opened and never closed."""
        opened = {upload.upload_id for event, upload in self.told if event == "opened"}
        return opened - {upload.upload_id for event, upload in self.told if event == "closed"}


@dataclass
class SourceFile:
    """A file on disk, pinned as a daemon would pin it."""

    path: Path
    body: bytes
    pinned: PinnedFile


def uri(key: str) -> S3Uri:
    """Name an object of the usual bucket."""
    return S3Uri(BUCKET, key)


async def read(engine: Engine, where: S3Uri, span: Span | None = None) -> bytes:
    """Read an object's bytes."""
    async with engine.store.get(where, span=span) as download:
        return b"".join([piece async for piece in download])


async def read_pages(
    engine: Engine, prefix: str = "", *, after: str = "", delimiter: str = ""
) -> list[Page]:
    """Read a whole listing."""
    listing = engine.store.pages(uri(prefix), after=after, delimiter=delimiter)
    return [page async for page in listing]


async def list_keys(engine: Engine, prefix: str = "", *, after: str = "") -> list[str]:
    """Read the keys of a whole listing."""
    pages = await read_pages(engine, prefix, after=after)
    return [found.uri.key for page in pages for found in page.objects]


async def uploads_of(engine: Engine) -> list[OpenUpload]:
    """List what is neither completed nor aborted."""
    return [upload async for upload in engine.store.open_uploads(S3Uri(BUCKET))]


async def assert_nothing_left(engine: Engine, journal: RecordingJournal) -> None:
    """Check that a failed write left no trace."""
    assert await list_keys(engine) == []
    assert await uploads_of(engine) == []
    assert journal.left_open() == set()


def known_checksums(engine: Engine, stored: Stored) -> set[str]:
    """Return what a HEAD may say: nothing is fair where the server does not answer with it."""
    exact = {stored.checksums.crc64nvme}
    return exact if engine.least_evidence is Evidence.ANSWERED else exact | {""}
