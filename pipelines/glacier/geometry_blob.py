"""The bounds of a geometry as a GeoPackage stores it: a header, then well-known binary. Pure.

Only what a region can be is read: a polygon, or several, whose coordinates are finite. The
envelope that the header may carry is not trusted, since whoever edits a shape may leave it behind.
"""

import math
import struct
from collections.abc import Iterator

from pipelines.glacier.regions import Bounds

_MAGIC = b"GP"
_HEADER = 8
_EMPTY_FLAG = 0b10000
_EXTENDED_FLAG = 0b100000
_ENVELOPE_BYTES = {0: 0, 1: 32, 2: 48, 3: 48, 4: 64}
_POLYGON, _MULTI_POLYGON = 3, 6
_POINTS_MAX = 10_000


def parse_bounds(blob: bytes) -> Bounds:
    """Return the bounds of a GeoPackage geometry; ValueError says why it has none."""
    if len(blob) < _HEADER or blob[:2] != _MAGIC:
        raise ValueError("is no GeoPackage geometry")
    flags = blob[3]
    envelope = _ENVELOPE_BYTES.get((flags >> 1) & 0b111)
    if envelope is None or flags & _EXTENDED_FLAG:
        raise ValueError("has a header of an unknown form")
    if flags & _EMPTY_FLAG:
        raise ValueError("is empty")
    reader = _Reader(blob, _HEADER + envelope)
    try:
        points = list(_points(reader))
    except struct.error:
        raise ValueError("ends too early") from None
    if not points or not all(math.isfinite(x) and math.isfinite(y) for x, y in points):
        raise ValueError("has no finite coordinates")
    xs, ys = zip(*points, strict=True)
    bounds = Bounds(min(xs), min(ys), max(xs), max(ys))
    if bounds.minx == bounds.maxx or bounds.miny == bounds.maxy:
        raise ValueError("has no area")
    return bounds


class _Reader:
    """Takes numbers out of bytes, one after the other."""

    def __init__(self, blob: bytes, at: int) -> None:
        self._blob = blob
        self._at = at
        self._order = "<"
        self.points_left = _POINTS_MAX

    def begin_shape(self) -> int:
        """Read byte order and type of a shape; returns the type."""
        self._order = "<" if self._take("B")[0] else ">"
        return int(self._take("I")[0])

    def count(self) -> int:
        """Read how many of something follow."""
        return int(self._take("I")[0])

    def point(self, dimensions: int) -> tuple[float, float]:
        """Read one point and return its first two coordinates."""
        self.points_left -= 1
        if self.points_left < 0:
            raise ValueError(f"has more than {_POINTS_MAX} points")
        found = self._take(f"{dimensions}d")
        return float(found[0]), float(found[1])

    def _take(self, form: str) -> tuple[float, ...]:
        packed = struct.Struct(self._order + form)
        values = packed.unpack_from(self._blob, self._at)
        self._at += packed.size
        return values


def _points(reader: _Reader) -> Iterator[tuple[float, float]]:
    kind = reader.begin_shape()
    if kind % 1000 == _MULTI_POLYGON:
        for _ in range(reader.count()):
            yield from _polygon(reader, reader.begin_shape())
    else:
        yield from _polygon(reader, kind)


def _polygon(reader: _Reader, kind: int) -> Iterator[tuple[float, float]]:
    """Yield all points of a polygon; thousands tell its dimensions, as ISO has it."""
    dimensions = {0: 2, 1: 3, 2: 3, 3: 4}.get(kind // 1000)
    if kind % 1000 != _POLYGON or dimensions is None:
        raise ValueError("is neither a polygon nor several")
    for _ in range(reader.count()):
        for _ in range(reader.count()):
            yield reader.point(dimensions)
