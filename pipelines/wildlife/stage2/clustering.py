"""Which sightings are at one place. Pure.

Positions come in an order that the caller fixes; each goes to the nearest place that is there
already, or opens a new one. Known places do not move and are tried first.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import count

from pipelines.wildlife.sphere import SAME_METERS, Position, east_of, moved
from pipelines.wildlife.stage2.nearby import Nearby

NOWHERE = -1
"""In the place of a place's number."""
_ID_DIGITS = 12
_UNKNOWN = "Unknown_Cluster_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clustering:
    """What makes a place."""

    radius_meters: float = 5.0
    min_points: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPlace:
    """A place that has its name already."""

    cluster_id: str
    name: str
    center: Position
    radius_meters: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A place at which something was seen."""

    cluster_id: str
    name: str
    is_known: bool
    center: Position
    radius_meters: float
    points: int


@dataclass(frozen=True, slots=True)
class Clusters:
    """All places, the one with most points first, then by id."""

    clusters: Sequence[Cluster]
    numbers: Sequence[int]
    """For each position that came in, the place's; NOWHERE where it belongs to none."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two places that are hardly apart."""

    cluster_ids: tuple[str, str]
    """In their order."""
    distance_meters: float


class _Growing:
    """A place that is found out; its middle is the mean of its members."""

    def __init__(self, first: Position) -> None:
        self.first = first
        self.center = first
        self._north, self._east, self._count = 0.0, 0.0, 1

    def add(self, position: Position) -> None:
        self._north += position[0] - self.first[0]
        self._east += east_of(position[1], self.first[1])
        self._count += 1
        self.center = moved(self.first, self._north / self._count, self._east / self._count)


def cluster_positions(
    positions: Sequence[Position], known: Sequence[KnownPlace], rules: Clustering
) -> Clusters:
    """Put each position to a place."""
    fixed = sorted(known, key=lambda place: place.cluster_id)
    of_known = Nearby(max((place.radius_meters for place in fixed), default=0.0))
    for number, place in enumerate(fixed):
        of_known.put(number, place.center)
    growing: list[_Growing] = []
    of_growing = Nearby(rules.radius_meters)
    numbers = array("i")
    for position in positions:
        at_known = [
            (away, number)
            for away, number in of_known.within(position)
            if away <= fixed[number].radius_meters + SAME_METERS
        ]
        if at_known:
            numbers.append(min(at_known)[1])
            continue
        _, nearest = min(of_growing.within(position), default=(0.0, len(growing)))
        if nearest == len(growing):
            growing.append(_Growing(position))
        else:
            growing[nearest].add(position)
        of_growing.put(nearest, growing[nearest].center)
        numbers.append(len(fixed) + nearest)
    return _ordered(fixed, growing, numbers, rules)


def find_overlaps(clusters: Sequence[Cluster], limit_meters: float) -> Sequence[Overlap]:
    """Return the pairs whose middles are no further apart than the limit, in the order of ids."""
    near = Nearby(limit_meters)
    for number, cluster in enumerate(clusters):
        near.put(number, cluster.center)
    found = []
    for number, cluster in enumerate(clusters):
        for away, other in near.within(cluster.center):
            if other > number:
                pair = sorted((cluster.cluster_id, clusters[other].cluster_id))
                found.append(Overlap((pair[0], pair[1]), away))
    return sorted(found, key=lambda overlap: overlap.cluster_ids)


def _ordered(
    fixed: Sequence[KnownPlace],
    growing: Sequence[_Growing],
    numbers: Sequence[int],
    rules: Clustering,
) -> Clusters:
    """Name the places that have enough points, and number them anew in the order of their size."""
    points = Counter(numbers)
    taken = {place.cluster_id for place in fixed}
    clusters = [
        Cluster(
            cluster_id=place.cluster_id,
            name=place.name,
            is_known=True,
            center=place.center,
            radius_meters=place.radius_meters,
            points=points[number],
        )
        for number, place in enumerate(fixed)
    ]
    clusters += [
        Cluster(
            cluster_id=_identity(place.first, taken),
            name="",
            is_known=False,
            center=place.center,
            radius_meters=rules.radius_meters,
            points=points[number],
        )
        for number, place in enumerate(growing, len(fixed))
    ]
    shown = [n for n, each in enumerate(clusters) if each.points >= _least(each, rules)]
    shown.sort(key=lambda number: (-clusters[number].points, clusters[number].cluster_id))
    anew = dict(zip(shown, range(len(shown)), strict=True))
    return Clusters(
        list(_named(clusters[number] for number in shown)),
        array("i", (anew.get(number, NOWHERE) for number in numbers)),
    )


def _least(cluster: Cluster, rules: Clustering) -> int:
    return 1 if cluster.is_known else rules.min_points


def _named(clusters: Iterable[Cluster]) -> Iterator[Cluster]:
    number = 0
    for cluster in clusters:
        if cluster.is_known:
            yield cluster
            continue
        number += 1
        yield replace(cluster, name=f"{_UNKNOWN}{number}")


def _identity(first: Position, taken: set[str]) -> str:
    """Return the id of the place that a position opened, and note it as taken.

    A place's middle moves with its members, so that a later one can be opened where it began; the
    later one's id counts how many were before.
    """
    # A zero has a sign, which is no difference between places.
    latitude, longitude = (round(degrees, 6) + 0.0 for degrees in first)
    text = f"{latitude:.6f},{longitude:.6f}"
    for number in count():
        said = f"{text}#{number}" if number else text
        found = f"clu-{sha256(said.encode()).hexdigest()[:_ID_DIGITS]}"
        if found not in taken:
            taken.add(found)
            return found
    raise AssertionError("counting has no end")
