"""Open S3 as whoever this machine lets us be: identity first, then clients, then the store.

Rule: opened once, at start, for as long as the daemon lives; nothing here knows what is moved.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import structlog
from structlog.typing import FilteringBoundLogger

from shared.aws.clients import ClientPool, ClientSettings, open_clients
from shared.aws.identity import Identity, describe_identity, find_place, plan_credentials
from shared.aws.imds import Imds, open_imds
from shared.daemon_settings import DaemonSettings
from shared.s3.client import EngineSettings, S3Client
from shared.s3.errors import ObjectError
from shared.s3.journal import FileJournal
from shared.s3.store import ObjectStore, UploadJournal

log: FilteringBoundLogger = structlog.get_logger()

_MEBIBYTE = 1024 * 1024
_SWEEP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Engine:
    """An open object store, and what is known of the machine it is used from."""

    store: ObjectStore
    clients: ClientPool
    place: Identity
    imds: Imds | None
    """The metadata service; None where there is none, which is anywhere but on EC2."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Whom to act as, where, and within which bounds."""

    aws_region: str
    profile: str | None
    endpoint_url: str | None
    in_flight: int
    memory_bytes: int = 32 * _MEBIBYTE
    multipart_threshold: int = 16 * _MEBIBYTE


def engine_options(settings: DaemonSettings) -> EngineOptions:
    """Return what a daemon's settings say about S3."""
    return EngineOptions(
        aws_region=settings.aws_region,
        profile=settings.profile,
        endpoint_url=settings.endpoint_url,
        in_flight=settings.requests_in_flight,
    )


@asynccontextmanager
async def open_engine(
    options: EngineOptions,
    *,
    journal: UploadJournal | None,
    progress: Callable[[], None] = lambda: None,
) -> AsyncIterator[Engine]:
    """Find out who we are and open S3; CredentialsMissing on a laptop without any.

    Without a journal, nobody can sweep the multipart uploads that a crash leaves open; None is for
    those who send no large files, or have no disk that outlives them.
    """
    async with open_imds() as imds:
        place = await find_place(imds)
        plan = plan_credentials(place, options.profile)
        if plan.ignored_profile:
            log.warning("profile_ignored", profile=plan.ignored_profile, reason="the role acts")
        chosen = ClientSettings(
            aws_region=options.aws_region,
            profile=plan.profile,
            endpoint_url=options.endpoint_url,
            instance_role=plan.instance_role,
            connections=options.in_flight,
        )
        async with open_clients(chosen) as clients:
            known = await describe_identity(place, plan, clients.caller_identity)
            bounds = EngineSettings(
                in_flight=options.in_flight,
                memory_bytes=options.memory_bytes,
                multipart_threshold=options.multipart_threshold,
                progress=progress,
            )
            # Opened now: the first request must not wait for it.
            await clients.client("s3")
            store = S3Client(clients, bounds, journal)
            yield Engine(store, clients, known, imds if place.on_ec2 else None)


async def sweep_uploads(store: ObjectStore, journal: FileJournal) -> None:
    """Abort the multipart uploads that an earlier run left open; what fails is tried next time."""
    with anyio.move_on_after(_SWEEP_SECONDS):
        for upload in await journal.leftovers():
            facts = {"bucket": upload.uri.bucket, "key": upload.uri.key}
            try:
                await store.abort(upload)
                log.info("upload_aborted", **facts, upload_id=upload.upload_id)
            except ObjectError as error:
                log.warning("upload_not_aborted", **facts, code=error.code, reason=str(error))
