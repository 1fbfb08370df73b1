"""The few verbs that a run needs of the place where pictures and results lie. Types alone.

URIs go in and out as text, as they are written into manifests.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pipelines.wildlife.document.places import Place
from pipelines.wildlife.layout import Kind
from shared.errors import PermanentError


class Missing(PermanentError):
    """There is no object of this name."""


class Unusable(PermanentError):
    """A folder or file cannot be read or written."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An object as a listing has it."""

    uri: str
    relative: str
    """Its name below the place that was listed."""
    size: int
    """Bytes."""
    etag: str
    """Changes with the content; of a file it is made of size and time of modification."""
    modified: datetime


class Storage(Protocol):
    """Objects by their URIs; each verb may be called concurrently and is bounded in time.

    Raises:
        Missing: there is no such object.
        Unusable: a folder or file cannot be used.
        shared.s3.errors.ObjectError: S3 refused or failed.
    """

    def walk(self, place: Place) -> AsyncIterator[Entry]:
        """List what lies below a place, in the order of the names' bytes."""

    async def stat(self, uri: str) -> Entry:
        """Describe one object; `relative` is its last segment."""

    async def read(self, uri: str, *, start: int = 0, length: int | None = None) -> bytes:
        """Return the bytes of an object, or `length` of them; fewer where it ends before."""

    def stream(self, uri: str) -> AsyncIterator[bytes]:
        """Yield the bytes of an object in pieces of at most 1 MiB."""

    async def write(self, uri: str, body: bytes, *, kind: Kind) -> None:
        """Put an object in the place of whatever is there, whole or not at all."""

    async def write_file(self, uri: str, source: Path, *, kind: Kind) -> None:
        """Put the content of a local file there, whole or not at all, in bounded memory."""
