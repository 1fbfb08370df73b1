"""One file's way, either direction: there whole under its name, or not at all.

Down: into the work folder, every byte counted and checked, on disk, its time that of the object,
and only then under its name, unless what had the name has changed meanwhile. Up: the very file that
was compared, in one request, under a precondition, so that nothing that appeared in S3 meanwhile
is overwritten. Nothing is deleted either way.
"""

import errno
import os
import random
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from anyio import to_thread

from daemons.ingester.archive.folders import content_type
from daemons.ingester.syncing.entries import LocalEntry, Pair
from daemons.ingester.syncing.local import find_entry, open_entry
from daemons.ingester.syncing.place import SitePlace
from daemons.ingester.syncing.proofs import Proofs
from daemons.ingester.syncing.report import Fate
from shared.errors import PermanentError, SuiteError
from shared.files import OutsideRoot, contained, fsync_directory, make_folders
from shared.handshake.transfer import Fetched, fetch_file
from shared.retry import RetryBudget, RetryPolicy, retrying
from shared.s3.errors import NotFound, ObjectError, PreconditionFailed, SourceChanged, TooLarge
from shared.s3.pinned import PinBroken, identity_of
from shared.s3.store import (
    ABSENT,
    Evidence,
    Matches,
    ObjectInfo,
    ObjectStore,
    PutOptions,
    Stored,
    When,
    require_evidence,
)
from shared.s3.uri import S3Uri

SINGLE_PUT_BYTES_MAX = 5 * 1024**3
"""The largest object that one PUT makes. Sites' roles may neither list nor abort uploads in parts,
and the ETag of such an upload is no hash, so larger files are refused: an engine for sites sends
no parts (`EngineSettings.parts`)."""

SYNC_POLICY = RetryPolicy(
    attempts=3,
    base_seconds=1.0,
    random=lambda: 0.5 + random.random() / 2,  # noqa: S311 - jitter
)
"""Three attempts, after about one and about two seconds; also for the engine of a site."""

_LARGEST_BYTES = 5 * 1024**4
_NOT_HERE = frozenset(
    {
        errno.ENAMETOOLONG,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.ELOOP,
        errno.EINVAL,
        errno.EILSEQ,
    }
)
"""What a disk says to a name that it cannot have, or not beside those that it has."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class LocalChanged(PermanentError):
    """A file here is not what it was when it was compared; the next run looks again."""


def fate_of(error: Exception) -> Fate:
    """Say what an error means for the path.

    | error                                                          | fate     |
    |----------------------------------------------------------------|----------|
    | the name leads out, is too long, a folder or file is in its way| SKIPPED  |
    | precondition not met, changed or vanished meanwhile            | DEFERRED |
    | anything else: network, refusal, wrong bytes, disk             | FAILED   |
    """
    if isinstance(error, OutsideRoot):
        return Fate.SKIPPED
    if isinstance(error, OSError):
        return Fate.SKIPPED if error.errno in _NOT_HERE else Fate.FAILED
    changed = (PreconditionFailed, NotFound, SourceChanged, LocalChanged)
    return Fate.DEFERRED if isinstance(error, changed) else Fate.FAILED


def is_full(error: Exception) -> bool:
    """Say whether the disk has no room, so that nothing else will fit either."""
    return isinstance(error, OSError) and error.errno in _FULL


def no_step(_name: str) -> None:
    """Do nothing at a step."""


async def no_call() -> None:
    """Do nothing before a write."""


class Transfers:
    """Moves the files of one site."""

    def __init__(
        self,
        store: ObjectStore,
        place: SitePlace,
        proofs: Proofs,
        *,
        policy: RetryPolicy = SYNC_POLICY,
        step: Callable[[str], None] = no_step,
    ) -> None:
        self._store = store
        self._place = place
        self._proofs = proofs
        self._policy = policy
        self._budget = RetryBudget()
        self._step = step

    async def download(self, pair: Pair) -> int:
        """Bring an object here in the place of the local file; returns its bytes.

        Raises:
            OutsideRoot, LocalChanged, OSError, shared.s3.errors: nothing has changed here.
        """
        if pair.remote is None:
            raise ValueError(f"{pair.path!r} is not in S3")
        uri = S3Uri(self._place.bucket, pair.remote.key)
        target = await to_thread.run_sync(self._make_room, pair)
        arrived = self._place.work / secrets.token_hex(8)
        try:
            fetched = await self._fetch(uri, arrived)
            self._step("downloaded")
            await to_thread.run_sync(self._finish, fetched, target, pair)
        finally:
            with suppress(OSError):
                arrived.unlink(missing_ok=True)
        self._step("placed")
        return fetched.info.size

    async def upload(self, pair: Pair) -> int:
        """Send the local file in the place of the object that was listed; returns its bytes.

        Raises:
            OSError, shared.s3.errors: PreconditionFailed where S3 has another object by now.
        """
        local, remote = pair.local, pair.remote
        if local is None:
            raise ValueError(f"{pair.path!r} is not here")
        uri = S3Uri(self._place.bucket, pair.path if remote is None else remote.key)
        if local.size > SINGLE_PUT_BYTES_MAX:
            note = f"it has {local.size} bytes; one upload takes {SINGLE_PUT_BYTES_MAX}"
            raise TooLarge(uri, note=note)
        when = ABSENT if remote is None else Matches(remote.etag)
        stored = await self._send(uri, local, when)
        self._step("uploaded")
        await to_thread.run_sync(self._proofs.remember, [(local, stored.etag)])
        return stored.size

    async def _send(self, uri: S3Uri, local: LocalEntry, when: When) -> Stored:
        try:
            source = await to_thread.run_sync(open_entry, self._place.root, local)
        except PinBroken as error:
            raise SourceChanged(uri, note=str(error)) from None
        except FileNotFoundError:
            raise SourceChanged(uri, note="the file is not there any more") from None
        try:
            options = PutOptions(content_type=content_type(local.path))
            stored = await self._store.put_file(
                uri, source, when=when, options=options, emulate=True
            )
        finally:
            os.close(source.descriptor)
        return require_evidence(stored, Evidence.SIZE)

    async def _fetch(self, uri: S3Uri, target: Path) -> Fetched:
        async def attempt(_number: int) -> Fetched:
            try:
                fetched = await fetch_file(self._store, uri, target, limit=_LARGEST_BYTES)
            except ObjectError as error:
                if error.answer.attempts < self._policy.attempts:
                    raise
                # The engine itself has tried often enough, in vain.
                raise _Exhausted(error) from error
            if fetched.info.size == 0:
                raise NotFound(uri, note="the object is empty by now, which counts as absent")
            return fetched

        try:
            return await retrying(attempt, policy=self._policy, budget=self._budget)
        except _Exhausted as exhausted:
            raise exhausted.error from None

    def _make_room(self, pair: Pair) -> Path:
        name = pair.path if pair.local is None else pair.local.name
        make_folders(self._place.root)
        target = contained(self._place.root, name)
        make_folders(target.parent)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "a folder has its name", str(target))
        return target

    def _finish(self, fetched: Fetched, target: Path, pair: Pair) -> None:
        """Give an arrived file its time and its name."""
        modified_ns = time_ns(fetched.info)
        os.utime(fetched.path, ns=(modified_ns, modified_ns))
        identity = identity_of(fetched.path.stat())
        require_unchanged(self._place, pair)
        fetched.path.replace(target)
        fsync_directory(target.parent)
        name = pair.path if pair.local is None else pair.local.name
        placed = find_entry(self._place.root, name)
        # Known again as the file that was written, lest somebody has put another there at once.
        if placed is not None and placed.identity == identity:
            self._proofs.remember([(named(placed, pair.path), fetched.info.etag)])


class _Exhausted(SuiteError):
    """Carries an error past the outer retries."""

    def __init__(self, error: ObjectError) -> None:
        self.error = error
        super().__init__(str(error))


def require_unchanged(place: SitePlace, pair: Pair) -> None:
    """Look whether the local side is still what was compared; LocalChanged where it is not."""
    name = pair.path if pair.local is None else pair.local.name
    now = find_entry(place.root, name)
    before = pair.local
    unchanged = (
        (now is None or now.size == 0)
        if before is None
        else now is not None
        and (now.identity, now.changed_ns) == (before.identity, before.changed_ns)
    )
    if not unchanged:
        raise LocalChanged(f"{name!r} has changed here meanwhile; the next run looks again")


def named(entry: LocalEntry, path: str) -> LocalEntry:
    """Return a file under the path that it is compared by."""
    return LocalEntry(path, entry.name, entry.identity, entry.changed_ns)


def time_ns(info: ObjectInfo) -> int:
    """Return when an object was written, in nanoseconds."""
    return round(info.modified_at.timestamp() * 1_000_000) * 1000
