"""Real PNG files without a library: trails of a small simulated colony, different each time.

Pure and repeatable: the same seed gives the same bytes.
"""

import random
import struct
import zlib
from collections.abc import Sequence

WIDTH, HEIGHT = 160, 120
_WALKERS = 8
_STEPS = 120
_MOVES = [x + WIDTH * y for x in (-1, 0, 1) for y in (-1, 0, 1) if (x, y) != (0, 0)]
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE: Sequence[tuple[int, int, int]] = (
    (16, 20, 24),
    (36, 60, 52),
    (64, 120, 88),
    (142, 184, 96),
    (236, 216, 120),
    (248, 248, 232),
)


def colony_picture(seed: int) -> bytes:
    """Draw the trails of one moment; brighter where more came by."""
    chance = random.Random(seed)  # noqa: S311 - a drawing, not a secret
    pixels = bytearray(WIDTH * HEIGHT)
    brightest = len(_PALETTE) - 1
    for _ in range(_WALKERS):
        # One index instead of two coordinates: who leaves on the right comes back on the left.
        place = len(pixels) // 2 + WIDTH // 2
        for move in chance.choices(_MOVES, k=_STEPS):
            place = (place + move) % len(pixels)
            pixels[place] = min(brightest, pixels[place] + 1)
    return indexed_png(WIDTH, HEIGHT, _PALETTE, bytes(pixels))


def indexed_png(
    width: int, height: int, palette: Sequence[tuple[int, int, int]], pixels: bytes
) -> bytes:
    """Return a PNG with one byte a pixel, each an index into the palette (ISO/IEC 15948)."""
    # Eight bits a sample, colour type 3 (palette), and the only methods that there are.
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    colours = b"".join(bytes(colour) for colour in palette)
    # Each row is preceded by its filter; 0 is none.
    rows = b"".join(b"\0" + pixels[row * width : (row + 1) * width] for row in range(height))
    return b"".join(
        [
            _SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", colours),
            _chunk(b"IDAT", zlib.compress(rows, 6)),
            _chunk(b"IEND", b""),
        ]
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
