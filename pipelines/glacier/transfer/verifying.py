"""What lies below the project's prefix, read whole and checked against the folder here.

Everything that a check needs is downloaded and hashed: a size, an ETag or a time is no answer to
the question whether a handler would get these very files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from anyio import to_thread

from pipelines.glacier.region_file import REGION_FILE, load_regions
from pipelines.glacier.transfer.excludes import Rules
from pipelines.glacier.transfer.local_project import Project
from pipelines.glacier.transfer.manifest import (
    CONFIG,
    MANIFEST_BYTES_MAX,
    MANIFEST_NAME,
    PROJECT_PREFIX,
    BadManifest,
    Entry,
    Manifest,
    parse_manifest,
)
from pipelines.glacier.transfer.objects import Patience, list_below
from pipelines.glacier.transfer.syncing import AT_ONCE
from pipelines.glacier.transfer.verification import (
    Check,
    Held,
    check_config,
    check_excluded,
    check_manifest,
    check_regions,
    check_step_files,
)
from shared.errors import UsageError
from shared.handshake.transfer import read_small
from shared.s3.errors import NotFound, TooLarge
from shared.s3.store import ObjectInfo, ObjectStore
from shared.s3.uri import S3Uri

_REGIONS_PATH = REGION_FILE.as_posix()
_REGIONS_BYTES_MAX = 64 << 20


class NothingThere(UsageError):
    """The prefix is empty, so that nothing can be checked."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the prefix is held against."""

    project: Project
    rules: Rules
    regions: int
    """How many the region file has."""


async def verify(store: ObjectStore, bucket: str, wanted: Wanted) -> tuple[Check, ...]:
    """Run the five checks.

    Raises:
        NothingThere: there is no object below the prefix.
        shared.s3.errors: the bucket does not answer.
    """
    objects = await list_below(store, S3Uri(bucket, PROJECT_PREFIX))
    if not objects:
        where = S3Uri(bucket, PROJECT_PREFIX)
        raise NothingThere(f"{where} is empty; run `towpath glacier sync`")
    reading = _Reading(store, bucket, objects)
    held = await reading.everything()
    count, fault = await reading.regions()
    here = wanted.project.entries
    return (
        check_config(here, held),
        check_step_files(here, held),
        check_regions(_REGIONS_PATH, wanted.regions, count, fault),
        check_excluded(held, wanted.rules),
        check_manifest(held),
    )


class _Reading:
    def __init__(self, store: ObjectStore, bucket: str, objects: Mapping[str, ObjectInfo]) -> None:
        self._store = store
        self._bucket = bucket
        self._objects = objects
        self._patience = Patience()
        self._slots = anyio.CapacityLimiter(AT_ONCE)

    async def everything(self) -> Held:
        """Read the manifest, and then whatever it names and config.ini."""
        manifest, fault = await self._manifest()
        listed = {} if manifest is None else manifest.files
        read: dict[str, Entry] = {}
        async with anyio.create_task_group() as tasks:
            for path in sorted({*listed, CONFIG}.intersection(self._objects)):
                tasks.start_soon(self._hash, path, listed.get(path), read)
        return Held(frozenset(self._objects), read, manifest, fault)

    async def regions(self) -> tuple[int | None, str]:
        """Return how many regions the region file has, or None and why that cannot be told."""
        if _REGIONS_PATH not in self._objects:
            return None, "is not there"
        try:
            content = await self._read_small(_REGIONS_PATH, _REGIONS_BYTES_MAX)
        except (NotFound, TooLarge):
            return None, f"is gone, or has more than {_REGIONS_BYTES_MAX} bytes"
        return await to_thread.run_sync(_count_regions, content)

    async def _manifest(self) -> tuple[Manifest | None, str]:
        try:
            return parse_manifest(await self._read_small(MANIFEST_NAME, MANIFEST_BYTES_MAX)), ""
        except NotFound:
            return None, "is not there; run `towpath glacier sync`"
        except TooLarge:
            return None, f"has more than {MANIFEST_BYTES_MAX} bytes"
        except BadManifest as error:
            return None, str(error)

    async def _hash(self, path: str, wanted: Entry | None, read: dict[str, Entry]) -> None:
        size = self._objects[path].size
        if wanted is not None and size != wanted.size:
            read[path] = Entry(size, "")
            return
        try:
            async with self._slots:
                read[path] = await self._patience.read(lambda: self._hash_once(path))
        except NotFound:
            return

    async def _hash_once(self, path: str) -> Entry:
        digest, size = sha256(), 0
        async with self._store.get(self._uri(path)) as download:
            async for piece in download:
                digest.update(piece)
                size += len(piece)
        return Entry(size, digest.hexdigest())

    async def _read_small(self, path: str, limit: int) -> bytes:
        uri = self._uri(path)
        content, _ = await self._patience.read(lambda: read_small(self._store, uri, limit=limit))
        return content

    def _uri(self, path: str) -> S3Uri:
        return S3Uri(self._bucket, f"{PROJECT_PREFIX}{path}")


def _count_regions(content: bytes) -> tuple[int | None, str]:
    """Read the regions out of a file of their own: SQLite reads no other way."""
    with TemporaryDirectory(prefix="towpath-") as folder:
        # The layer has the file's name.
        path = Path(folder) / REGION_FILE.name
        path.write_bytes(content)
        try:
            return len(load_regions(path)), ""
        except UsageError as error:
            fault = str(error).splitlines()[0].replace(repr(str(path)), "").strip()
            return None, f"cannot be read: {fault}"
