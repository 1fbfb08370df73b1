"""Which pictures lie below a place, the same for a bucket and for a folder."""

from collections import Counter
from collections.abc import AsyncIterator

from pipelines.wildlife.document.places import Place
from pipelines.wildlife.errors import InvalidInput
from pipelines.wildlife.guard import Found
from pipelines.wildlife.pictures import BadCamera, camera_of, is_picture
from pipelines.wildlife.storage.protocol import Entry, Missing, Storage, Unusable
from shared.s3.errors import AccessDenied, BucketMissing


async def pictures_below(storage: Storage, source: Place) -> AsyncIterator[Entry]:
    """Yield the pictures in the order of their names' bytes; InvalidInput where none can be."""
    try:
        async for entry in storage.walk(source):
            if is_picture(entry.relative):
                yield entry
    except Missing as error:
        raise InvalidInput(
            f"input_uri {str(source)!r} is not a folder; give one that is there"
        ) from error
    except (AccessDenied, BucketMissing, Unusable) as error:
        raise InvalidInput(f"input_uri {str(source)!r} cannot be listed: {error}") from error


async def find_pictures(storage: Storage, source: Place, limit: int) -> Found:
    """Count the pictures, and those that a run takes, the first `limit`; InvalidInput."""
    taken: Counter[str] = Counter()
    pictures = 0
    async for entry in pictures_below(storage, source):
        pictures += 1
        if pictures <= limit:
            taken[camera_within(entry.relative, source)] += 1
    return Found(pictures, taken)


def camera_within(relative: str, source: Place) -> str:
    """Return the camera of a picture by its name below the input; InvalidInput."""
    try:
        return camera_of(relative, source.last_segment)
    except BadCamera as error:
        shown = relative[:200].encode(errors="replace").decode()
        raise InvalidInput(f"picture {shown!r}: {error}; rename its folder") from error
