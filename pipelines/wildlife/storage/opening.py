"""Opening the storage that the URIs of a run need: S3 only where a URI is in S3."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from pipelines.wildlife.document.places import Scheme, locate
from pipelines.wildlife.storage.bucket import BucketStorage
from pipelines.wildlife.storage.folder import FolderStorage
from pipelines.wildlife.storage.mixed import MixedStorage
from pipelines.wildlife.storage.protocol import Storage
from shared.engine import EngineOptions, open_engine


@asynccontextmanager
async def open_storage(uris: Iterable[str], options: EngineOptions) -> AsyncIterator[Storage]:
    """Open what these URIs need; raises what `shared.engine.open_engine` does."""
    if all(locate(uri).scheme == "file" for uri in uris):
        yield FolderStorage()
        return
    async with open_engine(options, journal=None) as engine:
        storages: dict[Scheme, Storage] = {
            "s3": BucketStorage(engine.store),
            "file": FolderStorage(),
        }
        yield MixedStorage(storages)
