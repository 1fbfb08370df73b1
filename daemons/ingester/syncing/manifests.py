"""The manifest's way: merged in both directions, never overwritten, the last file to go up.

| pull finds                       | then the local manifest                        |
|----------------------------------|------------------------------------------------|
| none here                        | is a copy of S3's                              |
| merged equals S3's               | is a byte copy of S3's                         |
| merged equals the local one      | stays                                          |
| merged is something new          | is the merged one                              |

Push does the same and then sends the local manifest, unless it is S3's: only over the object that
was read (`If-Match`), or where none is (`If-None-Match: *`). Refused, it reads S3's again and
merges again, three times at most. Rule: where either is unreadable, neither is touched.
"""

import hashlib
import os
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from anyio import to_thread

from daemons.ingester.archive.folders import MANIFEST_PATH, content_type
from daemons.ingester.archive.manifest import (
    MANIFEST_BYTES_MAX,
    Manifest,
    Merged,
    merge,
    parse_manifest,
)
from daemons.ingester.syncing.place import SitePlace
from daemons.ingester.syncing.report import ManifestNews, Outcome
from daemons.ingester.syncing.transfer import SYNC_POLICY, no_call, no_step, time_ns
from shared.errors import PermanentError
from shared.files import contained, fsync_directory, make_folders, write_durably
from shared.retry import RetryBudget, RetryPolicy, retrying
from shared.s3.errors import ChecksumMismatch, NotFound, PreconditionFailed, TooLarge
from shared.s3.store import (
    ABSENT,
    Evidence,
    Matches,
    ObjectInfo,
    ObjectStore,
    PutOptions,
    When,
    require_evidence,
)
from shared.s3.uri import S3Uri

RETRIES_MAX = 3
"""Writes after the first one, each after reading and merging again."""


class ManifestUnreadable(PermanentError):
    """A manifest cannot be used: the site is blocked until somebody mends it."""


class ManifestContested(PermanentError):
    """S3's manifest changed under every write; another writer is at work."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """S3's manifest as it was read; no bytes where the object is empty."""

    body: bytes
    info: ObjectInfo


class ManifestSync:
    """Keeps one site's manifest in step."""

    def __init__(
        self,
        store: ObjectStore,
        place: SitePlace,
        *,
        now: Callable[[], datetime],
        policy: RetryPolicy = SYNC_POLICY,
        step: Callable[[str], None] = no_step,
    ) -> None:
        self._store = store
        self._place = place
        self._now = now
        self._policy = policy
        self._step = step
        self._budget = RetryBudget()
        self._uri = S3Uri(place.bucket, MANIFEST_PATH)

    async def pull(self) -> ManifestNews:
        """Bring what S3's manifest says here.

        Raises:
            ManifestUnreadable: either is no manifest; nothing was changed.
            OSError, shared.s3.errors: nothing was changed.
        """
        seen = await self._read_s3()
        if seen is None or not seen.body:
            return ManifestNews(Outcome.KEPT)
        news, _ = await self._unite(seen)
        return news

    async def peek(self) -> Manifest:
        """Return what both come to, and change neither.

        Raises:
            ManifestUnreadable, OSError, shared.s3.errors: see `pull`.
        """
        seen = await self._read_s3()
        _, local, s3 = await self._both(seen)
        if local is None or s3 is None:
            return local or s3 or Manifest()
        return (await to_thread.run_sync(merge, local, s3, self._now())).manifest

    async def push(self, before_write: Callable[[], Awaitable[None]] = no_call) -> ManifestNews:
        """Bring what the local manifest says to S3, merged with what is there.

        `before_write` is awaited before each write.

        Raises:
            ManifestContested: it was changed under every attempt.
            ManifestUnreadable, OSError, shared.s3.errors: S3 was not changed.
        """
        for _ in range(1 + RETRIES_MAX):
            seen = await self._read_s3()
            news, body = await self._unite(seen)
            if news.outcome is Outcome.COPIED or not body:
                return news
            when = ABSENT if seen is None else Matches(seen.info.etag)
            await before_write()
            with suppress(PreconditionFailed, NotFound):
                await self._write_s3(body, when)
                return replace(news, uploaded=True, size=len(body))
        raise ManifestContested(
            f"{str(self._uri)!r} changed under each of {1 + RETRIES_MAX} writes; "
            "the next run tries again"
        )

    async def _unite(self, seen: _Seen | None) -> tuple[ManifestNews, bytes]:
        """Make the local manifest what both come to; returns its bytes."""
        body, local, s3 = await self._both(seen)
        if seen is None or s3 is None:
            return ManifestNews(Outcome.KEPT), body
        merged = None if local is None else await to_thread.run_sync(merge, local, s3, self._now())
        if merged is None or merged.equals_s3:
            await to_thread.run_sync(self._copy, seen, body)
            return _news(Outcome.COPIED, merged, len(seen.body)), seen.body
        if merged.equals_local:
            return _news(Outcome.KEPT, merged), body
        body = await to_thread.run_sync(merged.manifest.to_bytes)
        await to_thread.run_sync(self._write_local, body)
        self._step("manifest_merged")
        return _news(Outcome.MERGED, merged), body

    async def _both(self, seen: _Seen | None) -> tuple[bytes, Manifest | None, Manifest | None]:
        """Return the local manifest's bytes, and both read; None for one that is not there."""
        body = await to_thread.run_sync(self._read_local)
        local = _parsed(body, "the local manifest") if body else None
        s3 = _parsed(seen.body, f"the manifest {str(self._uri)!r}") if seen and seen.body else None
        return body, local, s3

    async def _read_s3(self) -> _Seen | None:
        try:
            return await retrying(self._read_once, policy=self._policy, budget=self._budget)
        except NotFound:
            return None

    async def _read_once(self, _attempt: int) -> _Seen:
        async with self._store.get(self._uri) as download:
            info = download.info
            body = bytearray()
            async for piece in download:
                body += piece
                if len(body) > MANIFEST_BYTES_MAX:
                    raise TooLarge(self._uri, note=f"it has more than {MANIFEST_BYTES_MAX} bytes")
        if len(body) != info.size:
            raise ChecksumMismatch(self._uri, note=f"{len(body)} of {info.size} bytes came")
        md5 = info.checksums.md5
        if md5 and md5 != hashlib.md5(body, usedforsecurity=False).hexdigest():
            raise ChecksumMismatch(self._uri, note="its MD5 is not the ETag's")
        return _Seen(bytes(body), info)

    async def _write_s3(self, body: bytes, when: When) -> None:
        options = PutOptions(content_type=content_type(MANIFEST_PATH))
        stored = await self._store.put(self._uri, body, when=when, options=options, emulate=True)
        require_evidence(stored, Evidence.SIZE)
        self._step("manifest_uploaded")

    def _read_local(self) -> bytes:
        path = contained(self._place.root, MANIFEST_PATH)
        try:
            with path.open("rb") as stream:
                return stream.read(MANIFEST_BYTES_MAX + 1)
        except FileNotFoundError:
            return b""

    def _copy(self, seen: _Seen, body: bytes) -> None:
        if seen.body != body:
            self._write_local(seen.body, time_ns(seen.info))

    def _write_local(self, body: bytes, modified_ns: int = 0) -> None:
        target = contained(self._place.root, MANIFEST_PATH)
        make_folders(target.parent)
        arrived = self._place.work / secrets.token_hex(8)
        try:
            write_durably(arrived, body)
            if modified_ns:
                os.utime(arrived, ns=(modified_ns, modified_ns))
            arrived.replace(target)
        finally:
            arrived.unlink(missing_ok=True)
        fsync_directory(target.parent)


def _parsed(body: bytes, what: str) -> Manifest:
    try:
        return parse_manifest(body)
    except ValueError as error:
        raise ManifestUnreadable(
            f"{what} cannot be used: {error}; mend it, nothing was changed"
        ) from None


def _news(outcome: Outcome, merged: Merged | None, size: int = 0) -> ManifestNews:
    if merged is None:
        return ManifestNews(outcome, size=size)
    return ManifestNews(outcome, renumbered=merged.renumbered, dropped=merged.dropped, size=size)
