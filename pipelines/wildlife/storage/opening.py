"""Opening the storage that the URIs of a run need: S3 only where a URI is in S3."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from pipelines.wildlife.document.places import Scheme, locate
from pipelines.wildlife.storage.folder import FolderStorage
from pipelines.wildlife.storage.mixed import MixedStorage
from pipelines.wildlife.storage.protocol import Storage


class Account(Protocol):
    """As whom to speak to S3, where, and with how many requests at once."""

    @property
    def aws_region(self) -> str:
        """Region to ask first."""

    @property
    def profile(self) -> str | None:
        """Named credentials."""

    @property
    def endpoint_url(self) -> str | None:
        """Another service than AWS."""

    @property
    def in_flight(self) -> int:
        """Requests under way at once."""


@dataclass(frozen=True, slots=True)
class StorageAccount:
    """An account that costs nothing where it is not used."""

    aws_region: str
    profile: str | None
    endpoint_url: str | None
    in_flight: int


@asynccontextmanager
async def open_storage(uris: Iterable[str], account: Account) -> AsyncIterator[Storage]:
    """Open what these URIs need; raises what `shared.engine.open_engine` does."""
    if all(locate(uri).scheme == "file" for uri in uris):
        yield FolderStorage()
        return
    # Imported where it is needed: the SDK takes a second, and folders do without it.
    from pipelines.wildlife.storage.bucket import BucketStorage  # noqa: PLC0415 - see above
    from shared.aws.quick_reads import open_quick_reads  # noqa: PLC0415 - the same
    from shared.engine import EngineOptions, open_engine  # noqa: PLC0415 - the same

    options = EngineOptions(
        aws_region=account.aws_region,
        profile=account.profile,
        endpoint_url=account.endpoint_url,
        in_flight=account.in_flight,
    )
    async with (
        open_engine(options, journal=None) as engine,
        open_quick_reads(engine.clients, options.in_flight) as quick,
    ):
        storages: dict[Scheme, Storage] = {
            "s3": BucketStorage(engine.store, quick),
            "file": FolderStorage(),
        }
        yield MixedStorage(storages)
