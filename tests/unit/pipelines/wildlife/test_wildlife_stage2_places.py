import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from math import cos, radians
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.wildlife.sphere import EARTH_METERS, Position, distance_meters
from pipelines.wildlife.stage2.clustering import (
    NOWHERE,
    Clustering,
    Clusters,
    KnownPlace,
    cluster_positions,
    find_overlaps,
)
from pipelines.wildlife.stage2.compression import Compression, compress
from pipelines.wildlife.stage2.geojson import collection_pieces
from pipelines.wildlife.stage2.known_places import parse_known_places
from pipelines.wildlife.stage2.nearby import Nearby
from pipelines.wildlife.stage2.outline import outline_of
from pipelines.wildlife.stage2.placing import place_sightings
from shared.errors import UsageError
from tests.support.soak import repetitions
from tests.support.wildlife_seen import Seen, detected

_HOME = 59.0, 18.0
_METER = 1 / (radians(1) * EARTH_METERS)
"""In degrees of latitude."""


def _away(north: float, east: float = 0.0, home: Position = _HOME) -> Position:
    """Return the position so many metres away."""
    return home[0] + north * _METER, home[1] + east * _METER / cos(radians(home[0]))


def _cluster(positions: Sequence[Position], *known: KnownPlace, **rules: Any) -> Clusters:
    return cluster_positions(positions, known, Clustering(**rules))


def _known(name: str, north: float, radius: float) -> KnownPlace:
    return KnownPlace(cluster_id=name, name=name, center=_away(north), radius_meters=radius)


def test_the_radius_is_inclusive() -> None:
    """Five metres belong to it; what rounding makes of them does not matter."""
    assert list(_cluster([_HOME, _away(5.0)]).numbers) == [0, 0]
    assert len(_cluster([_HOME, _away(5.001)]).clusters) == 2


def test_the_nearest_place_is_taken() -> None:
    """The original took the first that it found."""
    found = _cluster([_away(0), _away(8), _away(8), _away(4.9)])

    assert list(found.numbers) == [1, 0, 0, 0]


def test_the_middle_is_the_mean_of_all_members() -> None:
    """It moves as members come, and they with it."""
    found = _cluster([_away(0), _away(4), _away(5)])

    (place,) = found.clusters
    assert place.center == pytest.approx(_away(3), abs=1e-12)
    assert place.points == 3


def test_known_places_come_first_and_stay() -> None:
    """A name that somebody gave is kept, even where another place would be nearer."""
    hide = _known("hide", north=10, radius=8)

    found = _cluster([_away(0), _away(3), _away(12)], hide)

    assert [place.name for place in found.clusters] == ["hide", "Unknown_Cluster_1"]
    assert list(found.numbers) == [1, 0, 0]
    assert found.clusters[0].center == _away(10)
    assert found.clusters[0].is_known


def test_each_known_place_has_its_own_radius() -> None:
    """A large one does not make the others larger; of two, the nearer one is taken."""
    large, small = _known("a", north=0, radius=100), _known("b", north=50, radius=1)

    found = _cluster([_away(49.5), _away(52), _away(101)], small, large)

    names = [found.clusters[number].name for number in found.numbers]
    assert names == ["b", "a", "Unknown_Cluster_1"]


def test_a_place_is_called_by_where_it_began() -> None:
    """The id is the same in the next run over the same pictures."""
    found = _cluster([(59.1234567, -0.0000001)])

    digits = sha256(b"59.123457,0.000000").hexdigest()[:12]
    assert found.clusters[0].cluster_id == f"clu-{digits}"


def test_two_places_never_share_an_id() -> None:
    """A place's middle can move so far that another one is opened where it began."""
    found = _cluster([_away(each) for each in (0, 4.9, 7, 8, 9, 9, 9, 0)])

    ids = [place.cluster_id for place in found.clusters]
    assert len(set(ids)) == len(ids) == 2
    assert found.numbers[0] != found.numbers[-1]


def test_a_place_opened_beside_a_known_one_of_its_id_gets_another() -> None:
    """Known places are often copied from an earlier run, ids and all."""
    (earlier,) = _cluster([_HOME]).clusters
    copied = KnownPlace(
        cluster_id=earlier.cluster_id, name="hide", center=_away(6), radius_meters=5
    )

    found = _cluster([_HOME, _away(7)], copied)

    assert len({place.cluster_id for place in found.clusters}) == 2


@pytest.mark.parametrize("apart", [-100.0, 0.0, 100.0], ids=["last", "together", "first"])
def test_the_earliest_sighting_opens_a_place(apart: float) -> None:
    """By start, then by id: which one it is must not depend on the camera's name."""
    seen = [Seen(at=500 + n * apart, camera=f"cam{n}", where=_away(n / 2)) for n in range(6)]
    sightings = compress(detected(seen), Compression())

    (place,) = place_sightings(sightings, [], Clustering()).clusters

    values = [sightings[number] for number in range(len(sightings))]
    first = min(values, key=lambda each: (each.start, each.identity))
    assert first.position is not None
    assert place.cluster_id == _cluster([first.position]).clusters[0].cluster_id


def test_places_are_numbered_by_their_size() -> None:
    """Readers look for the busiest place first; those of one size go by their ids."""
    found = _cluster([_away(0), _away(50), _away(50), _away(100)])

    names = [(place.name, place.points) for place in found.clusters]
    assert names == [("Unknown_Cluster_1", 2), ("Unknown_Cluster_2", 1), ("Unknown_Cluster_3", 1)]
    assert found.clusters[1].cluster_id < found.clusters[2].cluster_id


def test_too_few_points_are_no_place() -> None:
    """They are counted nowhere, and known places need none."""
    found = _cluster([_away(0), _away(0), _away(50), _away(90)], _known("a", 90, 1), min_points=2)

    assert [place.points for place in found.clusters] == [2, 1]
    assert list(found.numbers) == [0, 0, NOWHERE, 1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param((65.0, 179.99999), (65.0, -179.99998), id="the date line"),
        pytest.param((89.999999, 10.0), (89.999999, -170.0), id="the pole"),
        pytest.param((0.0, 0.0), (0.00001, -0.00001), id="no latitude, no longitude"),
    ],
)
def test_the_earth_has_no_edge(one: Position, other: Position) -> None:
    """Two positions a metre apart are one place everywhere."""
    found = _cluster([one, other])

    assert len(found.clusters) == 1
    assert -180 <= found.clusters[0].center[1] <= 180


_NEAR = st.tuples(st.floats(-20, 20), st.floats(-20, 20)).map(lambda each: _away(*each))


@settings(max_examples=repetitions(15, 2000), deadline=None)
@given(positions=st.lists(_NEAR, max_size=30), reach=st.floats(0.5, 15), here=_NEAR)
def test_what_is_near_is_found(positions: list[Position], reach: float, here: Position) -> None:
    """The cubes save time and lose nothing, also when positions move."""
    near = Nearby(reach)
    for number, position in enumerate(positions):
        near.put(number, here)
        near.put(number, position)

    found = {number for _, number in near.within(here)}

    assert len(found) == sum(1 for _ in near.within(here))
    inside = {n for n, each in enumerate(positions) if distance_meters(here, each) <= reach}
    edge = {
        n for n, each in enumerate(positions) if abs(distance_meters(here, each) - reach) < 1e-5
    }
    assert found - edge == inside - edge


def test_what_moves_is_found_once_and_where_it_is() -> None:
    """A middle that crosses from cube to cube must not stay behind in any of them."""
    near = Nearby(5)

    for meters in range(40):
        near.put(0, _away(meters))

        assert list(near.within(_away(meters))) == [(0.0, 0)]


def test_places_hardly_apart_are_listed() -> None:
    """They are not merged: a person knows whether they are one."""
    found = _cluster([_away(0), _away(10), _away(25)])

    ends = {found.clusters[number].cluster_id for number in found.numbers[:2]}
    (overlap,) = find_overlaps(found.clusters, 10)
    assert overlap.cluster_ids == tuple(sorted(ends))
    assert overlap.distance_meters == pytest.approx(10)


@pytest.mark.parametrize(
    ("positions", "corners", "area", "around"),
    [
        pytest.param([_HOME, _HOME], 1, 0, 0, id="a point"),
        pytest.param([_HOME, _away(2), _away(4)], 2, 0, 4, id="a line"),
        pytest.param(
            [_away(0), _away(0, 4), _away(3, 4), _away(3, 0), _away(1, 2)], 4, 12, 14, id="a box"
        ),
        pytest.param(
            [(0.0, 180.0), (0.0, -180 + 4 * _METER), (3 * _METER, 180.0)],
            *(3, 6, 12),
            id="across the date line",
        ),
    ],
)
def test_the_shape_of_a_place(
    positions: list[Position], corners: int, area: float, around: float
) -> None:
    """Square metres and metres, counterclockwise, whatever the order."""
    outline = outline_of(positions)

    assert outline == outline_of(positions[::-1])
    assert len(outline.corners) == corners
    assert outline.area_square_meters == pytest.approx(area, rel=1e-5, abs=1e-6)
    assert outline.perimeter_meters == pytest.approx(around, rel=1e-5, abs=1e-6)


def _collection(*seen: Seen) -> Mapping[str, Any]:
    sightings = compress(detected(seen), Compression())
    places = place_sightings(sightings, [], Clustering())
    text = b"".join(collection_pieces(places.seen(sightings), places.overlaps))
    found: Mapping[str, Any] = json.loads(text)
    return found


def test_places_come_as_geojson() -> None:
    """A map program can show it as it is: positions are east first, rings closed."""
    corners = [_away(0), _away(0, 4), _away(3, 4)]
    seen = [Seen(at=1000 * n, where=where) for n, where in enumerate(corners)]

    found = _collection(*seen, Seen(at=5000, where=None), Seen(at=9000, where=_away(9, 2)))

    first, second = found["features"]
    assert first["geometry"]["type"] == "Polygon"
    ring = first["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1] == [18.0, 59.0]
    assert first["bbox"] == [18.0, 59.0, pytest.approx(18.0000698), pytest.approx(59.000027)]
    facts = first["properties"]
    assert (facts["point_count"], facts["name"]) == (3, "Unknown_Cluster_1")
    assert (facts["first_seen"], facts["last_seen"]) == (
        "2026-05-01T12:00:00Z",
        "2026-05-01T12:33:20Z",
    )
    assert facts["area_square_meters"] == pytest.approx(6, rel=1e-3)
    assert facts["perimeter_meters"] == pytest.approx(12, rel=1e-3)
    assert second["geometry"]["type"] == "Point"
    (overlap,) = found["overlaps"]
    assert set(overlap["cluster_ids"]) == {first["id"], second["id"]}


def test_no_place_is_a_collection_too() -> None:
    """Nothing seen is a result, not a broken file."""
    assert _collection() == {"type": "FeatureCollection", "overlaps": [], "features": []}


_ENTRY = {
    "cluster_id": "hide",
    "name": "The hide",
    "center_latitude": 59.0,
    "center_longitude": 18.0,
    "radius_meters": 25,
}


def test_known_places_are_read() -> None:
    """As the contract names the fields."""
    (place,) = parse_known_places(json.dumps([_ENTRY]).encode(), "known")

    assert place == KnownPlace(
        cluster_id="hide", name="The hide", center=(59.0, 18.0), radius_meters=25.0
    )


@pytest.mark.parametrize(
    ("entries", "mistakes"),
    [
        pytest.param([{**_ENTRY, "radius_meters": 0}], ["entry 1: radius_meters = 0"], id="radius"),
        pytest.param(
            [{**_ENTRY, "name": ""}, {**_ENTRY, "center_latitude": 91}],
            ["entry 1: name = ''", "entry 2: center_latitude = 91"],
            id="all at once",
        ),
        pytest.param([_ENTRY, _ENTRY], ["lists 'hide' twice"], id="twice"),
        pytest.param(
            [{"name": "x", **_ENTRY, "extra": 1}, 7], ["entry 2: itself = 7"], id="no entry"
        ),
        pytest.param([{k: v for k, v in _ENTRY.items() if k != "name"}], ["no 'name'"], id="lacks"),
        pytest.param({"hide": _ENTRY}, ["is no list"], id="no list"),
    ],
)
def test_mistakes_in_known_places_are_named(entries: object, mistakes: list[str]) -> None:
    """Each line is one mistake, so that one look mends the file."""
    with pytest.raises(UsageError) as caught:
        parse_known_places(json.dumps(entries).encode(), "known.json")

    lines = str(caught.value).splitlines()
    assert len(lines) == len(mistakes)
    for line, mistake in zip(lines, mistakes, strict=True):
        assert "'known.json'" in line
        assert mistake in line


def test_a_file_of_mistakes_alone_makes_an_error_that_can_be_passed_on() -> None:
    """A state machine drops the name of an error that is megabytes long, and nobody learns why."""
    entries = [{**_ENTRY, "radius_meters": 0}] * 5000

    with pytest.raises(UsageError) as caught:
        parse_known_places(json.dumps(entries).encode(), "known.json")

    *first, last = str(caught.value).splitlines()
    assert len(first) == 100
    assert last == "and 4900 more"
