"""A listing without a server, for `bench.ingest_client`: made in the process as it is asked for."""

import hashlib
from collections.abc import AsyncIterator

from bench.ingest_sites import MODIFIED, PAGE, Site
from bench.trees import BUCKET
from daemons.ingester.archive.folders import Folder
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets
from shared.s3.store import Checksums, ObjectInfo, Page
from shared.s3.uri import S3Uri

_ETAG = hashlib.md5(b"\0", usedforsecurity=False).hexdigest()


class SyntheticListing(MemoryStore):
    """Lists objects that are nowhere, a thousand a page."""

    def __init__(self, episodes: int) -> None:
        super().__init__(MemoryBuckets(BUCKET))
        self._site = Site("made here", episodes)

    async def pages(
        self, prefix: S3Uri, *, after: str = "", delimiter: str = "", deadline: float | None = None
    ) -> AsyncIterator[Page]:
        """Make the pages of a folder; nobody asks for a part of it."""
        if after or delimiter or deadline is not None:
            raise NotImplementedError("only whole folders are listed here")
        found: list[ObjectInfo] = []
        for key in self._site.paths(Folder(prefix.key.rstrip("/"))):
            if len(found) == PAGE:
                yield Page(found)
                found = []
            uri = S3Uri(prefix.bucket, key)
            found.append(ObjectInfo(uri, 1, _ETAG, MODIFIED, Checksums(md5=_ETAG)))
        yield Page(found)
