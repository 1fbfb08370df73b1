"""The head of a PNG, and its eXIf chunk wherever it lies. Pure.

Chunks before the image data are walked. Behind it there may be thousands of them in between, so
the end of the file is searched instead: a chunk's checksum tells it from bytes that look like one.
"""

import struct
from zlib import crc32

from pipelines.wildlife.stage0.image.shape import Shape
from pipelines.wildlife.stage0.loaded import BadPicture, Loaded

MAGIC = b"\x89PNG\r\n\x1a\n"
_HEADER_BYTES = 13
_FRAME_BYTES = 12
"""Of a chunk besides what is in it: length, name, checksum."""
_CHUNKS_MAX = 512
_TAIL_BYTES = 64 * 1024
_END = b"\0\0\0\0IEND\xae\x42\x60\x82"


def read_png(source: Loaded) -> Shape:
    """Return the shape of a PNG."""
    head = source.take(len(MAGIC), _FRAME_BYTES + _HEADER_BYTES)
    if head[:8] != b"\0\0\0\x0dIHDR" or not _sound(head):
        raise BadPicture("damaged", "is a PNG without a sound IHDR chunk")
    whole = source.whole
    if whole is not None:
        _check_end(source, whole)
    width, height = struct.unpack(">II", head[8:16])
    return Shape("PNG", width, height, _find_exif(source, len(MAGIC) + len(head)))


def _find_exif(source: Loaded, offset: int) -> tuple[int, int] | None:
    for _ in range(_CHUNKS_MAX):
        length, name = struct.unpack(">I4s", source.take(offset, 8))
        if offset + _FRAME_BYTES + length > source.size:
            raise BadPicture("truncated", f"ends at byte {source.size}, within a chunk")
        if name == b"eXIf":
            return offset + 8, offset + 8 + length
        if name == b"IEND":
            return None
        offset += _FRAME_BYTES + length
        if name == b"IDAT":
            return _search_tail(source, offset)
    raise BadPicture("damaged", f"has more than {_CHUNKS_MAX} chunks before its image")


def _search_tail(source: Loaded, begin: int) -> tuple[int, int] | None:
    begin = max(begin, source.size - _TAIL_BYTES)
    tail = source.take(begin, source.size - begin)
    _check_end(source, tail)
    at = tail.find(b"eXIf")
    while at >= 0:
        start = at - 4
        if start >= 0:
            (length,) = struct.unpack(">I", tail[start:at])
            if _sound(tail[start : start + _FRAME_BYTES + length]):
                return begin + at + 4, begin + at + 4 + length
        at = tail.find(b"eXIf", at + 1)
    return None


def _check_end(source: Loaded, tail: bytes) -> None:
    """Look for the last chunk; an editor may have put something behind it."""
    if _END not in tail:
        raise BadPicture("truncated", f"ends at byte {source.size} without an IEND chunk")


def _sound(chunk: bytes) -> bool:
    """Tell whether a chunk is whole and has the checksum that it says."""
    if len(chunk) < _FRAME_BYTES:
        return False
    length, checksum = struct.unpack(">I", chunk[:4])[0], struct.unpack(">I", chunk[-4:])[0]
    return len(chunk) == _FRAME_BYTES + length and bool(crc32(chunk[4:-4]) == checksum)
