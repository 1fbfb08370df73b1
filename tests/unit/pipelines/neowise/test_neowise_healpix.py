import numpy as np
import pytest
from astropy_healpix import healpy

from pipelines.neowise.columns import NSIDE, PIXELS
from pipelines.neowise.healpix import corners_of, pixels_of
from pipelines.neowise.sphere import Floats, offset_points

SPECIAL_RA = [0.0, 1e-12, 45.0, 89.999999, 90.0, 180.0, 270.0, 359.9999999, 360.0]
SPECIAL_DEC = [90.0, -90.0, 89.99999, -89.99999, 41.9, 41.7, -41.9, 0.0001, 30.0]


def _everywhere() -> tuple[Floats, Floats]:
    chance = np.random.default_rng(11)
    even = np.degrees(np.arcsin(chance.uniform(-1, 1, 200_000)))
    caps = np.concatenate(
        [side * (90 - 10 ** chance.uniform(-7, 1, 20_000)) for side in (1.0, -1.0)]
    )
    dec = np.concatenate((even, caps))
    return chance.uniform(0, 360, len(dec)), dec


def test_points_lie_in_the_pixels_of_the_library() -> None:
    """The catalogue's folders are numbered so; a wrong number is an empty answer."""
    ra, dec = _everywhere()

    theirs = healpy.ang2pix(NSIDE, ra, dec, nest=True, lonlat=True)

    assert np.flatnonzero(pixels_of(ra, dec) != theirs).tolist() == []


@pytest.mark.parametrize("ra", SPECIAL_RA)
@pytest.mark.parametrize("dec", SPECIAL_DEC)
def test_a_point_on_an_edge_lies_in_a_pixel_beside_it(ra: float, dec: float) -> None:
    """Poles, the wrap, and the meridians where faces meet: rounding may choose, nothing more."""
    (found,) = pixels_of(np.array([ra]), np.array([dec])).tolist()

    angles = np.arange(0.0, 360.0, 5.0)
    count = len(angles)
    around = offset_points(np.full(count, ra), np.full(count, dec), np.full(count, 1e-3), angles)
    assert found in healpy.ang2pix(NSIDE, *around, nest=True, lonlat=True)


def test_corners_are_those_of_the_library() -> None:
    """All of them, in whatever order."""
    pixels = np.arange(PIXELS)

    ours = corners_of(pixels)

    theirs = healpy.boundaries(NSIDE, pixels, step=1, nest=True).transpose(0, 2, 1)
    gaps = np.linalg.norm(ours[:, :, None, :] - theirs[:, None, :, :], axis=3)
    assert gaps.min(axis=2).max() < 1e-12
    assert gaps.min(axis=1).max() < 1e-12
