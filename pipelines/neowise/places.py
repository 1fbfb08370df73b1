"""Inputs and results of `process` on S3: fetched before the work, sent when it is complete.

| what S3 says of an input or result         | what it is                            | status |
|--------------------------------------------|---------------------------------------|--------|
| no such object                             | the job names what is not there       | 2      |
| the result is there, with other content    | somebody must decide                  | 2      |
| no credentials, expired ones               | nobody to act as                      | 3      |
| no answer, denied, no such bucket, any 5xx | infrastructure, not the job           | 6      |

`places` are texts from a command line: a path, or `s3://bucket/key`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import anyio

from pipelines.neowise.disk import read_file, told_about, write_file
from pipelines.neowise.settings import Settings
from shared.errors import EndpointRefused, ExitStatus, UsageError
from shared.files import contained, make_folders
from shared.handshake.transfer import fetch_file, read_small
from shared.s3.errors import NotFound, ObjectError, PreconditionFailed, Unsupported
from shared.s3.store import ABSENT, ALWAYS, ObjectStore, require_evidence
from shared.s3.uri import S3Uri, parse_uri

_IN_FLIGHT = 16
_LARGEST = 1 << 30
_INPUTS_MAX = 10_000
_SEEDS = ".parquet"
Result = TypeVar("Result")


def is_remote(place: str) -> bool:
    """Whether a place is in S3."""
    return place.startswith("s3://")


def fetch_object(place: str, folder: Path, settings: Settings) -> Path:
    """Bring one object into a folder and return its path; a local place is returned as it is."""
    if not is_remote(place):
        return Path(place)
    uri = _uri(place)

    async def fetch(store: ObjectStore) -> Path:
        return await _fetch(store, uri, folder, uri.key.rpartition("/")[2])

    return _with_store(settings, fetch)


def fetch_seeds(place: str, folder: Path, settings: Settings) -> Path:
    """Bring the seeds below a prefix, or one of them, into a folder; a local place stays."""
    if not is_remote(place):
        return Path(place)
    uri = _uri(place)

    async def fetch(store: ObjectStore) -> Path:
        for key in await _seed_keys(store, uri):
            relative = key.removeprefix(uri.key).lstrip("/") or key.rpartition("/")[2]
            await _fetch(store, S3Uri(uri.bucket, key), folder, relative)
        return folder

    return _with_store(settings, fetch)


def deliver(files: Sequence[Path], place: str, settings: Settings) -> list[str]:
    """Put results into a folder or below a prefix, in this order; returns where they are.

    Raises:
        UsageError: something else has the name; nothing of it was changed.
    """
    if not is_remote(place):
        folder = Path(place)
        return [_deliver_locally(path, folder / path.name) for path in files]
    prefix = _uri(place, may_be_bucket=True)
    key = f"{prefix.key.rstrip('/')}/" if prefix.key else ""

    async def send(store: ObjectStore) -> list[str]:
        uris = [S3Uri(prefix.bucket, key + path.name) for path in files]
        for path, uri in zip(files, uris, strict=True):
            await _send(store, uri, read_file(path))
        return [str(uri) for uri in uris]

    return _with_store(settings, send)


def _uri(place: str, *, may_be_bucket: bool = False) -> S3Uri:
    try:
        uri = parse_uri(place)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if not (uri.key or may_be_bucket):
        raise UsageError(f"{place!r} names a bucket and no object; write s3://bucket/key")
    return uri


def _deliver_locally(source: Path, target: Path) -> str:
    content = read_file(source)
    if target.exists():
        if read_file(target) != content:
            raise _taken(str(target))
    else:
        write_file(target, content)
    return str(target)


def _taken(place: str) -> UsageError:
    return UsageError(
        f"{place!r} is there with other content; remove it or name another place with --out"
    )


async def _seed_keys(store: ObjectStore, uri: S3Uri) -> list[str]:
    """Return the one key that was named, or the Parquet files below the prefix."""
    if uri.key.endswith(_SEEDS):
        return [uri.key]
    prefix = S3Uri(uri.bucket, f"{uri.key.rstrip('/')}/")
    keys: list[str] = []
    async for page in store.pages(prefix):
        keys += [info.uri.key for info in page.objects if info.uri.key.endswith(_SEEDS)]
        if len(keys) > _INPUTS_MAX:
            raise UsageError(f"{str(uri)!r} holds more than {_INPUTS_MAX} seeds; name one chunk")
    if not keys:
        raise UsageError(f"{str(uri)!r} holds no seed; a prefix with *{_SEEDS} is needed")
    return keys


async def _fetch(store: ObjectStore, uri: S3Uri, folder: Path, relative: str) -> Path:
    target = contained(folder, relative)
    with told_about(target, "written"):
        make_folders(target.parent)
        return (await fetch_file(store, uri, target, limit=_LARGEST)).path


async def _send(store: ObjectStore, uri: S3Uri, content: bytes) -> None:
    """Create the object; one with the same content is as good."""
    try:
        there, _ = await read_small(store, uri, limit=len(content))
    except NotFound:
        pass
    except ObjectError as error:
        if error.status != ExitStatus.UNEXPECTED:
            raise
        raise _taken(str(uri)) from error
    else:
        if there != content:
            raise _taken(str(uri))
        return
    try:
        stored = await store.put(uri, content, when=ABSENT)
    except PreconditionFailed as error:
        raise _taken(str(uri)) from error
    except Unsupported:
        # The store knows no conditions; nothing was there a moment ago, and more cannot be had.
        stored = await store.put(uri, content, when=ALWAYS)
    require_evidence(stored)


def _with_store(settings: Settings, work: Callable[[ObjectStore], Awaitable[Result]]) -> Result:
    """Open S3, do the work, and say what went wrong in the words of the table above."""

    async def main() -> Result:
        async with _opened(settings) as store:
            return await work(store)

    try:
        return anyio.run(main)
    except NotFound as error:
        raise UsageError(f"{str(error.uri)!r} is not there") from error
    except ObjectError as error:
        if error.status != ExitStatus.UNEXPECTED:
            raise
        raise EndpointRefused(str(error)) from error


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[ObjectStore]:
    # The AWS SDK takes as long to load as all the rest, and only S3 needs it.
    from shared.engine import EngineOptions, open_engine  # noqa: PLC0415

    options = EngineOptions(
        aws_region=settings.aws_region,
        profile=settings.profile,
        endpoint_url=settings.endpoint_url,
        in_flight=_IN_FLIGHT,
    )
    # A container's disk goes with it: what a kill leaves open is the bucket's lifecycle rule's.
    async with open_engine(options, journal=None) as engine:
        yield engine.store
