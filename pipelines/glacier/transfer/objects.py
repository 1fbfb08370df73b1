"""What lies below a prefix, and whether an object has the bytes of a file.

| what is known of the object                     | it has the file's bytes if      |
|-------------------------------------------------|---------------------------------|
| another size                                    | never                           |
| an ETag that is the file's MD5                  | always                          |
| any other ETag: one HEAD, and then a checksum   | that is equal                   |
|                                    no checksum  | nobody knows: it is taken for no|

Rule: sizes and times decide nothing by themselves.
"""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

from anyio import to_thread

from shared.errors import PermanentError
from shared.retry import RetryBudget, RetryPolicy, retrying
from shared.s3.errors import NotFound
from shared.s3.pinned import PinBroken, checksum_of, pinned
from shared.s3.store import Checksums, ObjectInfo, ObjectStore
from shared.s3.uri import S3Uri

T = TypeVar("T")

OBJECTS_MAX = 1_000_000
_KINDS = ("crc64nvme", "sha256", "crc32c", "crc32", "sha1")
_POLICY = RetryPolicy(attempts=3, base_seconds=0.2, ceiling_seconds=5.0)


class TooManyObjects(PermanentError):
    """A prefix holds more than anybody can have meant."""


async def list_below(store: ObjectStore, prefix: S3Uri) -> Mapping[str, ObjectInfo]:
    """Return the objects below a prefix by the rest of their keys; those of folders are left out.

    Raises:
        TooManyObjects: it is not the prefix that somebody thinks it is.
        shared.s3.errors: as `ObjectStore.pages` does.
    """
    found: dict[str, ObjectInfo] = {}
    async for page in store.pages(prefix):
        for info in page.objects:
            if not info.uri.key.endswith("/"):
                found[info.uri.key.removeprefix(prefix.key)] = info
        if len(found) > OBJECTS_MAX:
            raise TooManyObjects(f"{prefix} has more than {OBJECTS_MAX} objects; name another")
    return found


async def holds(store: ObjectStore, info: ObjectInfo, source: Path, size: int, md5: str) -> bool:
    """Tell whether an object that was listed has the bytes of a file.

    Raises:
        OSError: the file cannot be read.
        shared.s3.errors: as `ObjectStore.head` does.
    """
    if info.size != size:
        return False
    if info.checksums.md5 == md5:
        return True
    try:
        known = (await store.head(info.uri)).checksums
    except NotFound:
        return False
    return await to_thread.run_sync(_equals, known, source, md5)


def _equals(known: Checksums, source: Path, md5: str) -> bool:
    for kind in _KINDS:
        if wanted := getattr(known, kind):
            try:
                with pinned(str(source)) as file:
                    return bool(checksum_of(file, kind) == wanted)
            except PinBroken:
                return False
    return known.md5 == md5


class Patience:
    """Tries reads again whose answer broke off; all reads of a command share its retries."""

    def __init__(self, policy: RetryPolicy = _POLICY) -> None:
        self._policy = policy
        self._budget = RetryBudget()

    async def read(self, call: Callable[[], Awaitable[T]]) -> T:
        """Await a read that may be repeated; raises its last error."""

        async def once(_attempt: int) -> T:
            return await call()

        return await retrying(once, policy=self._policy, budget=self._budget)
