"""From sightings to places. Pure.

Sightings are taken in the order of start and identity, so that the order of input plays no part.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from pipelines.wildlife.stage2.clustering import (
    NOWHERE,
    Cluster,
    Clustering,
    KnownPlace,
    Overlap,
    cluster_positions,
    find_overlaps,
)
from pipelines.wildlife.stage2.compression import Sightings, moment_of
from pipelines.wildlife.stage2.geojson import SeenPlace
from pipelines.wildlife.stage2.outline import outline_of


@dataclass(frozen=True, slots=True)
class Places:
    """Where sightings were."""

    clusters: Sequence[Cluster]
    overlaps: Sequence[Overlap]
    _numbers: Sequence[int]

    def of(self, sighting: int) -> Cluster | None:
        """Return the place of a sighting, by its number; None where it has no position."""
        number = self._numbers[sighting]
        return None if number == NOWHERE else self.clusters[number]

    def seen(self, sightings: Sightings) -> Iterator[SeenPlace]:
        """Yield each place with what was seen there."""
        numbers = self._numbers
        there = [one for one in range(len(sightings)) if numbers[one] != NOWHERE]
        there.sort(key=numbers.__getitem__)
        for number, members in groupby(there, numbers.__getitem__):
            ones = list(members)
            positions = (sightings.position(one) for one in ones)
            yield SeenPlace(
                self.clusters[number],
                outline_of(position for position in positions if position is not None),
                moment_of(min(sightings.starts[one] for one in ones)),
                moment_of(max(sightings.end(one) for one in ones)),
            )


def place_sightings(sightings: Sightings, known: Sequence[KnownPlace], rules: Clustering) -> Places:
    """Find the places of sightings."""
    order = sorted(range(len(sightings)), key=sightings.ids.__getitem__)
    order.sort(key=sightings.starts.__getitem__)
    there = [(one, at) for one in order if (at := sightings.position(one)) is not None]
    found = cluster_positions([at for _, at in there], known, rules)
    numbers = array("i", [NOWHERE]) * len(sightings)
    for (one, _), number in zip(there, found.numbers, strict=True):
        numbers[one] = number
    overlaps = find_overlaps(found.clusters, 2 * rules.radius_meters)
    return Places(found.clusters, overlaps, numbers)
