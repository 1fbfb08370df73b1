import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.neowise.sphere import (
    chord_of,
    offset_points,
    radius_nanoarcsec,
    separations_arcsec,
    unit_vectors,
    whole_nanoarcsec,
)

RA = st.floats(0, 360)
DEC = st.floats(-90, 90)
SMALL = st.floats(1e-3, 60)
ANGLE = st.floats(0, 360)


@pytest.mark.parametrize(
    ("ra", "dec"),
    [(0.0, 0.0), (359.9999, 0.0), (10.0, 89.99), (200.0, -89.99), (0.0, 90.0), (77.0, 60.0)],
)
def test_separations_are_those_of_astropy(ra: float, dec: float) -> None:
    """A box in degrees of RA misses most matches near a pole; the great circle does not."""
    angles = np.arange(0.0, 360.0, 7.0)
    count = len(angles)
    others = offset_points(np.full(count, ra), np.full(count, dec), np.full(count, 4.9), angles)

    found = separations_arcsec(np.full(count, ra), np.full(count, dec), *others)

    theirs = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(*others, unit="deg"))
    assert np.abs(found - theirs.to_value(units.arcsec)).max() < 1e-8
    assert np.abs(found - 4.9).max() < 1e-8


@settings(deadline=None)
@given(RA, DEC, SMALL, ANGLE)
def test_an_offset_is_as_far_away_as_was_said(
    ra: float, dec: float, away: float, angle: float
) -> None:
    """The generated sky's truth rests on it."""
    start = np.array([ra]), np.array([dec])

    moved = offset_points(*start, np.array([away]), np.array([angle]))

    assert separations_arcsec(*start, *moved)[0] == pytest.approx(away, abs=2e-9)


@settings(deadline=None)
@given(RA, DEC, SMALL, ANGLE)
def test_chord_never_excludes_what_is_within_the_angle(
    ra: float, dec: float, away: float, angle: float
) -> None:
    """What the tree leaves out is never looked at again."""
    start = np.array([ra]), np.array([dec])
    moved = offset_points(*start, np.array([away]), np.array([angle]))

    chord = np.linalg.norm(unit_vectors(*start) - unit_vectors(*moved))

    assert chord <= chord_of(away)


@pytest.mark.parametrize("dec", [0.0, 45.0, -89.0])
def test_exactly_the_radius_is_within_it(dec: float) -> None:
    """Somebody will put a detection there and count."""
    away = separations_arcsec(
        np.array([10.0]), np.array([dec]), np.array([10.0]), np.array([dec + 5.0 / 3600.0])
    )

    assert whole_nanoarcsec(away)[0] <= radius_nanoarcsec(5.0)
    assert whole_nanoarcsec(away + 2e-9)[0] > radius_nanoarcsec(5.0)
