"""Which detections lie within the radius of which positions, and which one is the closest. Pure.

A KD-tree on unit vectors finds the pairs, whatever the declination, among the detections that a
sieve lets through; the great-circle distance then decides. The closest detection of a position is
the first by

    separation in whole nanoarcseconds, mjd, cntr, place in the catalogue (year, file, row)

an order in which no two rows are equal, so that the answer does not depend on what was read first.
A `cntr` that occurs twice is hence there once at most, as its closest copy.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.spatial import KDTree

from pipelines.neowise.screen import Screen
from pipelines.neowise.sphere import (
    Floats,
    Integers,
    chord_of,
    radius_nanoarcsec,
    separations_arcsec,
    unit_vectors,
    whole_nanoarcsec,
)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Positions and detections within the radius of each other, by their row numbers."""

    position: Integers
    detection: Integers
    separation_nas: Integers

    def __len__(self) -> int:
        return len(self.position)


class Matcher:
    """The positions of one pixel, ready to be asked; may be shared by threads."""

    def __init__(self, ra_deg: Floats, dec_deg: Floats, radius_arcsec: float) -> None:
        self._ra = ra_deg
        self._dec = dec_deg
        self._screen = Screen(ra_deg, dec_deg, radius_arcsec)
        self._tree = KDTree(unit_vectors(ra_deg, dec_deg))
        self._chord = chord_of(radius_arcsec)
        self._radius = radius_nanoarcsec(radius_arcsec)

    def pairs(self, ra_deg: Floats, dec_deg: Floats) -> Pairs:
        """Return all pairs within the radius; a detection without coordinates is in none."""
        usable = np.flatnonzero(np.isfinite(ra_deg) & np.isfinite(dec_deg))
        usable = usable[self._screen.passes(ra_deg[usable], dec_deg[usable])]
        if not len(usable):
            return NO_PAIRS
        points = KDTree(unit_vectors(ra_deg[usable], dec_deg[usable]))
        found = self._tree.sparse_distance_matrix(points, self._chord, output_type="ndarray")
        position = found["i"].astype(np.int64)
        detection = usable[found["j"]].astype(np.int64)
        separation = whole_nanoarcsec(
            separations_arcsec(
                self._ra[position], self._dec[position], ra_deg[detection], dec_deg[detection]
            )
        )
        within = separation <= self._radius
        return Pairs(position[within], detection[within], separation[within])


NO_PAIRS = Pairs(*(np.empty(0, np.int64) for _ in range(3)))


@dataclass(frozen=True, slots=True)
class Matches:
    """For each of some positions, one detection; columns and table are equally long."""

    position: Integers
    separation_nas: Integers
    detections: pa.Table
    """Columns of `DETECTION_SCHEMA`."""

    def __len__(self) -> int:
        return len(self.position)


def closest(matches: Matches) -> Matches:
    """Keep the closest detection of each position, sorted by position.

    What comes first in `matches` wins where nothing else decides: give it in the catalogue's order.
    """
    if not len(matches):
        return matches
    mjd = matches.detections.column("mjd").to_numpy()
    cntr = matches.detections.column("cntr").to_numpy()
    order = np.lexsort((cntr, mjd, matches.separation_nas, matches.position))
    ranked = matches.position[order]
    first = order[np.concatenate(([True], ranked[1:] != ranked[:-1]))]
    return Matches(
        matches.position[first], matches.separation_nas[first], matches.detections.take(first)
    )


def joined(parts: list[Matches], empty: pa.Table) -> Matches:
    """Return all matches of some parts, in their order."""
    return Matches(
        np.concatenate([np.empty(0, np.int64), *(part.position for part in parts)]),
        np.concatenate([np.empty(0, np.int64), *(part.separation_nas for part in parts)]),
        pa.concat_tables([empty, *(part.detections for part in parts)]),
    )
