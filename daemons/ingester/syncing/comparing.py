"""Compare a folder with S3: listings merged as they come, files read only where nothing is known.

One listing request for a thousand objects, and none for a file, with one exception: where sizes are
equal and the MD5 is another, one HEAD tells whether that ETag is an MD5 at all. Under a KMS key it
is not, though it looks like one, and everything would be moved every night.
"""

import os
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing, closing
from dataclasses import dataclass

import anyio
from anyio import to_thread

from daemons.ingester.archive.folders import MANIFEST_PATH, Folder
from daemons.ingester.syncing.compare import (
    Compared,
    Content,
    State,
    compare,
    is_md5,
    needs_content,
)
from daemons.ingester.syncing.entries import LocalEntry, Pair, Problem, RemoteEntry, read_object
from daemons.ingester.syncing.local import LocalPiece, find_entry, list_folder, open_in
from daemons.ingester.syncing.merge import Pairing, Side, twin_reason
from daemons.ingester.syncing.place import SitePlace
from daemons.ingester.syncing.proofs import Proofs
from shared.fswatch.tree import Tree
from shared.s3.errors import ObjectError
from shared.s3.pinned import PinBroken, checksum_of
from shared.s3.store import ObjectStore, Page
from shared.s3.uri import S3Uri

_READERS = 4
"""Files that are read at once: more would only make a disk seek."""
_ASKERS = 16
"""Objects that S3 is asked about at once."""
_FILES_TOGETHER = 256
_BYTES_TOGETHER = 64 * 1024 * 1024
"""What one thread reads before it remembers it: what a kill costs."""

_Sides = tuple[LocalEntry, RemoteEntry]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some paths in a row, compared."""

    compared: Sequence[Compared]
    problems: Sequence[Problem] = ()


class Comparer:
    """Compares the folders of one site; `alive` is called whenever some files more were read."""

    def __init__(
        self,
        store: ObjectStore,
        place: SitePlace,
        proofs: Proofs,
        *,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._place = place
        self._proofs = proofs
        self._alive = alive
        self._readers = anyio.CapacityLimiter(_READERS)
        self._askers = anyio.CapacityLimiter(_ASKERS)

    async def folder(self, folder: Folder) -> AsyncGenerator[Batch, None]:
        """Yield a folder's paths in order, a piece at a time; close it with `aclosing`.

        Raises:
            LocalListingFailed, BrokenListing, shared.s3.errors: nothing is known of what follows.
        """
        pairing = Pairing()
        prefix = S3Uri(self._place.bucket, f"{folder.value}/")
        with closing(list_folder(self._place.root, folder)) as pieces:
            async with aclosing(self._pages(prefix)) as pages:
                while True:
                    problems = await _feed(pairing, pieces, pages)
                    pairs, twins = pairing.take()
                    if pairs or twins or problems:
                        yield await self._batch(pairs, [*problems, *twins])
                    if pairing.wants is Side.NEITHER:
                        return

    async def _pages(self, prefix: S3Uri) -> AsyncGenerator[Page, None]:
        async for page in self._store.pages(prefix):
            yield page

    async def _batch(self, pairs: Sequence[Pair], problems: Sequence[Problem]) -> Batch:
        found: list[Pair] = []
        twins: list[Problem] = []
        for pair in pairs:
            if pair.is_late and pair.remote and await self._is_there(pair.path):
                twins.append(Problem(pair.remote.key, twin_reason(pair.path)))
            else:
                found.append(pair)
        contents = await self._contents([pair for pair in found if needs_content(pair)])
        return Batch([_compared(pair, contents) for pair in found], [*problems, *twins])

    async def _is_there(self, path: str) -> bool:
        return await to_thread.run_sync(find_entry, self._place.root, path) is not None

    async def _contents(self, pairs: Sequence[Pair]) -> dict[str, Content | str]:
        """Return what the bytes of each say, or why they say nothing."""
        sides = [_both(pair) for pair in pairs]
        known = await to_thread.run_sync(self._proofs.recall, [local for local, _ in sides])
        contents: dict[str, Content | str] = {}
        unknown: list[_Sides] = []
        for local, remote in sides:
            if known.get(local.path) == remote.etag:
                contents[local.path] = Content.EQUAL
            elif is_md5(remote.etag):
                unknown.append((local, remote))
            else:
                contents[local.path] = Content.UNKNOWN
        async with anyio.create_task_group() as tasks:
            for group in _groups(unknown):
                tasks.start_soon(self._read, group, contents)
        return contents

    async def _read(self, sides: Sequence[_Sides], contents: dict[str, Content | str]) -> None:
        read = await to_thread.run_sync(self._contents_of, sides, limiter=self._readers)
        self._alive()
        contents.update(read)
        async with anyio.create_task_group() as tasks:
            for each in sides:
                if read[each[0].path] is Content.DIFFERENT:
                    tasks.start_soon(self._doubt, each, contents)

    async def _doubt(self, sides: _Sides, contents: dict[str, Content | str]) -> None:
        """Take a file for the same by its size where the ETag of S3 is no MD5 at all."""
        local, remote = sides
        async with self._askers:
            if await self._is_real_md5(remote):
                return
        contents[local.path] = Content.UNKNOWN
        if local.path != MANIFEST_PATH:
            # As it will be next time, without a request.
            await to_thread.run_sync(self._proofs.remember, [(local, remote.etag)])

    def _contents_of(self, sides: Sequence[_Sides]) -> Mapping[str, Content | str]:
        """Read files, and remember those that are what S3 has."""
        try:
            with Tree(self._place.root) as tree:
                contents = {local.path: _content(tree, local, remote) for local, remote in sides}
        except OSError as error:
            return {local.path: str(error) for local, _ in sides}
        equals = [each for each in sides if contents[each[0].path] is Content.EQUAL]
        self._proofs.remember((local, remote.etag) for local, remote in equals)
        return contents

    async def _is_real_md5(self, remote: RemoteEntry) -> bool:
        """Ask S3 how the object is encrypted; without an answer the ETag is taken as it looks."""
        try:
            info = await self._store.head(S3Uri(self._place.bucket, remote.key))
        except ObjectError:
            return True
        return bool(info.checksums.md5)


def _groups(sides: Iterable[_Sides]) -> Iterator[Sequence[_Sides]]:
    """Put files together that one thread reads: many small ones, few large ones."""
    group: list[_Sides] = []
    size = 0
    for each in sides:
        group.append(each)
        size += each[0].size
        if size >= _BYTES_TOGETHER or len(group) == _FILES_TOGETHER:
            yield group
            group, size = [], 0
    if group:
        yield group


def _content(tree: Tree, local: LocalEntry, remote: RemoteEntry) -> Content | str:
    """Read a file; returns what its bytes say, or why they say nothing."""
    try:
        source = open_in(tree, local)
        try:
            found = checksum_of(source, "md5")
        finally:
            os.close(source.descriptor)
    except (OSError, PinBroken) as error:
        return str(error)
    return Content.EQUAL if found == remote.etag else Content.DIFFERENT


async def _feed(
    pairing: Pairing, pieces: Iterator[LocalPiece], pages: AsyncIterator[Page]
) -> Sequence[Problem]:
    """Give the merge what it needs next; returns what was left out for a reason."""
    if pairing.wants is Side.REMOTE:
        page = await anext(pages, None)
        if page is None:
            pairing.end(Side.REMOTE)
            return ()
        found = [read_object(info) for info in page.objects]
        pairing.feed_remote([each for each in found if isinstance(each, RemoteEntry)])
        return [each for each in found if isinstance(each, Problem)]
    if pairing.wants is Side.LOCAL:
        piece = await to_thread.run_sync(next, pieces, None)
        if piece is None:
            pairing.end(Side.LOCAL)
            return ()
        pairing.feed_local(piece.entries)
        return piece.problems
    return ()


def _both(pair: Pair) -> _Sides:
    if pair.local is None or pair.remote is None:
        raise ValueError(f"{pair.path!r} has one side only")
    return pair.local, pair.remote


def _compared(pair: Pair, contents: Mapping[str, Content | str]) -> Compared:
    content = contents.get(pair.path, Content.UNKNOWN)
    if content is Content.EQUAL:
        return Compared(pair, State.SAME)
    if isinstance(content, str):
        return Compared(pair, State.UNREADABLE, content)
    return Compared(pair, compare(pair, content))
