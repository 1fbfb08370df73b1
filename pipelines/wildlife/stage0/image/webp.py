"""The head of a WebP: its chunks, of which EXIF comes behind the image. Pure."""

import struct

from pipelines.wildlife.stage0.image.shape import Shape
from pipelines.wildlife.stage0.loaded import BadPicture, Loaded

_RIFF_BYTES = 12
_HAS_EXIF = 0x08
_CHUNKS_MAX = 512
_MARK = b"Exif\0\0"
"""Some writers put it before the block, as JPEG has it."""


def is_webp(head: bytes) -> bool:
    """Tell a WebP by its first bytes."""
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def read_webp(source: Loaded) -> Shape:
    """Return the shape of a WebP of any of its three kinds."""
    (size,) = struct.unpack("<I", source.take(4, 4))
    if size + 8 > source.size:
        raise BadPicture("truncated", f"ends at byte {source.size}, and says {size + 8}")
    name, first = source.take(_RIFF_BYTES, 4), _RIFF_BYTES + 8
    if name == b"VP8X":
        flags, canvas = source.take(first, 1)[0], source.take(first + 4, 6)
        width, height = (int.from_bytes(canvas[n : n + 3], "little") + 1 for n in (0, 3))
        exif = _find_exif(source, size + 8) if flags & _HAS_EXIF else None
        return Shape("WEBP", width, height, exif)
    if name == b"VP8 ":
        start, width, height = struct.unpack("<3sHH", source.take(first + 3, 7))
        if start == b"\x9d\x01\x2a":
            return Shape("WEBP", width & 0x3FFF, height & 0x3FFF)
    if name == b"VP8L":
        mark, bits = struct.unpack("<BI", source.take(first, 5))
        if mark == 0x2F:  # noqa: PLR2004 - the signature of lossless images
            return Shape("WEBP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    raise BadPicture("damaged", f"is a WebP that begins with {name!r}")


def _find_exif(source: Loaded, end: int) -> tuple[int, int] | None:
    offset = _RIFF_BYTES
    for _ in range(_CHUNKS_MAX):
        if offset + 8 > end:
            return None
        name, length = struct.unpack("<4sI", source.take(offset, 8))
        start = offset + 8
        if name == b"EXIF":
            skipped = len(_MARK) if length >= len(_MARK) and _marked(source, start) else 0
            return start + skipped, min(start + length, end)
        offset = start + length + length % 2
    raise BadPicture("damaged", f"has more than {_CHUNKS_MAX} chunks")


def _marked(source: Loaded, start: int) -> bool:
    return source.take(start, len(_MARK)) == _MARK
