"""Results from the bucket to a disk: each file there whole, or not at all; nothing here is lost.

A download goes to a temporary name, is checked against what S3 says of the object, made durable,
and only then renamed. Without `replace` a file that appears meanwhile wins over the download.
"""

import errno
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import md5
from pathlib import Path, PurePosixPath

import anyio
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.transfer.objects import Patience, holds, list_below
from pipelines.glacier.transfer.results import Fate, Filter, Item, Pulled
from shared.errors import ExitStatus, PermanentError
from shared.files import (
    TEMPORARY_SUFFIX,
    OutsideRoot,
    contained,
    make_folders,
    place_without_overwriting,
)
from shared.handshake.transfer import fetch_file
from shared.s3.errors import ObjectError
from shared.s3.store import ObjectInfo, ObjectStore
from shared.s3.uri import S3Uri

log: FilteringBoundLogger = structlog.get_logger()

_AT_ONCE = 8
_ABANDONED_SECONDS = 24 * 3600.0
_LARGEST_BYTES = 1 << 40
_PIECE_BYTES = 1 << 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class NoRoom(PermanentError):
    """The disk cannot take what is to be fetched; nothing was."""

    status = ExitStatus.SAFETY_STOP


class Pull:
    """One satellite's results, into one folder."""

    def __init__(self, store: ObjectStore, place: S3Uri, folder: Path) -> None:
        self._store = store
        self._place = place
        self._folder = folder
        self._patience = Patience()

    async def look(
        self, satellite: SatelliteName, wanted: Filter, *, replace: bool
    ) -> tuple[Sequence[Item], int]:
        """Return what is to be done, and how many objects there are in all; changes nothing."""
        objects = await list_below(self._store, self._place)
        chosen = {p: info for p, info in objects.items() if wanted.wants(p, satellite)}
        items = await to_thread.run_sync(_compare, self._folder, chosen)
        if replace:
            items = await self._doubted(items)
        return items, len(objects)

    async def carry_out(self, items: Sequence[Item], done: Pulled | None = None) -> Pulled:
        """Fetch what is to be fetched; what fails is in the answer. NoRoom.

        `done` is the answer, filled as it goes: whoever is cut short has it.
        """
        done = Pulled() if done is None else done
        await to_thread.run_sync(_sweep, self._folder, items, time.time())
        await to_thread.run_sync(_check_room, self._folder, items)
        waiting = iter(items)

        async def work() -> None:
            for item in waiting:
                if item.fate in {Fate.FETCHED, Fate.REPLACED}:
                    await self._one(item, done)
                else:
                    _note(item, item.fate, item.reason, done)

        async with anyio.create_task_group() as tasks:
            for _ in range(_AT_ONCE):
                tasks.start_soon(work)
        return done

    async def _doubted(self, items: Sequence[Item]) -> Sequence[Item]:
        """Have the files replaced whose objects hold other bytes."""
        replaced: dict[str, Item] = {}
        waiting = (item for item in items if item.fate is Fate.KEPT)

        async def work() -> None:
            for item in waiting:
                if not await self._is_held(item):
                    replaced[item.path] = Item(item.path, item.info, Fate.REPLACED)

        async with anyio.create_task_group() as tasks:
            for _ in range(_AT_ONCE):
                tasks.start_soon(work)
        return [replaced.get(item.path, item) for item in items]

    async def _is_held(self, item: Item) -> bool:
        if item.differs:
            return False
        source = self._folder / item.path
        short = await to_thread.run_sync(_md5_of, source)
        return await holds(self._store, item.info, source, item.info.size, short)

    async def _one(self, item: Item, done: Pulled) -> None:
        fate, reason = item.fate, ""
        try:
            size = await self._patience.read(lambda: self._fetch(item))
            done.size += size
        except FileExistsError:
            fate, reason = await to_thread.run_sync(_there_meanwhile, self._folder / item.path)
        except (ObjectError, OutsideRoot) as error:
            fate, reason = Fate.FAILED, str(error)
        except OSError as error:
            if error.errno in _FULL:
                raise
            fate, reason = Fate.FAILED, f"{error.filename!r}: {str(error.strerror).lower()}"
        _note(item, fate, reason, done)

    async def _fetch(self, item: Item) -> int:
        target = await to_thread.run_sync(_make_room, self._folder, item.path)
        if item.fate is Fate.REPLACED:
            fetched = await fetch_file(self._store, item.info.uri, target, limit=_LARGEST_BYTES)
            return fetched.info.size
        arrived = target.with_name(f".{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")
        try:
            fetched = await fetch_file(self._store, item.info.uri, arrived, limit=_LARGEST_BYTES)
            await to_thread.run_sync(place_without_overwriting, arrived, target)
        finally:
            with suppress(OSError):
                arrived.unlink(missing_ok=True)
        return fetched.info.size


def _compare(folder: Path, objects: Mapping[str, ObjectInfo]) -> Sequence[Item]:
    """Look what is here; every name comes from outside."""
    return [_item(folder, path, info) for path, info in objects.items()]


def _item(folder: Path, path: str, info: ObjectInfo) -> Item:
    try:
        target = contained(folder, path)
        here = target.stat() if target.exists() else None
    except (OutsideRoot, OSError) as error:
        return Item(path, info, Fate.FAILED, str(error))
    if here is None:
        return Item(path, info, Fate.FETCHED)
    if not target.is_file():
        return Item(path, info, Fate.FAILED, f"{str(target)!r} is no file; move it away")
    return Item(path, info, Fate.KEPT, differs=here.st_size != info.size)


def _sweep(folder: Path, items: Sequence[Item], now: float) -> None:
    """Remove what pulls that were killed have left beside the files that are wanted now."""
    inside = {PurePosixPath(item.path).parent for item in items if item.fate is not Fate.FAILED}
    for place in sorted(inside):
        for each in (folder / place).glob(f".*{TEMPORARY_SUFFIX}"):
            with suppress(OSError):
                # A younger one may be another pull's, at work right now.
                if now - each.lstat().st_mtime > _ABANDONED_SECONDS:
                    each.unlink()


def _check_room(folder: Path, items: Sequence[Item]) -> None:
    wanted = sum(i.info.size for i in items if i.fate in {Fate.FETCHED, Fate.REPLACED})
    there = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(there).free
    if wanted > free:
        raise NoRoom(
            f"{str(folder)!r} has {free} bytes free, and {wanted} are to be fetched; make room, "
            "or take less with --exclude-downloads or --regions"
        )


def _there_meanwhile(target: Path) -> tuple[Fate, str]:
    """Say what came of a file whose place was taken while it was fetched."""
    if target.is_file():
        return Fate.KEPT, ""
    return (
        Fate.FAILED,
        f"a folder, or a file above it, has the name of {str(target)!r}; move it away",
    )


def _make_room(folder: Path, path: str) -> Path:
    make_folders(folder)
    target = contained(folder, path)
    make_folders(target.parent)
    return target


def _md5_of(path: Path) -> str:
    digest = md5(usedforsecurity=False)
    with path.open("rb", buffering=0) as stream:
        while piece := stream.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _note(item: Item, fate: Fate, reason: str, done: Pulled) -> None:
    done.fates[item.path] = fate
    if fate is Fate.FAILED:
        done.failed[item.path] = reason
        log.error("file_not_pulled", path=item.path, error=reason)
    elif fate is not Fate.KEPT:
        log.info("file_pulled", path=item.path, size_bytes=item.info.size, fate=fate.value)
