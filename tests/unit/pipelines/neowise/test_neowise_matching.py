import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.neowise.columns import DETECTION_SCHEMA
from pipelines.neowise.matching import Matcher, Matches, closest
from pipelines.neowise.sphere import (
    Floats,
    offset_points,
    radius_nanoarcsec,
    separations_arcsec,
    whole_nanoarcsec,
)

Found = set[tuple[int, int]]


def _brute(ra: Floats, dec: Floats, other_ra: Floats, other_dec: Floats, radius: float) -> Found:
    found = set()
    for number in range(len(ra)):
        here = separations_arcsec(
            np.full(len(other_ra), ra[number]),
            np.full(len(other_ra), dec[number]),
            other_ra,
            other_dec,
        )
        near = np.flatnonzero(whole_nanoarcsec(here) <= radius_nanoarcsec(radius))
        found |= {(number, int(other)) for other in near}
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([0.0, 33.0, 89.99, -89.99, 90.0, -60.0]),
    st.sampled_from([0.0, 359.9999, 180.0]),
    st.integers(0, 2**32),
)
def test_pairs_are_those_of_brute_force(dec: float, ra: float, seed: int) -> None:
    """Every pair counts: a detection may belong to two positions, and a position to many."""
    chance = np.random.default_rng(seed)
    around = [
        offset_points(
            np.full(count, ra),
            np.full(count, dec),
            chance.uniform(0, 20, count),
            chance.uniform(0, 360, count),
        )
        for count in (6, 80)
    ]

    pairs = Matcher(*around[0], 5.0).pairs(*around[1])

    found = set(zip(pairs.position.tolist(), pairs.detection.tolist(), strict=True))
    assert found == _brute(*around[0], *around[1], 5.0)


def test_the_very_same_place_is_a_pair() -> None:
    """Sparse containers like to drop zeros."""
    here = np.array([10.0]), np.array([20.0])

    pairs = Matcher(*here, 5.0).pairs(*here)

    assert (pairs.position.tolist(), pairs.separation_nas.tolist()) == ([0], [0])


def test_a_detection_without_coordinates_is_in_no_pair() -> None:
    """The catalogue has them."""
    ra = np.array([np.nan, 10.0, 10.0, np.inf])
    dec = np.array([20.0, np.nan, 20.0, 20.0])

    pairs = Matcher(np.array([10.0]), np.array([20.0]), 5.0).pairs(ra, dec)

    assert pairs.detection.tolist() == [2]


Candidate = tuple[int, int, float, int]
CANDIDATES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.sampled_from([1.0, 2.0]), st.integers(1, 4)),
    max_size=30,
)


def _matches(candidates: list[Candidate]) -> Matches:
    rows = [{"cntr": cntr, "mjd": mjd, "source_id": "s"} for _, _, mjd, cntr in candidates]
    return Matches(
        np.array([one[0] for one in candidates], np.int64),
        np.array([one[1] for one in candidates], np.int64),
        pa.Table.from_pylist(rows, schema=DETECTION_SCHEMA),
    )


@settings(deadline=None)
@given(CANDIDATES)
def test_the_closest_is_the_first_by_separation_mjd_and_cntr(candidates: list[Candidate]) -> None:
    """Two runs must not differ because threads finished in another order."""
    best = closest(_matches(candidates))

    expected: dict[int, tuple[int, float, int]] = {}
    for position, separation, mjd, cntr in candidates:
        rank = (separation, mjd, cntr)
        expected[position] = min(rank, expected.get(position, rank))
    found = {
        position: (separation, row["mjd"], row["cntr"])
        for position, separation, row in zip(
            best.position.tolist(),
            best.separation_nas.tolist(),
            best.detections.to_pylist(),
            strict=True,
        )
    }
    assert found == expected
    assert best.position.tolist() == sorted(expected)
