"""A project folder to its prefix: what differs goes up, and then the manifest.

Rule: the manifest is the last object that is written, and only where all others are right. Each
write names the object that it replaces, so that of two syncs at once one fails and tells so.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import anyio
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from pipelines.glacier.transfer.local_project import Project, ProjectFile
from pipelines.glacier.transfer.manifest import (
    MANIFEST_BYTES_MAX,
    MANIFEST_NAME,
    PROJECT_PREFIX,
    BadManifest,
    Manifest,
    parse_manifest,
)
from pipelines.glacier.transfer.objects import holds, list_below
from pipelines.glacier.transfer.sync_plan import Synced, SyncPlan, plan_sync
from shared.handshake.transfer import read_small
from shared.s3.errors import (
    NotFound,
    ObjectError,
    PreconditionFailed,
    SourceChanged,
    TooLarge,
)
from shared.s3.pinned import PinBroken, open_pinned
from shared.s3.store import (
    ABSENT,
    Evidence,
    Matches,
    ObjectInfo,
    ObjectStore,
    When,
    require_evidence,
)
from shared.s3.uri import S3Uri

log: FilteringBoundLogger = structlog.get_logger()

AT_ONCE = 16
"""Requests of one command."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Both sides as they are."""

    plan: SyncPlan
    objects: Mapping[str, ObjectInfo]
    """By the key below the prefix."""


class Sync:
    """One sync of a project."""

    def __init__(self, store: ObjectStore, bucket: str, project: Project) -> None:
        self._store = store
        self._project = project
        self._bucket = bucket
        self._slots = anyio.CapacityLimiter(AT_ONCE)

    async def look(self) -> Seen:
        """Compare both sides and change nothing; raises OSError and `shared.s3.errors`."""
        objects = await list_below(self._store, S3Uri(self._bucket, PROJECT_PREFIX))
        equal: set[str] = set()
        async with anyio.create_task_group() as tasks:
            for path, file in self._project.files.items():
                if path in objects:
                    tasks.start_soon(self._compare, path, file, objects[path], equal)
        return Seen(plan_sync(self._project.files, objects, equal), objects)

    async def carry_out(
        self, seen: Seen, *, delete: bool, now: datetime, done: Synced | None = None
    ) -> Synced:
        """Make S3 what the folder is; what fails is in the answer.

        `done` is the answer, filled as it goes: whoever is cut short has it.
        """
        done = Synced() if done is None else done
        async with anyio.create_task_group() as tasks:
            for path in seen.plan.upload:
                tasks.start_soon(self._upload, path, seen.objects.get(path), done)
        if not done.failed:
            if delete and seen.plan.stale:
                await self._delete(seen.plan.stale, done)
            await self._finish(seen.objects.get(MANIFEST_NAME), now, done)
        for path, reason in sorted(done.failed.items()):
            log.error("file_not_synced", path=path, error=reason)
        done.is_whole = True
        return done

    async def _compare(
        self, path: str, file: ProjectFile, info: ObjectInfo, equal: set[str]
    ) -> None:
        async with self._slots:
            if await holds(self._store, info, file.source, file.identity.size, file.md5):
                equal.add(path)

    async def _upload(self, path: str, replaced: ObjectInfo | None, done: Synced) -> None:
        try:
            async with self._slots:
                await self._send(path, self._project.files[path], _when(replaced))
        except (ObjectError, OSError) as error:
            done.failed[path] = str(error)
        else:
            done.uploaded.append(path)
            log.info("file_uploaded", path=path, replaced=replaced is not None)

    async def _send(self, path: str, file: ProjectFile, when: When) -> None:
        uri = self._uri(path)
        try:
            source = await to_thread.run_sync(open_pinned, str(file.source))
        except PinBroken as error:
            raise SourceChanged(uri, note=str(error)) from None
        try:
            # What goes up is what was hashed, or nothing.
            if (source.identity, source.changed_ns) != (file.identity, file.changed_ns):
                raise SourceChanged(uri, note="it has changed meanwhile; run the sync again")
            stored = await self._store.put_file(uri, source, when=when, emulate=True)
        finally:
            os.close(source.descriptor)
        # The hashes are read back by whoever verifies or loads, from any store.
        require_evidence(stored, Evidence.SIZE)

    async def _delete(self, stale: tuple[str, ...], done: Synced) -> None:
        keys = [f"{PROJECT_PREFIX}{path}" for path in stale]
        try:
            refused = await self._store.delete_many(self._bucket, keys)
        except ObjectError as error:
            done.failed.update(dict.fromkeys(stale, f"not removed: {error}"))
            return
        for failure in refused:
            path = failure.key.removeprefix(PROJECT_PREFIX)
            done.failed[path] = f"not removed: {failure.code} {failure.message}"
        done.deleted += [path for path in stale if path not in done.failed]

    async def _finish(self, replaced: ObjectInfo | None, now: datetime, done: Synced) -> None:
        """Write the manifest in the place of the one that was seen, unless that one says it all."""
        entries = self._project.entries
        try:
            found = None if replaced is None else await self._manifest()
            if found is None or found.files != entries:
                manifest = Manifest(entries, now.strftime("%Y-%m-%dT%H:%M:%SZ"))
                stored = await self._store.put(
                    self._uri(MANIFEST_NAME),
                    manifest.to_bytes(),
                    when=_when(replaced),
                    emulate=True,
                )
                require_evidence(stored, Evidence.SIZE)
                done.is_new_manifest = True
        except PreconditionFailed:
            done.failed[MANIFEST_NAME] = "another sync has finished meanwhile; run this one again"
        except ObjectError as error:
            done.failed[MANIFEST_NAME] = str(error)

    async def _manifest(self) -> Manifest | None:
        """Return the manifest that is there; None where it is none."""
        uri = self._uri(MANIFEST_NAME)
        try:
            content, _ = await read_small(self._store, uri, limit=MANIFEST_BYTES_MAX)
            return parse_manifest(content)
        except (NotFound, TooLarge, BadManifest):
            return None

    def _uri(self, path: str) -> S3Uri:
        return S3Uri(self._bucket, f"{PROJECT_PREFIX}{path}")


def _when(replaced: ObjectInfo | None) -> When:
    return ABSENT if replaced is None else Matches(replaced.etag)
