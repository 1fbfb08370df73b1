"""One file's way: pinned, sent, acknowledged, removed. Every step may be the last one.

The order is the promise. Nothing is removed before S3's evidence is in hand, the evidence is about
the bytes that were read from the pinned descriptor, and the removal looks once more.
"""

import errno
import mimetypes
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from anyio import to_thread

from daemons.uploader.plan import (
    Ask,
    Compare,
    DeleteLocal,
    Remote,
    Upload,
    plan_file,
    with_checksum,
)
from shared.fswatch.stability import FileIdentity, LocalFile
from shared.removal import Removal, remove_delivered
from shared.s3.errors import (
    AccessDenied,
    Conflict,
    NotFound,
    ObjectError,
    PreconditionFailed,
    SourceChanged,
)
from shared.s3.pinned import PinBroken, checksum_of, open_folder, open_pinned
from shared.s3.store import Checksums, Evidence, ObjectInfo, ObjectStore, PinnedFile, PutOptions
from shared.s3.uri import S3Uri

_ROUNDS_MAX = 6
_DELIVERED_MAX = 100_000
_NOT_THE_FILES_FAULT = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC}


@dataclass(frozen=True, slots=True)
class JobRules:
    """What the settings say about every file."""

    weakest: Evidence
    ask_from_bytes: int
    """Ask before sending a file of this size or more."""
    options: PutOptions


@dataclass(frozen=True, slots=True)
class Found:
    """A settled file, where it goes, and what is known of that key."""

    file: LocalFile
    uri: S3Uri
    ask_first: bool
    remote: ObjectInfo | Remote = Remote.UNASKED
    listed: bool = False


class Ending(Enum):
    """How a job ended."""

    UPLOADED = "uploaded"
    ALREADY_THERE = "already there"
    CHANGED = "changed while it was looked at"
    VANISHED = "vanished"
    UNREADABLE = "unreadable"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one file."""

    found: Found
    ending: Ending
    evidence: Evidence = Evidence.NONE
    removal: Removal | None = None
    """None when no removal was tried: the evidence is too weak, or it failed with `error`."""
    replaced: ObjectInfo | None = None
    error: ObjectError | OSError | None = None
    seconds: float = 0.0

    @property
    def delivered(self) -> bool:
        """Whether S3 holds the file's content."""
        return self.ending in {Ending.UPLOADED, Ending.ALREADY_THERE}


@dataclass(frozen=True, slots=True)
class _Delivery:
    identity: FileIdentity
    ending: Ending
    evidence: Evidence
    replaced: ObjectInfo | None = None


class FileJobs:
    """Carries out jobs; remembers only what was delivered and could not be removed."""

    def __init__(
        self,
        store: ObjectStore,
        root: Path,
        rules: JobRules,
        *,
        clock: Callable[[], float],
        step: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Work on the tree at `root`, whichever folder that is when a job begins.

        `step` is told of each step before it is taken, for tests that end the process there.
        """
        self._store = store
        self._root = root
        self._rules = rules
        self._clock = clock
        self._step = step
        self._delivered: OrderedDict[str, _Delivery] = OrderedDict()

    async def run(self, found: Found) -> Result:
        """Bring one file to S3 and off the disk; errors are part of the result."""
        began = self._clock()
        try:
            folder, source = await to_thread.run_sync(self._open, found.file.path)
        except (FileNotFoundError, NotADirectoryError):
            return Result(found, Ending.VANISHED)
        except PinBroken:
            return Result(found, Ending.CHANGED)
        except OSError as error:
            return _unreadable(found, error)
        try:
            if source.identity != found.file.identity:
                return Result(found, Ending.CHANGED)
            self._step("pinned")
            return await self._deliver(found, folder, source, began)
        finally:
            os.close(source.descriptor)
            os.close(folder)

    def forget(self, path: str) -> None:
        """Drop what is remembered of a path."""
        self._delivered.pop(path, None)

    def _open(self, path: str) -> tuple[int, PinnedFile]:
        *parts, name = path.split("/")
        folder = open_folder(self._root, parts)
        try:
            return folder, open_pinned(name, directory=folder)
        except BaseException:
            os.close(folder)
            raise

    async def _deliver(self, found: Found, folder: int, source: PinnedFile, began: float) -> Result:
        try:
            delivery = self._remembered(found) or await self._transfer(found, source)
        except SourceChanged:
            return Result(found, Ending.CHANGED)
        except PinBroken:
            return Result(found, Ending.CHANGED)
        except ObjectError as error:
            return Result(found, Ending.FAILED, error=error)
        except OSError as error:
            return _unreadable(found, error)
        self._step("acknowledged")
        self._remember(found.file.path, delivery)
        seconds = self._clock() - began
        removal, trouble = None, None
        if delivery.evidence >= self._rules.weakest:
            removal, trouble = await self._remove(found.file.path, folder, source)
        return Result(
            found, delivery.ending, delivery.evidence, removal, delivery.replaced, trouble, seconds
        )

    async def _remove(
        self, path: str, folder: int, source: PinnedFile
    ) -> tuple[Removal | None, OSError | None]:
        name = path.rpartition("/")[2]
        try:
            removal = await to_thread.run_sync(
                lambda: remove_delivered(name, source, directory=folder, step=self._step)
            )
        except OSError as error:
            return None, error
        if removal is not Removal.HELD_OPEN:
            self.forget(path)
        return removal, None

    async def _transfer(self, found: Found, source: PinnedFile) -> _Delivery:
        """Ask, compare and send until S3 holds the file; a bounded number of rounds."""
        remote, listed, local = found.remote, found.listed, Checksums()
        for _ in range(_ROUNDS_MAX):
            action = plan_file(
                found.file,
                remote,
                local,
                ask_first=found.ask_first or self._is_large(found),
                listed=listed,
                weakest=self._rules.weakest,
            )
            if isinstance(action, DeleteLocal):
                return _Delivery(source.identity, Ending.ALREADY_THERE, action.evidence)
            if isinstance(action, Compare):
                value = await to_thread.run_sync(checksum_of, source, action.kind)
                local = with_checksum(local, action.kind, value)
                continue
            if isinstance(action, Ask):
                remote, listed = await self._ask(found.uri), False
                continue
            try:
                return await self._send(found, source, action)
            except PreconditionFailed:
                # Somebody else's object, or our own from before a crash: look at it.
                remote, listed = await self._look(found.uri), False
        raise Conflict(found.uri, note="other writers keep replacing the object; tried again later")

    async def _send(self, found: Found, source: PinnedFile, action: Upload) -> _Delivery:
        self._step("send")
        kind, _ = mimetypes.guess_type(found.uri.key)
        options = self._rules.options
        if kind:
            options = PutOptions(
                content_type=kind, storage_class=options.storage_class, acl=options.acl
            )
        stored = await self._store.put_file(found.uri, source, when=action.when, options=options)
        return _Delivery(source.identity, Ending.UPLOADED, stored.evidence, action.replaces)

    async def _ask(self, uri: S3Uri) -> ObjectInfo | Remote:
        """Look under the key; who may not look may still create, and then 412 tells."""
        try:
            return await self._look(uri)
        except AccessDenied:
            return Remote.ABSENT

    async def _look(self, uri: S3Uri) -> ObjectInfo | Remote:
        try:
            return await self._store.head(uri)
        except NotFound:
            return Remote.ABSENT

    def _is_large(self, found: Found) -> bool:
        return found.file.identity.size >= self._rules.ask_from_bytes

    def _remembered(self, found: Found) -> _Delivery | None:
        known = self._delivered.get(found.file.path)
        return known if known is not None and known.identity == found.file.identity else None

    def _remember(self, path: str, delivery: _Delivery) -> None:
        # Only a file that stays (held open, or no permission to remove it) is looked up here
        # again; forgetting it costs a question to S3, not a second upload.
        repeat = _Delivery(delivery.identity, Ending.ALREADY_THERE, delivery.evidence)
        self._delivered[path] = repeat
        self._delivered.move_to_end(path)
        if len(self._delivered) > _DELIVERED_MAX:
            self._delivered.popitem(last=False)


def _unreadable(found: Found, error: OSError) -> Result:
    blame = Ending.FAILED if error.errno in _NOT_THE_FILES_FAULT else Ending.UNREADABLE
    return Result(found, blame, error=error)
