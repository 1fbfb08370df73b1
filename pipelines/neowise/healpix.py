"""HEALPix pixels of one order, nested: which one a point lies in, and where its corners are. Pure.

The formulas are those of Gorski et al. 2005 (ApJ 622, 759): twelve faces, on each a square grid
whose x and y are interleaved bit by bit. Written here because the library that has them loads for
longer than a CID takes; the tests hold it to that library.
"""

import numpy as np

from pipelines.neowise.columns import NSIDE, ORDER
from pipelines.neowise.sphere import Floats, Integers

_EQUATORIAL_Z = 2.0 / 3.0
_POLAR_Z = 0.99
"""Beyond this |z| the cosine of the latitude is more accurate than 1 - |z|."""
_QUARTER = np.pi / 2.0
_ROW_OF_FACE = np.array([2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4], np.float64)
_COLUMN_OF_FACE = np.array([1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7], np.float64)
_SPREAD = np.array(
    [sum((number >> bit & 1) << 2 * bit for bit in range(ORDER)) for number in range(NSIDE)],
    np.int64,
)
"""A coordinate with a zero between any two of its bits."""


def pixels_of(ra_deg: Floats, dec_deg: Floats) -> Integers:
    """Return the pixel that each point lies in."""
    dec = np.radians(dec_deg)
    z = np.sin(dec)
    quarters = np.mod(np.radians(ra_deg) / _QUARTER, 4.0)
    # The remainder of a tiny negative number is 4 after rounding.
    quarters = np.where(quarters >= 4.0, 0.0, quarters)  # noqa: PLR2004 - four quarters
    equatorial = np.abs(z) <= _EQUATORIAL_Z
    face, x, y = np.where(equatorial, _equatorial(z, quarters), _polar(z, np.cos(dec), quarters))
    found: Integers = face * NSIDE**2 + _SPREAD[x] + 2 * _SPREAD[y]
    return found


def _equatorial(z: Floats, quarters: Floats) -> Integers:
    """Return face, x and y by the lines that rise and fall through a point."""
    middle, height = NSIDE * (0.5 + quarters), NSIDE * z * 0.75
    falling = np.floor(middle - height).astype(np.int64)
    rising = np.floor(middle + height).astype(np.int64)
    face_falling, face_rising = falling // NSIDE, rising // NSIDE
    beside = np.where(face_falling < face_rising, face_falling, face_rising + 8)
    face = np.where(face_falling == face_rising, face_falling | 4, beside)
    return np.stack((face, rising % NSIDE, NSIDE - 1 - falling % NSIDE))


def _polar(z: Floats, across: Floats, quarters: Floats) -> Integers:
    """Return face, x and y in the caps, where rows grow shorter towards the pole."""
    size = np.abs(z)
    quarter = np.minimum(np.floor(quarters), 3.0)
    share = quarters - quarter
    root = np.sqrt(3.0 * (1.0 - size))
    root = np.where(size < _POLAR_Z, root, np.abs(across) / np.sqrt((1.0 + size) / 3.0))
    right = np.minimum(np.floor(share * root * NSIDE).astype(np.int64), NSIDE - 1)
    left = np.minimum(np.floor((1.0 - share) * root * NSIDE).astype(np.int64), NSIDE - 1)
    face = quarter.astype(np.int64)
    north = np.stack((face, NSIDE - 1 - left, NSIDE - 1 - right))
    south = np.stack((face + 8, right, left))
    return np.where(z >= 0.0, north, south)


def corners_of(pixels: Integers) -> Floats:
    """Return the four corners of each pixel as unit vectors, in an array (pixel, corner, xyz)."""
    face, inner = np.divmod(pixels, NSIDE**2)
    x, y = _gathered(inner), _gathered(inner >> 1)
    steps = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    across = (x[:, None] + steps[:, 0]) / NSIDE
    up = (y[:, None] + steps[:, 1]) / NSIDE
    row = _ROW_OF_FACE[face][:, None] - across - up
    column = _COLUMN_OF_FACE[face][:, None] + 0.0
    # A row's length: full around the equator, shrinking to nothing at the poles (rows 0 and 4).
    length = np.clip(np.minimum(row, 4.0 - row), 0.0, 1.0)
    lack = length**2 / 3.0
    z = np.where(length < 1.0, np.where(row < 2.0, 1.0 - lack, lack - 1.0), (2.0 - row) * 2 / 3)  # noqa: PLR2004 - the equator's row
    distance = np.where(length < 1.0, np.sqrt(lack * (2.0 - lack)), np.sqrt(1.0 - z**2))
    along = np.mod(column * length + across - up, 8.0)
    ra = _QUARTER / 2.0 * along / np.where(length > 0.0, length, 1.0)
    return np.stack((distance * np.cos(ra), distance * np.sin(ra), z), axis=-1)


def _gathered(inner: Integers) -> Integers:
    """Return the number made of every other bit."""
    found = np.zeros_like(inner)
    for bit in range(ORDER):
        found |= (inner >> 2 * bit & 1) << bit
    return found
