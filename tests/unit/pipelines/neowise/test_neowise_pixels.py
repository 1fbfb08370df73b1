import numpy as np
import pytest
from astropy_healpix import healpy
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.neowise.columns import NSIDE, PIXELS
from pipelines.neowise.healpix import pixels_of
from pipelines.neowise.pixels import pixels_touched
from pipelines.neowise.sphere import offset_points

RADIUS = 5.0
_POINTS = 4000


def _touched(ra: float, dec: float, radius: float = RADIUS) -> set[int]:
    _, pixels = pixels_touched(np.array([ra]), np.array([dec]), radius)
    return set(pixels.tolist())


def _within(ra: float, dec: float, radius: float, seed: int = 0) -> set[int]:
    """Return the pixels of many points within the circle, its edge included."""
    chance = np.random.default_rng(seed)
    away = radius * np.sqrt(chance.random(_POINTS))
    away[::2] = radius
    angles = chance.uniform(0, 360, _POINTS)
    points = offset_points(np.full(_POINTS, ra), np.full(_POINTS, dec), away, angles)
    return set(pixels_of(*points).tolist())


@st.composite
def near_a_corner(draw: st.DrawFn) -> tuple[float, float]:
    """Draw a place within some arcseconds of a pixel's corner or edge."""
    pixel = draw(st.integers(0, PIXELS - 1))
    edge = draw(st.integers(0, 31))
    x, y, z = healpy.boundaries(NSIDE, pixel, step=8, nest=True)[:, edge]
    ra, dec = np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arctan2(z, np.hypot(x, y)))
    moved = offset_points(
        np.array([ra]),
        np.array([dec]),
        np.array([draw(st.floats(0, 12))]),
        np.array([draw(st.floats(0, 360))]),
    )
    return float(moved[0][0]), float(moved[1][0])


@settings(max_examples=200, deadline=None)
@given(near_a_corner())
def test_no_pixel_that_a_circle_touches_is_missed(place: tuple[float, float]) -> None:
    """A detection in a pixel that is not read is a match that nobody ever sees."""
    assert _within(*place, RADIUS) <= _touched(*place)


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 360), st.sampled_from([-1.0, 1.0]), st.floats(0, 10 / 3600))
def test_no_pixel_is_missed_around_the_poles(ra: float, side: float, away: float) -> None:
    """Four pixels meet there, and RA says nothing."""
    dec = side * (90.0 - away)

    assert _within(ra, dec, RADIUS) <= _touched(ra, dec)


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 360), st.floats(-90, 90), st.sampled_from([0.1, 5.0, 60.0]))
def test_no_pixel_is_missed_anywhere(ra: float, dec: float, radius: float) -> None:
    """The same for whatever radius the settings allow."""
    assert _within(ra, dec, radius) <= _touched(ra, dec, radius)


@settings(max_examples=60, deadline=None)
@given(near_a_corner())
def test_only_pixels_within_twice_the_radius_are_read(place: tuple[float, float]) -> None:
    """Each pixel more is a dozen files more."""
    assert _touched(*place) <= _within(*place, RADIUS * 2.05, seed=1) | _within(*place, RADIUS)


def test_no_pixel_is_missed_whose_corner_alone_is_touched() -> None:
    """A corner just within the circle, the pixel itself beyond it; many pixels, all corners."""
    some = np.arange(0, PIXELS, 13)
    corners = healpy.boundaries(NSIDE, some, step=1, nest=True)
    middles = np.stack(healpy.pix2vec(NSIDE, some, nest=True), axis=1)
    pixels = np.repeat(some, 4)
    corner = corners.transpose(0, 2, 1).reshape(-1, 3)
    away = corner - np.repeat(middles, 4, axis=0)
    away -= (away * corner).sum(axis=1)[:, None] * corner
    away /= np.linalg.norm(away, axis=1)[:, None]
    place = corner + away * np.radians((RADIUS - 0.01) / 3600)
    ra = np.degrees(np.arctan2(place[:, 1], place[:, 0])) % 360
    dec = np.degrees(np.arctan2(place[:, 2], np.hypot(place[:, 0], place[:, 1])))

    index, touched = pixels_touched(ra, dec, RADIUS)

    found = set(zip(index.tolist(), touched.tolist(), strict=True))
    missed = [
        number for number, pixel in enumerate(pixels.tolist()) if (number, pixel) not in found
    ]
    assert missed == []


def test_nearly_every_circle_lies_within_one_pixel() -> None:
    """The original reads nine."""
    chance = np.random.default_rng(3)
    ra = chance.uniform(0, 360, 20_000)
    dec = np.degrees(np.arcsin(chance.uniform(-1, 1, 20_000)))

    index, _ = pixels_touched(ra, dec, RADIUS)

    assert len(index) < 20_000 * 1.01


@pytest.mark.parametrize(("ra", "dec"), [(12.0, 90.0), (12.0, -90.0), (45.0, 90.0)])
def test_four_pixels_meet_at_a_pole(ra: float, dec: float) -> None:
    """The plainest corner of all."""
    assert len(_touched(ra, dec)) == 4


def test_nothing_touches_nothing() -> None:
    """A seed folder may come out empty."""
    index, pixels = pixels_touched(np.empty(0), np.empty(0), RADIUS)

    assert len(index) == len(pixels) == 0
