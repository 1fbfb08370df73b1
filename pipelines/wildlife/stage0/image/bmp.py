"""The head of a BMP, which has no place for a camera's notes. Pure."""

import struct

from pipelines.wildlife.stage0.image.shape import Shape
from pipelines.wildlife.stage0.loaded import BadPicture, Loaded

MAGIC = b"BM"
_OLD, _LEAST = 12, 40
_PLAIN = 0
"""How pixels are stored that are not compressed."""


def read_bmp(source: Loaded) -> Shape:
    """Return the shape of a BMP; rows may lie from the top down, with a negative height."""
    begin, kind = struct.unpack("<II", source.take(10, 8))
    if kind == _OLD:
        width, height, _, bits = struct.unpack("<HHHH", source.take(18, 8))
        compression = _PLAIN
    elif kind >= _LEAST:
        width, height, _, bits, compression = struct.unpack("<iiHHI", source.take(18, 16))
    else:
        raise BadPicture("damaged", f"is a BMP with a header of {kind} bytes")
    shape = Shape("BMP", width, abs(height))
    row = (width * bits + 31) // 32 * 4
    if compression == _PLAIN and begin + row * shape.height > source.size:
        raise BadPicture("truncated", f"ends at byte {source.size}, before its pixels do")
    return shape
