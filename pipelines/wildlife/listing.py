"""Which pictures lie below a place: in a bucket page by page, in a folder file by file."""

import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import anyio

from pipelines.wildlife.document.places import Place
from pipelines.wildlife.errors import InvalidInput
from pipelines.wildlife.guard import Found
from pipelines.wildlife.pictures import BadCamera, camera_of, first_pictures, is_picture
from shared.s3.errors import AccessDenied, BucketMissing
from shared.s3.store import ObjectStore
from shared.s3.uri import S3Uri

_PAGE_SECONDS = 60.0


async def find_in_bucket(store: ObjectStore, source: Place, limit: int) -> Found:
    """List a prefix; InvalidInput where it cannot be listed, `shared.s3.errors` for the rest."""
    taken: Counter[str] = Counter()
    pictures = 0
    try:
        # A listing is in the order of the keys' bytes: the first pictures come first.
        async for name in _names_in_bucket(store, source):
            pictures += 1
            if pictures <= limit:
                taken[_camera(name, source)] += 1
    except (AccessDenied, BucketMissing) as error:
        raise InvalidInput(f"input_uri {str(source)!r} cannot be listed: {error}") from error
    return Found(pictures, taken)


async def find_in_folder(source: Place, limit: int) -> Found:
    """Walk a folder; InvalidInput where it is none. Links are not followed."""

    def walk() -> Found:
        if not os.path.isdir(source.prefix):  # noqa: PTH112 - names are bytes for the system
            raise InvalidInput(f"input_uri {str(source)!r} is not a folder; give one that is there")
        names = list(_names_in_folder(source.prefix))
        chosen = first_pictures(names, limit)
        return Found(len(names), Counter(_camera(name, source) for name in chosen))

    return await anyio.to_thread.run_sync(walk)


async def _names_in_bucket(store: ObjectStore, source: Place) -> AsyncIterator[str]:
    prefix = S3Uri(source.bucket, source.prefix)
    async for page in store.pages(prefix, deadline=_PAGE_SECONDS):
        for info in page.objects:
            if is_picture(info.uri.key):
                yield info.uri.key.removeprefix(source.prefix)


def _names_in_folder(folder: str) -> Iterator[str]:
    for above, _, names in os.walk(folder):
        for name in names:
            if is_picture(name):
                path = os.path.relpath(os.path.join(above, name), folder)  # noqa: PTH118 - as above
                yield os.fsencode(path).decode(errors="replace")


def _camera(name: str, source: Place) -> str:
    try:
        return camera_of(name, source.last_segment)
    except BadCamera as error:
        raise InvalidInput(f"picture {name[:200]!r}: {error}; rename its folder") from error
