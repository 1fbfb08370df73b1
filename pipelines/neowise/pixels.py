"""Which partitions of the catalogue a circle on the sky touches. Pure.

A partition is a HEALPix pixel of order 5, nested, about 1.8 degrees wide: nearly every circle of
some arcseconds lies within one. Rule: a pixel that a circle touches is never missed. Points are
taken on a ring so far outside the circle that the polygon through them encloses it, hence an edge
that cuts the circle leaves a point beyond it. Corners are asked for one by one, up to twice the
radius away.
"""

import numpy as np
import numpy.typing as npt

from pipelines.neowise.healpix import corners_of, pixels_of
from pipelines.neowise.sphere import Floats, Integers, chord_of, offset_points, unit_vectors

RADIUS_MAX_ARCSEC = 60.0
"""Up to here an edge of a pixel is as good as straight within a circle."""

_COARSE_POINTS = 32
_COARSE_REACH = 3.0
_FINE_POINTS = 64
_FINE_REACH = 1.05
_CORNER_REACH = 2.0
_BLOCK = 4096


def pixels_touched(
    ra_deg: Floats, dec_deg: Floats, radius_arcsec: float
) -> tuple[Integers, Integers]:
    """Return pairs of a point's index and a pixel that the circle around it touches, sorted."""
    pairs = [
        _touched(ra_deg[start : start + _BLOCK], dec_deg[start : start + _BLOCK], radius_arcsec)
        + np.array([start, 0])
        for start in range(0, len(ra_deg), _BLOCK)
    ]
    joined = np.concatenate(pairs) if pairs else np.empty((0, 2), np.int64)
    return joined[:, 0], joined[:, 1]


def _touched(ra_deg: Floats, dec_deg: Floats, radius: float) -> npt.NDArray[np.int64]:
    """Do one block: a coarse ring finds the few circles near an edge, the rest is settled."""
    own = pixels_of(ra_deg, dec_deg)
    ring = _ring_pixels(ra_deg, dec_deg, radius * _COARSE_REACH, _COARSE_POINTS)
    near_edge = np.flatnonzero((ring != own[:, None]).any(axis=1))
    pairs = [np.column_stack((np.arange(len(own)), own))]
    if len(near_edge):
        found = _beyond_the_edge(ra_deg[near_edge], dec_deg[near_edge], ring[near_edge], radius)
        found[:, 0] = near_edge[found[:, 0]]
        pairs.append(found)
    return np.unique(np.concatenate(pairs), axis=0)


def _beyond_the_edge(
    ra_deg: Floats, dec_deg: Floats, coarse: Integers, radius: float
) -> npt.NDArray[np.int64]:
    """Return pairs of index and pixel, for circles that may leave their own pixel."""
    numbers = np.arange(len(ra_deg))
    ring = _ring_pixels(ra_deg, dec_deg, radius * _FINE_REACH, _FINE_POINTS)
    by_edge = np.column_stack((np.repeat(numbers, _FINE_POINTS), ring.ravel()))
    around = np.column_stack((np.repeat(numbers, _COARSE_POINTS), coarse.ravel()))
    around = np.unique(around, axis=0)
    centres = unit_vectors(ra_deg, dec_deg)[around[:, 0]]
    away = np.linalg.norm(corners_of(around[:, 1]) - centres[:, None, :], axis=2).min(axis=1)
    close = away <= chord_of(radius * _CORNER_REACH)
    return np.concatenate((by_edge, around[close]))


def _ring_pixels(ra_deg: Floats, dec_deg: Floats, radius: float, points: int) -> Integers:
    """Return the pixels of points on a ring around each point, one row a point."""
    angles = np.arange(points) * (360.0 / points)
    ra, dec = offset_points(
        np.repeat(ra_deg, points),
        np.repeat(dec_deg, points),
        np.full(len(ra_deg) * points, radius),
        np.tile(angles, len(ra_deg)),
    )
    return pixels_of(ra, dec).reshape(len(ra_deg), points)
