"""Reading the head of a picture: one range, and further ones only where its format has it apart."""

from pipelines.wildlife.stage0.image.head import HEAD_BYTES, Head, read_head
from pipelines.wildlife.stage0.loaded import BadPicture, Loaded, Wanted
from pipelines.wildlife.storage.protocol import Entry, Storage

_WHOLE_BYTES = 64 * 1024
"""Files up to this size are read whole: no camera makes such a picture, unless it was cut off."""
_RANGE_BYTES = 8 * 1024
"""Read at least, once something lies behind the head: what is next to it may be wanted, too."""
_RANGES_MAX = 24
"""Together with the longest range that a format asks for, at most 2 MiB of a picture."""


async def read_picture(storage: Storage, entry: Entry) -> Head:
    """Return the head of a picture.

    Raises:
        BadPicture: it is no picture, or one that cannot be read.
        Missing, Unusable, shared.s3.errors.ObjectError: as `Storage` has them.
    """
    source = Loaded(entry.size)
    wanted = Wanted(0, entry.size if entry.size <= _WHOLE_BYTES else HEAD_BYTES)
    for _ in range(_RANGES_MAX):
        await _load(storage, entry, source, wanted)
        # It takes microseconds, and a bounded number of them whatever the file says, so that a
        # thread would cost more than it gives.
        try:
            return read_head(source)
        except Wanted as more:
            wanted = Wanted(more.offset, max(more.length, _RANGE_BYTES))
    raise BadPicture("damaged", f"has what is noted of it in more than {_RANGES_MAX} places")


async def _load(storage: Storage, entry: Entry, source: Loaded, wanted: Wanted) -> None:
    length = min(wanted.length, source.size - wanted.offset)
    if not length:
        return
    piece = await storage.read(entry.uri, start=wanted.offset, length=length)
    if len(piece) != length:
        raise BadPicture("truncated", f"has fewer bytes than the {source.size} it was listed with")
    source.add(wanted.offset, piece)
