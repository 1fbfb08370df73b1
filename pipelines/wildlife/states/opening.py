"""Opens the storage of a run: what its document names, and what its settings do."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from pipelines.wildlife.document.places import locate
from pipelines.wildlife.settings import RunSettings
from pipelines.wildlife.states.world import Event
from pipelines.wildlife.storage.opening import StorageAccount, open_storage
from pipelines.wildlife.storage.protocol import Storage

_NAMED = ("clocks_uri", "known_places_uri", "model_uri", "model_labels_uri", "species_uri")


@asynccontextmanager
async def open_run_storage(settings: RunSettings, event: Event) -> AsyncIterator[Storage]:
    """Open S3 if anything lies there; raises what `shared.engine.open_engine` does.

    What is no URI is left to the state that reads it, which says so in its own words.
    """
    options = StorageAccount(
        aws_region=settings.aws_region,
        profile=settings.profile,
        endpoint_url=settings.endpoint_url,
        in_flight=settings.requests_in_flight,
    )
    async with open_storage(_uris(settings, event), options) as storage:
        yield storage


def _uris(settings: RunSettings, event: Event) -> Iterator[str]:
    named = (event.get("input_uri"), event.get("output_uri"))
    for uri in (*named, *(getattr(settings, name) for name in _NAMED)):
        try:
            locate(str(uri))
        except ValueError:
            continue
        yield str(uri)
