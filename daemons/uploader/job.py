"""One file's way: pinned, sent, acknowledged, removed. Every step may be the last one.

The order is the promise. Nothing is removed before S3's evidence is in hand, the evidence is about
the bytes that were read from the pinned descriptor, and the removal looks once more.
"""

import errno
import mimetypes
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

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
from shared.removal import Removal, is_held_open, remove_delivered
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

log: FilteringBoundLogger = structlog.get_logger()

_ROUNDS_MAX = 6
_DELIVERED_MAX = 100_000
_NO_FILE_ANY_MORE = {errno.ELOOP, errno.ENXIO}
"""A symbolic link or a socket has taken its place; the next scan says so."""
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
class _Opened:
    """A pinned file and what was true of it before its first byte was read."""

    folder: int
    source: PinnedFile
    held_open: bool
    """Somebody had it open for writing. What is stored into a mapped page need not show in any
    time stamp, so that bytes read then are never the reason to remove the file."""


@dataclass(frozen=True, slots=True)
class _Delivery:
    identity: FileIdentity
    ending: Ending
    evidence: Evidence
    replaced: ObjectInfo | None = None
    changed_ns: int | None = None
    held_open: bool = False


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
        self._said: set[str] = set()

    async def run(self, found: Found) -> Result:
        """Bring one file to S3 and off the disk; errors are part of the result."""
        began = self._clock()
        try:
            opened = await to_thread.run_sync(self._open, found.file.path)
        except (FileNotFoundError, NotADirectoryError):
            return Result(found, Ending.VANISHED)
        except PinBroken:
            return Result(found, Ending.CHANGED)
        except OSError as error:
            if error.errno in _NO_FILE_ANY_MORE:
                return Result(found, Ending.CHANGED)
            return _unreadable(found, error)
        try:
            if opened.source.identity != found.file.identity:
                return Result(found, Ending.CHANGED)
            self._step("pinned")
            return await self._deliver(found, opened, began)
        finally:
            os.close(opened.source.descriptor)
            os.close(opened.folder)

    def forget(self, path: str) -> None:
        """Drop what is remembered of a path."""
        self._delivered.pop(path, None)

    def _open(self, path: str) -> _Opened:
        *parts, name = path.split("/")
        folder = open_folder(self._root, parts)
        try:
            source = open_pinned(name, directory=folder)
        except BaseException:
            os.close(folder)
            raise
        return _Opened(folder, source, is_held_open(source.descriptor))

    async def _deliver(self, found: Found, opened: _Opened, began: float) -> Result:
        try:
            delivery = self._remembered(opened, found.file.path)
            if delivery is None:
                sent = await self._transfer(found, opened.source)
                delivery = replace(
                    sent, changed_ns=opened.source.changed_ns, held_open=opened.held_open
                )
        except (SourceChanged, PinBroken):
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
            removal, trouble = await self._remove(found.file.path, opened, delivery)
        return Result(
            found, delivery.ending, delivery.evidence, removal, delivery.replaced, trouble, seconds
        )

    async def _remove(
        self, path: str, opened: _Opened, delivery: _Delivery
    ) -> tuple[Removal | None, OSError | None]:
        if delivery.held_open:
            return Removal.HELD_OPEN, None
        name = path.rpartition("/")[2]
        try:
            removal = await to_thread.run_sync(
                lambda: remove_delivered(
                    name,
                    opened.source,
                    directory=opened.folder,
                    changed_ns=delivery.changed_ns,
                    step=self._step,
                )
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
            except (PreconditionFailed, NotFound):
                # Somebody else's object, or our own from before a crash, or the one to replace is
                # gone: look at it.
                remote, listed = await self._look(found.uri), False
        raise Conflict(
            found.uri, note="S3 keeps holding other bytes than were sent; tried again later"
        )

    async def _send(self, found: Found, source: PinnedFile, action: Upload) -> _Delivery:
        self._step("send")
        kind, _ = mimetypes.guess_type(found.uri.key)
        options = self._rules.options
        if kind:
            options = PutOptions(
                content_type=kind, storage_class=options.storage_class, acl=options.acl
            )
        # Without a precondition to rely on, a look beforehand is better than leaving files here.
        stored = await self._store.put_file(
            found.uri, source, when=action.when, options=options, emulate=True
        )
        return _Delivery(source.identity, Ending.UPLOADED, stored.evidence, action.replaces)

    async def _ask(self, uri: S3Uri) -> ObjectInfo | Remote:
        """Look under the key; who may not look may still create, and then 412 tells."""
        try:
            return await self._look(uri)
        except AccessDenied as error:
            if uri.bucket not in self._said:
                self._said.add(uri.bucket)
                reason = "without s3:ListBucket a key that is not there looks forbidden"
                log.warning("head_denied", bucket=uri.bucket, code=error.code, reason=reason)
            return Remote.ABSENT

    async def _look(self, uri: S3Uri) -> ObjectInfo | Remote:
        try:
            return await self._store.head(uri)
        except NotFound:
            return Remote.ABSENT

    def _is_large(self, found: Found) -> bool:
        return found.file.identity.size >= self._rules.ask_from_bytes

    def _remembered(self, opened: _Opened, path: str) -> _Delivery | None:
        known = self._delivered.get(path)
        if known is None or known.identity != opened.source.identity:
            return None
        if known.changed_ns != opened.source.changed_ns or (
            known.held_open and not opened.held_open
        ):
            return None
        return known

    def _remember(self, path: str, delivery: _Delivery) -> None:
        # Only a file that stays (held open, or no permission to remove it) is looked up here
        # again; forgetting it costs a question to S3, not a second upload.
        self._delivered[path] = replace(delivery, ending=Ending.ALREADY_THERE, replaced=None)
        self._delivered.move_to_end(path)
        if len(self._delivered) > _DELIVERED_MAX:
            self._delivered.popitem(last=False)


def _unreadable(found: Found, error: OSError) -> Result:
    blame = Ending.FAILED if error.errno in _NOT_THE_FILES_FAULT else Ending.UNREADABLE
    return Result(found, blame, error=error)
