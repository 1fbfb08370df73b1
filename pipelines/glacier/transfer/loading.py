"""A synced project from S3 into a folder: exactly the files of its manifest, or an error.

A folder that an earlier call has filled is used again: what in it has the hash of the manifest
stays, all else goes. Rule: when this returns, the folder holds the manifest's files and nothing
else; when it raises, nothing in the folder may be run.

| below the prefix                              | then                                   |
|-----------------------------------------------|----------------------------------------|
| no manifest, or one that contradicts itself   | ProjectGap                             |
| a key, or a manifest's name, that leads out   | ProjectGap                             |
| a file of the manifest that is missing        | ProjectGap                             |
| a file with another size or hash              | ProjectGap                             |
| a key that the manifest does not name         | it is not fetched                      |
"""

import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import anyio
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from pipelines.glacier.transfer.manifest import (
    MANIFEST_BYTES_MAX,
    MANIFEST_NAME,
    PROJECT_PREFIX,
    BadManifest,
    Entry,
    Manifest,
    parse_manifest,
)
from pipelines.glacier.transfer.names import name_fault, parents_of
from pipelines.glacier.transfer.objects import Patience, list_below
from shared.errors import PermanentError
from shared.files import contained
from shared.handshake.transfer import read_small
from shared.s3.errors import NotFound, ObjectError, TooLarge
from shared.s3.store import ObjectStore
from shared.s3.uri import S3Uri

log: FilteringBoundLogger = structlog.get_logger()

_AT_ONCE = 16
_SHOWN_MAX = 10
_PIECE_BYTES = 1 << 20
_RUNS = (".py", ".sh")
_TEMPORARY = ".towpath-tmp"


class ProjectGap(PermanentError):
    """The project in S3 is not whole, or not what its manifest says; nothing was run."""


@dataclass(frozen=True, slots=True)
class LoadedProject:
    """A project in a folder, every file of it verified."""

    root: Path
    digest: str
    """Of all its paths and contents, as `Digests.project`."""
    config_sha256: str
    fetched: int = 0
    """Files that were downloaded; the others were there from an earlier call."""


async def load_project(
    store: ObjectStore, bucket: str, folder: Path, *, prefix: str = PROJECT_PREFIX
) -> LoadedProject:
    """Make a folder hold the synced project; one call at a time for a folder.

    Raises:
        ProjectGap: it is not whole; each line of the message is a file or key.
        OSError: the disk is full or broken.
        shared.s3.errors: the bucket does not answer.
    """
    loading = _Loading(store, S3Uri(bucket, prefix), folder)
    manifest = await loading.manifest()
    await loading.check_keys(manifest)
    missing = await to_thread.run_sync(_keep_only, folder, manifest.files)
    await loading.fetch(manifest, missing)
    digests = manifest.digests
    log.info("project_loaded", files=len(manifest.files), fetched=len(missing))
    return LoadedProject(folder, digests.project, digests.config, len(missing))


class _Loading:
    def __init__(self, store: ObjectStore, place: S3Uri, folder: Path) -> None:
        self._store = store
        self._place = place
        self._folder = folder
        self._patience = Patience()
        self._slots = anyio.CapacityLimiter(_AT_ONCE)

    async def manifest(self) -> Manifest:
        uri = self._uri(MANIFEST_NAME)
        try:
            content, _ = await self._patience.read(
                lambda: read_small(self._store, uri, limit=MANIFEST_BYTES_MAX)
            )
            return parse_manifest(content)
        except NotFound:
            raise ProjectGap(f"{uri} is not there; run `towpath glacier sync`") from None
        except (BadManifest, TooLarge) as error:
            raise ProjectGap(f"{uri} {error}; run `towpath glacier sync`") from error

    async def check_keys(self, manifest: Manifest) -> None:
        """Look at every key before a byte is fetched."""
        found = await list_below(self._store, self._place)
        faults = {path: fault for path in found if (fault := name_fault(path))}
        for path, entry in manifest.files.items():
            if path not in found:
                faults[path] = "is not there"
            elif found[path].size != entry.size:
                faults[path] = f"has {found[path].size} bytes instead of {entry.size}"
        self._refuse(faults)

    async def fetch(self, manifest: Manifest, paths: list[str]) -> None:
        faults: dict[str, str] = {}
        failures: list[ObjectError | OSError] = []

        async def one(path: str) -> None:
            try:
                async with self._slots:
                    await self._patience.read(lambda: self._fetch(path, manifest.files[path]))
            except _Wrong as error:
                faults[path] = str(error)
            except NotFound:
                faults[path] = "is not there"
            except (ObjectError, OSError) as error:
                # One is enough: without it nothing can be run.
                failures.append(error)
                tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            for path in paths:
                tasks.start_soon(one, path)
        if failures:
            raise failures[0]
        self._refuse(faults)

    async def _fetch(self, path: str, entry: Entry) -> None:
        """Download a file; it gets its name when it is right."""
        target = await to_thread.run_sync(_make_room, self._folder, path)
        draft = target.with_name(f"{sha256(path.encode()).hexdigest()[:16]}{_TEMPORARY}")
        digest, size = sha256(), 0
        try:
            async with (
                await anyio.open_file(draft, "wb") as stream,
                self._store.get(self._uri(path)) as download,
            ):
                async for piece in download:
                    size += len(piece)
                    _check(size <= entry.size, f"has more than {entry.size} bytes")
                    digest.update(piece)
                    await stream.write(piece)
            _check(
                (size, digest.hexdigest()) == (entry.size, entry.sha256),
                "has another content than the manifest says",
            )
            await to_thread.run_sync(_name, draft, target, _mode(path))
        finally:
            draft.unlink(missing_ok=True)

    def _refuse(self, faults: Mapping[str, str]) -> None:
        if not faults:
            return
        lines = [f"{path!r} {fault}" for path, fault in sorted(faults.items())[:_SHOWN_MAX]]
        if len(faults) > len(lines):
            lines.append(f"and {len(faults) - len(lines)} more")
        raise ProjectGap(
            f"the project in {self._place} is not what its manifest says; run `towpath glacier "
            "sync`\n" + "\n".join(lines)
        )

    def _uri(self, path: str) -> S3Uri:
        return S3Uri(self._place.bucket, f"{self._place.key}{path}")


class _Wrong(Exception):
    """What came is not what the manifest says."""


def _check(is_right: bool, fault: str) -> None:  # noqa: FBT001 - the condition itself
    if not is_right:
        raise _Wrong(fault)


def _keep_only(folder: Path, files: Mapping[str, Entry]) -> list[str]:
    """Remove what is no file of the manifest, and return what is missing then; OSError."""
    _make_folder(folder)
    folders = {parent for path in files for parent in parents_of(path)}
    kept: set[str] = set()
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        for each in sorted((folder / inside).iterdir()):
            path = f"{inside}/{each.name}" if inside else each.name
            mode = each.lstat().st_mode
            if stat.S_ISDIR(mode) and path in folders:
                waiting.append(path)
            elif stat.S_ISREG(mode) and path in files and _is_right(each, files[path]):
                each.chmod(_mode(path))
                kept.add(path)
            else:
                _remove(each, mode)
    return sorted(set(files) - kept)


def _make_folder(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        folder.unlink()
    folder.mkdir(parents=True, exist_ok=True)


def _is_right(path: Path, entry: Entry) -> bool:
    if path.lstat().st_size != entry.size:
        return False
    digest = sha256()
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb", buffering=0) as stream:
        while piece := stream.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest() == entry.sha256


def _remove(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        shutil.rmtree(path)
    else:
        path.unlink()


def _make_room(folder: Path, path: str) -> Path:
    target = contained(folder, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _name(draft: Path, target: Path, mode: int) -> None:
    draft.chmod(mode)
    draft.replace(target)


def _mode(path: str) -> int:
    return 0o755 if path.endswith(_RUNS) else 0o644
