"""What a run needs of its surroundings: settings, an open store, the versions of what it uses."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pipelines.glacier.run.delivery import LARGE_BYTES
from pipelines.glacier.run.settings import RunSettings, parse_settings
from shared.aws.clients import ClientSettings, open_clients
from shared.s3.client import EngineSettings, S3Client
from shared.s3.store import ObjectStore

_IN_FLIGHT = 32
_MEMORY_BYTES = 64 << 20
_LIBRARIES = ("geopandas", "numpy", "pyogrio", "pyproj", "pystac-client", "rasterio", "shapely")


def load_settings() -> RunSettings:
    """Read the environment of this process; BadSettings."""
    return parse_settings(
        os.environ, own_root=str(own_root()), version=_version("towpath") or "unknown"
    )


def own_root() -> Path:
    """Return the folder that this program's packages lie in."""
    return Path(__file__).resolve().parents[3]


@asynccontextmanager
async def open_store(settings: RunSettings) -> AsyncIterator[ObjectStore]:
    """Open S3 as whoever the default chain says we are.

    No uploads are journalled: the disk goes with the run. What a killed one leaves open, the
    bucket's lifecycle rule takes.
    """
    chosen = ClientSettings(
        aws_region=settings.aws_region,
        endpoint_url=settings.endpoint_url,
        connections=_IN_FLIGHT,
    )
    async with open_clients(chosen) as clients:
        bounds = EngineSettings(
            in_flight=_IN_FLIGHT,
            memory_bytes=_MEMORY_BYTES,
            multipart_threshold=LARGE_BYTES,
            # The bucket lies beside the imagery, and so does the function.
            find_regions=False,
        )
        store = S3Client(clients, bounds, None)
        try:
            yield store
        finally:
            await store.aclose()


def libraries() -> Mapping[str, str]:
    """Return the versions of what makes the pixels, as far as it is here."""
    return {name: found for name in _LIBRARIES if (found := _version(name))}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
