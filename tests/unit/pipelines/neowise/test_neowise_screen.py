import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.neowise.screen import Screen
from pipelines.neowise.sphere import offset_points, ra_reach_deg

DEC = st.floats(-90, 90) | st.floats(89.99, 90) | st.floats(-90, -89.99) | st.just(0.0)
RA = st.floats(0, 360) | st.floats(359.999, 360) | st.floats(0, 0.001)


@settings(max_examples=300, deadline=None)
@given(RA, DEC, st.sampled_from([0.01, 1.0, 5.0, 60.0]), st.integers(0, 2**32))
def test_nothing_within_a_circle_is_held_back(
    ra: float, dec: float, radius: float, seed: int
) -> None:
    """What the sieve holds back is never looked at again."""
    chance = np.random.default_rng(seed)
    away = radius * np.sqrt(chance.random(500))
    away[::3] = radius
    points = offset_points(np.full(500, ra), np.full(500, dec), away, chance.uniform(0, 360, 500))

    passed = Screen(np.array([ra]), np.array([dec]), radius).passes(*points)

    assert passed.all()


@pytest.mark.parametrize("dec", [0.0, 60.0, -89.0])
def test_nearly_everything_else_is_held_back(dec: float) -> None:
    """It is there to save the tree the work."""
    chance = np.random.default_rng(2)
    ra = 100 + chance.uniform(-1, 1, (2, 50_000)) / np.cos(np.radians(dec))
    decs = dec + chance.uniform(-0.5, 0.5, (2, 50_000))

    passed = Screen(ra[0][:1000], decs[0][:1000], 5.0).passes(ra[1], decs[1])

    assert passed.mean() < 0.2


def test_coordinates_that_are_odd_break_nothing() -> None:
    """The catalogue is somebody else's."""
    screen = Screen(np.array([0.0]), np.array([0.0]), 5.0)

    passed = screen.passes(np.array([-0.001, 360.0, 720.0, 0.0]), np.array([0.0, 0.0, 0.0, 99.0]))

    assert passed[:3].all()


@settings(deadline=None)
@given(DEC, st.sampled_from([0.01, 5.0, 60.0]))
def test_reach_in_ra_is_that_of_the_circle(dec: float, radius: float) -> None:
    """Not the radius in degrees: that is the original's mistake."""
    angles = np.arange(0.0, 360.0, 1.0)
    start = np.zeros(360), np.full(360, dec)
    ra, _ = offset_points(*start, np.full(360, radius), angles)
    widest = np.abs(np.mod(ra + 180.0, 360.0) - 180.0).max()

    (reach,) = ra_reach_deg(np.array([dec]), radius)

    assert reach >= widest * (1 - 1e-6) - 1e-9
    assert reach == 180.0 or reach <= widest * 1.01 + 1e-9
