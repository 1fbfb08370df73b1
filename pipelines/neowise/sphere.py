"""Distances on the sphere, in float64, right at the poles and across RA 0. Pure.

Separations are compared in whole nanoarcseconds. Degrees in float64 are hardly finer than that, so
a separation that was meant to be exactly the radius counts as within it, and two that were meant to
be equal are a tie, whatever the last bits of their arithmetic say.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

ARCSEC_A_DEGREE = 3600.0
_NANO = 1e9
_POLE_DEG = 90.0
_SLACK = 1e-13
"""Radians; more than the rounding of a unit vector, much less than what is decided afterwards."""


def unit_vectors(ra_deg: Floats, dec_deg: Floats) -> Floats:
    """Return the points as rows of x, y, z."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    across = np.cos(dec)
    return np.column_stack((across * np.cos(ra), across * np.sin(ra), np.sin(dec)))


def chord_of(angle_arcsec: float) -> float:
    """Return the straight distance that no two points within the angle exceed."""
    angle = np.radians(angle_arcsec / ARCSEC_A_DEGREE)
    return float(2.0 * np.sin(angle / 2.0) + _SLACK)


def ra_reach_deg(dec_deg: Floats, radius_arcsec: float) -> Floats:
    """Return how far a circle reaches in RA to either side; 180 where it holds a pole."""
    radius = radius_arcsec / ARCSEC_A_DEGREE
    ratio = np.sin(np.radians(radius)) / np.maximum(np.cos(np.radians(dec_deg)), 1e-300)
    reach = np.degrees(np.arcsin(np.minimum(ratio, 1.0)))
    holds_pole = (np.abs(dec_deg) + radius >= _POLE_DEG) | (ratio >= 1.0)
    return np.where(holds_pole, 180.0, reach)


def separations_arcsec(ra_a: Floats, dec_a: Floats, ra_b: Floats, dec_b: Floats) -> Floats:
    """Return great-circle distances pair by pair; haversine keeps small ones accurate."""
    ra_gap = np.mod(ra_a - ra_b + 180.0, 360.0) - 180.0
    dec_gap = dec_a - dec_b
    up = np.sin(np.radians(dec_gap) / 2.0) ** 2
    across = np.cos(np.radians(dec_a)) * np.cos(np.radians(dec_b))
    square = up + across * np.sin(np.radians(ra_gap) / 2.0) ** 2
    angle: Floats = np.degrees(2.0 * np.arcsin(np.sqrt(np.minimum(square, 1.0))))
    return angle * ARCSEC_A_DEGREE


def whole_nanoarcsec(separation_arcsec: Floats) -> Integers:
    """Return separations as the whole numbers by which they are compared."""
    return np.rint(separation_arcsec * _NANO).astype(np.int64)


def radius_nanoarcsec(radius_arcsec: float) -> int:
    """Return the largest separation that is within the radius."""
    return round(radius_arcsec * _NANO)


def offset_points(
    ra_deg: Floats, dec_deg: Floats, separation_arcsec: Floats, angle_deg: Floats
) -> tuple[Floats, Floats]:
    """Return the points at a separation and a position angle (from north through east)."""
    dec = np.radians(dec_deg)
    away = np.radians(separation_arcsec / ARCSEC_A_DEGREE)
    angle = np.radians(angle_deg)
    # Written with differences: sin(dec + small) would lose what makes the separation exact.
    north = np.cos(dec) * np.sin(away) * np.cos(angle) - 2.0 * np.sin(dec) * np.sin(away / 2) ** 2
    x = np.cos(away) * np.cos(dec) - np.sin(dec) * np.sin(away) * np.cos(angle)
    y = np.sin(away) * np.sin(angle)
    z = np.sin(dec) + north
    ra = np.mod(ra_deg + np.degrees(np.arctan2(y, x)), 360.0)
    return ra, np.degrees(np.arctan2(z, np.hypot(x, y)))
