"""Storage that goes by the scheme of each URI: pictures in a bucket, results in a folder, or so."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from pipelines.wildlife.document.places import Place, Scheme, locate
from pipelines.wildlife.layout import Kind
from pipelines.wildlife.storage.protocol import Entry, Storage, Unusable


class MixedStorage(Storage):
    """One storage for each scheme that is open."""

    def __init__(self, storages: Mapping[Scheme, Storage]) -> None:
        self._storages = storages

    def walk(self, place: Place) -> AsyncIterator[Entry]:
        """List what lies below a place."""
        return self._chosen(place.scheme, str(place)).walk(place)

    async def stat(self, uri: str) -> Entry:
        """Describe one object."""
        return await self._of(uri).stat(uri)

    async def read(self, uri: str, *, start: int = 0, length: int | None = None) -> bytes:
        """Return the bytes of an object."""
        return await self._of(uri).read(uri, start=start, length=length)

    def stream(self, uri: str) -> AsyncIterator[bytes]:
        """Yield the bytes of an object."""
        return self._of(uri).stream(uri)

    async def write(self, uri: str, body: bytes, *, kind: Kind) -> None:
        """Put an object."""
        await self._of(uri).write(uri, body, kind=kind)

    async def write_file(self, uri: str, source: Path, *, kind: Kind) -> None:
        """Put the content of a file."""
        await self._of(uri).write_file(uri, source, kind=kind)

    def _of(self, uri: str) -> Storage:
        try:
            scheme = locate(uri).scheme
        except ValueError as error:
            raise Unusable(str(error)) from error
        return self._chosen(scheme, uri)

    def _chosen(self, scheme: Scheme, uri: str) -> Storage:
        storage = self._storages.get(scheme)
        if storage is None:
            raise Unusable(f"{uri[:200]!r} is out of reach here; open are {[*self._storages]}")
        return storage
