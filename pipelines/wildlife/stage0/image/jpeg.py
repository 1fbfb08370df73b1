"""The head of a JPEG: its segments up to the image data. Pure."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.wildlife.stage0.image.shape import Shape
from pipelines.wildlife.stage0.loaded import BadPicture, Loaded

MAGIC = b"\xff\xd8\xff"
_EXIF = b"Exif\0\0"
_APP1, _SCAN, _END = 0xE1, 0xDA, 0xD9
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Start-of-frame markers; the three are tables."""
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a length."""
_SEGMENTS_MAX = 512
_FILL_MAX = 64


@dataclass(frozen=True, slots=True)
class _Segment:
    marker: int
    start: int
    """Of what is in it, behind its length."""
    end: int


def read_jpeg(source: Loaded) -> Shape:
    """Return the shape of a JPEG."""
    size: tuple[int, int] | None = None
    exif: tuple[int, int] | None = None
    for segment in _segments(source):
        if segment.marker in _FRAMES and size is None:
            height, width = struct.unpack(">HH", source.take(segment.start + 1, 4))
            size = width, height
        elif segment.marker == _APP1 and exif is None:
            exif = _exif(source, segment)
        if size and (exif or segment.marker == _SCAN):
            _check_end(source, segment.end)
            return Shape("JPEG", *size, exif)
    raise BadPicture("damaged", "is a JPEG without a frame")


def _segments(source: Loaded) -> Iterator[_Segment]:
    """Yield the segments up to the image data, which is the last one."""
    offset = 2
    for _ in range(_SEGMENTS_MAX):
        marker, offset = _marker(source, offset)
        if marker in _ALONE:
            continue
        if marker == _END:
            return
        (length,) = struct.unpack(">H", source.take(offset, 2))
        if length < 2:  # noqa: PLR2004 - the length counts its own two bytes
            raise BadPicture("damaged", f"has a segment of length {length}")
        yield _Segment(marker, offset + 2, offset + length)
        if marker == _SCAN:
            return
        offset += length


def _marker(source: Loaded, offset: int) -> tuple[int, int]:
    """Return the marker at an offset, and where it ends; it may have filling before it."""
    for _ in range(_FILL_MAX):
        first, second = source.take(offset, 2)
        if first != 0xFF:  # noqa: PLR2004 - what every marker begins with
            break
        if second != 0xFF:  # noqa: PLR2004 - filling
            return second, offset + 2
        offset += 1
    raise BadPicture("damaged", f"has no marker at byte {offset}")


def _exif(source: Loaded, segment: _Segment) -> tuple[int, int] | None:
    start = segment.start + len(_EXIF)
    if start <= segment.end and source.take(segment.start, len(_EXIF)) == _EXIF:
        return start, segment.end
    return None


def _check_end(source: Loaded, offset: int) -> None:
    """Look for the end of the image where the file is here anyway.

    A large file is not read for it: whether its image data is whole is seen when it is decoded.
    """
    whole = source.whole
    if whole is not None and whole.find(b"\xff\xd9", offset) < 0:
        raise BadPicture("truncated", f"ends at byte {source.size}, before its image does")
