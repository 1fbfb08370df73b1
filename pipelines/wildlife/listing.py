"""Which pictures lie below a place, the same for a bucket and for a folder."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from itertools import islice

from pipelines.wildlife.document.places import Place
from pipelines.wildlife.errors import InvalidInput
from pipelines.wildlife.guard import Found
from pipelines.wildlife.pictures import BadCamera, camera_of, is_picture
from pipelines.wildlife.storage.protocol import Entry, Missing, Storage, Unusable
from shared.s3.errors import AccessDenied, BucketMissing

_REFUSALS_MAX = 20
"""Folders that are named at once."""


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
    """Count the pictures, and those that a run takes, the first `limit`; InvalidInput.

    A folder that cannot be a camera refuses the run before anything is spent; each is a line.
    """
    taken: Counter[str] = Counter()
    refused: dict[str, str] = {}
    pictures = 0
    async for entry in pictures_below(storage, source):
        pictures += 1
        if pictures > limit:
            continue
        try:
            taken[camera_of(entry.relative, source.last_segment)] += 1
        except BadCamera as error:
            refused.setdefault(str(error), _shown(entry.relative))
    if refused:
        raise InvalidInput("\n".join(_refusals(refused)))
    return Found(pictures, taken)


def _refusals(refused: Mapping[str, str]) -> Iterator[str]:
    for reason, picture in islice(refused.items(), _REFUSALS_MAX):
        yield f"picture {picture!r}: {reason}; rename its folder"
    if len(refused) > _REFUSALS_MAX:
        yield f"{len(refused) - _REFUSALS_MAX} more folders cannot be cameras"


def _shown(relative: str) -> str:
    return relative[:200].encode(errors="replace").decode()
