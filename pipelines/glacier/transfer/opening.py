"""S3 for one command: whoever the project's file, or the machine, says that we are."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipelines.glacier.lines import where
from pipelines.glacier.lines.sources import Sources
from pipelines.glacier.lines.storage import resolve_storage
from pipelines.glacier.project import aws_keys
from pipelines.glacier.transfer.manifest import PROJECT_BYTES_MAX
from shared.engine import EngineOptions, open_engine
from shared.s3.store import ObjectStore

_IN_FLIGHT = 32


@asynccontextmanager
async def open_store(sources: Sources) -> AsyncIterator[ObjectStore]:
    """Open S3 for the length of a block; CredentialsMissing."""
    options = EngineOptions(
        aws_region=resolve_storage(sources).aws_region,
        profile=sources.aws.values.get(aws_keys.AWS_PROFILE),
        endpoint_url=sources.line.get(where.ENDPOINT_URL),
        in_flight=_IN_FLIGHT,
        # Nothing goes in parts, which a crash could leave open with nobody to sweep them.
        multipart_threshold=PROJECT_BYTES_MAX + 1,
    )
    async with open_engine(options, journal=None) as engine:
        yield engine.store
