"""Look without touching: what a pass would do (`--plan`), and whether it could (`--check`)."""

import os
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path

from anyio import to_thread

from daemons.uploader.opening import engine_options, watch_options
from daemons.uploader.plan import (
    Compare,
    DeleteLocal,
    FileFault,
    FolderFault,
    Target,
    map_path,
    plan_file,
    with_checksum,
)
from daemons.uploader.settings import Settings
from shared.engine import open_engine
from shared.errors import ExitStatus
from shared.fswatch.items import Candidates, Noticed, RootMissing, StillChanging
from shared.fswatch.names import joined
from shared.fswatch.once import scan_once
from shared.fswatch.stability import LocalFile
from shared.s3.errors import BucketMissing, NotFound, ObjectError
from shared.s3.pinned import PinBroken, checksum_of, open_folder, open_pinned
from shared.s3.store import Checksums, ObjectStore
from shared.s3.uri import S3Uri


async def show_plan(settings: Settings, _state_folder: Path) -> ExitStatus:
    """Print a line for each file below the root: what a pass would do with it, and why."""
    async with (
        open_engine(engine_options(settings), journal=None) as engine,
        aclosing(_plan_lines(settings, engine.store)) as lines,
    ):
        async for line in lines:
            sys.stdout.write(f"{line}\n")
    return ExitStatus.DONE


async def _plan_lines(settings: Settings, store: ObjectStore) -> AsyncGenerator[str, None]:
    items = scan_once(settings.directory, watch_options(settings))
    async with aclosing(items):
        async for item in items:
            match item:
                case Candidates(files=files):
                    for file in files:
                        yield await _plan_line(settings, store, file)
                case StillChanging(path):
                    yield f"wait\t{_shown(path)}\tstill being written"
                case Noticed(oddity):
                    yield f"leave\t{_shown(oddity.path)}\t{oddity.reason}"
                case RootMissing(root, reason):
                    yield f"wait\t{_shown(root)}\t{reason}"
                case _:
                    continue


async def _plan_line(settings: Settings, store: ObjectStore, file: LocalFile) -> str:
    shown = _shown(file.path)
    match map_path(file.path, settings.aliases):
        case FolderFault(_, reason) | FileFault(reason):
            return f"leave\t{shown}\t{reason}"
        case Target(uri):
            try:
                verb, reason = await _decide(settings, store, file, uri)
            except (ObjectError, OSError, PinBroken) as error:
                return f"leave\t{shown}\t{error}"
            return f"{verb}\t{shown}\t{uri}\t{file.identity.size} bytes\t{reason}"


async def _decide(
    settings: Settings, store: ObjectStore, file: LocalFile, uri: S3Uri
) -> tuple[str, str]:
    await store.capabilities(uri.bucket)  # a missing bucket is said as such
    try:
        remote = await store.head(uri)
    except NotFound:
        return "upload", "new"
    local = Checksums()
    while True:
        action = plan_file(
            file,
            remote,
            local,
            ask_first=True,
            listed=False,
            weakest=settings.weakest_evidence,
        )
        if isinstance(action, Compare):
            value = await to_thread.run_sync(_checksum, settings.directory, file, action.kind)
            local = with_checksum(local, action.kind, value)
            continue
        verb = "remove" if isinstance(action, DeleteLocal) else "replace"
        return verb, action.reason


def _checksum(root: Path, file: LocalFile, kind: str) -> str:
    *parts, name = file.path.split("/")
    folder = open_folder(root, parts)
    try:
        source = open_pinned(name, directory=folder)
    finally:
        os.close(folder)
    try:
        return checksum_of(source, kind)
    finally:
        os.close(source.descriptor)


async def run_checks(settings: Settings, _state_folder: Path) -> ExitStatus:
    """Print whether settings, credentials and each folder's bucket are in order."""
    async with open_engine(engine_options(settings), journal=None) as engine:
        who = engine.place.arn or "unknown (the service answers no identity)"
        sys.stdout.write(f"settings\tok\ncredentials\tok\t{who}\n")
        status = ExitStatus.DONE
        for folder in await to_thread.run_sync(lambda: sorted(_folders(settings.directory))):
            verdict, fits = await _check_folder(settings, engine.store, folder)
            sys.stdout.write(f"{_shown(folder)}\t{verdict}\n")
            if not fits:
                status = ExitStatus.UNREACHABLE
    return status


async def _check_folder(settings: Settings, store: ObjectStore, folder: str) -> tuple[str, bool]:
    match map_path(joined(folder, "x"), settings.aliases):
        case Target(uri):
            try:
                known = await store.capabilities(uri.bucket)
                async for _ in store.pages(S3Uri(uri.bucket), delimiter="/"):
                    break
            except BucketMissing:
                return f"bucket {uri.bucket!r} does not exist; create it or set an alias", False
            except ObjectError as error:
                return f"bucket {uri.bucket!r}: {error.code}; {error}", False
            return f"ok\tbucket {uri.bucket}, region {known.region or 'not told'}", True
        case FolderFault(_, reason) | FileFault(reason):
            return reason, False


def _folders(root: Path) -> Iterator[str]:
    try:
        with os.scandir(root) as entries:
            yield from (
                entry.name
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
            )
    except OSError:
        return


def _shown(path: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in path)
