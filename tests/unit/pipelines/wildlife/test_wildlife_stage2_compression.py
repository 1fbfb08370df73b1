import json
import random
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from pipelines.wildlife.models.observations import ObservationLine
from pipelines.wildlife.stage2 import observing
from pipelines.wildlife.stage2.clustering import Clustering
from pipelines.wildlife.stage2.compression import Compression, Sightings, compress, split
from pipelines.wildlife.stage2.frames import Frame, frame_of
from pipelines.wildlife.stage2.observing import cut_timelines, observation_lines
from pipelines.wildlife.stage2.placing import place_sightings
from tests.support.soak import repetitions
from tests.support.wildlife_seen import Seen, detected

_LINE = TypeAdapter(ObservationLine)


def _sightings(seen: Sequence[Seen], **rules: Any) -> Sightings:
    return compress(detected(seen), Compression(**rules))


def _texts(sightings: Sightings) -> list[bytes]:
    places = place_sightings(sightings, [], Clustering())
    return list(observation_lines(sightings, places))


def _lines(*seen: Seen, **rules: Any) -> list[ObservationLine]:
    return [_LINE.validate_json(text) for text in _texts(_sightings(seen, **rules))]


@pytest.mark.parametrize(
    ("moments", "gap", "runs"),
    [
        pytest.param([], False, [], id="nothing"),
        pytest.param([5], False, [(0, 1)], id="one"),
        pytest.param([0, 10], False, [(0, 2)], id="the window is inclusive"),
        pytest.param([0, 11], False, [(0, 1), (1, 2)], id="behind the window"),
        pytest.param([0, 6, 12, 16], False, [(0, 2), (2, 4)], id="from the start of each"),
        pytest.param([0, 6, 12, 22, 33], True, [(0, 4), (4, 5)], id="from the last one"),
        pytest.param([3, 3, 3], False, [(0, 3)], id="the same time"),
    ],
)
def test_runs_end_with_the_window(
    *, moments: list[int], gap: bool, runs: list[tuple[int, int]]
) -> None:
    """One animal that stays is one sighting, and its next visit another one."""
    assert list(split(moments, 10, gap=gap)) == runs


def test_ten_minutes_from_the_start_and_no_more() -> None:
    """The limit is exact to the microsecond, whatever floating point would make of it."""
    lines = _lines(Seen(at=0.1), Seen(at=600.1), Seen(at=600.100001))

    assert [(line.frame_count, line.duration_seconds) for line in lines] == [(2, 600.0), (1, 0.0)]


def test_cameras_and_species_are_seen_apart() -> None:
    """Two cameras may see one animal; we cannot know, and count what each saw."""
    lines = _lines(Seen(), Seen(at=1, camera="cam02"), Seen(at=2, species="fox"))

    assert [(line.camera_id, line.species) for line in lines] == [
        ("cam01", "moose"),
        ("cam02", "moose"),
        ("cam01", "fox"),
    ]


def test_what_an_observation_says() -> None:
    """Every field by its rule, from a burst of two pictures, one of which has two boxes."""
    (line,) = _lines(
        Seen(at=60, picture="b", sure=0.6, where=(59.0, 18.0)),
        Seen(at=0, picture="a", sure=0.9, where=None),
        Seen(at=60, picture="b", box=1, sure=0.75, where=(59.00002, 18.00004)),
    )

    said = sha256(b"cam01|moose|2026-05-01T12:00:00Z").hexdigest()[:16]
    assert line.observation_id == f"obs-{said}"
    assert (line.end_time - line.start_time) == timedelta(seconds=line.duration_seconds)
    assert line.duration_seconds == 60
    assert (line.max_confidence, line.avg_confidence) == (0.9, 0.75)
    assert (line.frame_count, line.individual_count) == (2, 2)
    assert line.latitude == pytest.approx(59.00001, abs=1e-9)
    assert line.longitude == pytest.approx(18.00002, abs=1e-9)
    assert line.source_video is None
    assert not line.needs_review
    assert line.detection_timeline[0].crop_path == "s3://forest/out/stage1/crops/cam01/a_0.jpg"
    assert {entry.frame_number for entry in line.detection_timeline} == {None}
    assert [entry.timestamp.minute for entry in line.detection_timeline] == [0, 1, 1]


def test_a_single_picture_is_an_observation() -> None:
    """The original dropped every still picture; its mean is its own confidence."""
    (line,) = _lines(Seen(sure=0.9, where=None))

    assert (line.max_confidence, line.avg_confidence, line.duration_seconds) == (0.9, 0.9, 0.0)
    assert (line.latitude, line.longitude, line.cluster_id) == (None, None, None)


def test_a_mean_is_no_more_than_the_highest() -> None:
    """Seven times 0.581 by seven is a little more, if one counts with floating point."""
    (line,) = _lines(*(Seen(at=n, sure=0.581) for n in range(7)))

    assert line.avg_confidence == line.max_confidence == 0.581


@pytest.mark.parametrize(
    ("seen", "review"),
    [
        pytest.param([Seen(sure=0.8)], False, id="just sure"),
        pytest.param([Seen(sure=0.79)], True, id="not sure"),
        pytest.param([Seen(), Seen(at=1, sure=0.6)], False, id="one of them sure"),
        pytest.param([Seen(), Seen(at=1, doubtful=True)], True, id="one of them doubtful"),
    ],
)
def test_doubt_asks_for_a_person(*, seen: list[Seen], review: bool) -> None:
    """What the detection doubted is not settled by how sure it was elsewhere."""
    (line,) = _lines(*seen)

    assert line.needs_review is review


def test_short_sightings_count_but_in_videos() -> None:
    """A flicker in a video is noise; a still picture has no duration and counts."""
    flicker = [Seen(at=n, picture=f"night_frame_{n:03d}") for n in (0, 4)]
    walk = [Seen(at=n, picture=f"day_frame_{n}", camera="cam02") for n in (0, 5)]
    still = Seen(at=2, camera="cam03")
    mixed = [Seen(camera="cam04"), Seen(at=1, camera="cam04", picture="dusk_frame_7")]

    sightings = _sightings([*flicker, *walk, still, *mixed])

    lines = [_LINE.validate_json(text) for text in _texts(sightings)]
    assert sightings.too_short == 1
    assert {line.camera_id: line.source_video for line in lines} == {
        "cam02": "s3://forest/raw/cam02/day",
        "cam03": None,
        "cam04": "s3://forest/raw/cam04/dusk",
    }
    assert [entry.frame_number for entry in lines[0].detection_timeline] == [0, 5]


@pytest.mark.parametrize(
    ("uri", "frame"),
    [
        ("s3://b/cam/IMG_1_frame_000123.jpg", Frame("s3://b/cam/IMG_1", 123)),
        ("s3://b/cam/a_frame_1_frame_2.png", Frame("s3://b/cam/a_frame_1", 2)),
        ("s3://b/cam/a_frame_7", Frame("s3://b/cam/a", 7)),
        ("s3://b/cam/IMG_1.jpg", None),
        ("s3://b/cam/_frame_7.jpg", None),
        ("s3://b/a_frame_7/IMG_1.jpg", None),
        ("s3://b/cam/a_frame_x.jpg", None),
        ("s3://b/cam/a_frame_1234567890.jpg", None),
    ],
)
def test_frames_are_known_by_their_names(uri: str, frame: Frame | None) -> None:
    """A folder, or a number that is none, makes no video."""
    assert frame_of(uri) == frame


def test_people_are_counted_and_left_out() -> None:
    """Nobody who walks past a camera is to be found in a table."""
    seen = [Seen(species="human"), Seen(at=3000, species="human"), Seen()]

    sightings = _sightings(seen, without=frozenset({"human"}))

    assert sightings.left_out == 2
    assert sightings.species() == {"moose"}
    assert b"human" not in b"".join(_texts(sightings))


def test_a_crop_elsewhere_keeps_its_name() -> None:
    """Names are shortened where they begin as all do, and come out whole."""
    (line,) = _lines(Seen(crop="s3://other/x.jpg"), Seen(at=1, crop=None), Seen(at=2))

    assert [entry.crop_path for entry in line.detection_timeline] == [
        "s3://other/x.jpg",
        None,
        "s3://forest/out/stage1/crops/cam01/cam01_2_0.jpg",
    ]


def test_a_long_timeline_is_cut_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that nobody could read would end the run; all but the list stays complete."""
    monkeypatch.setattr(observing, "TIMELINE_MAX", 3)
    sightings = _sightings([*(Seen(at=n) for n in range(5)), Seen(camera="cam02")])

    lines = [_LINE.validate_json(text) for text in _texts(sightings)]

    assert cut_timelines(sightings) == 1
    assert [(line.frame_count, len(line.detection_timeline)) for line in lines] == [(5, 3), (1, 1)]


_SEEN = st.builds(
    Seen,
    at=st.sampled_from([0.0, 200.0, 600.0, 601.0, 1300.0]),
    picture=st.sampled_from(["", "a", "b_frame_1", "b_frame_9"]),
    box=st.integers(0, 3),
    camera=st.sampled_from(["cam01", "cam02"]),
    species=st.sampled_from(["moose", "fox"]),
    sure=st.floats(0.5, 1.0),
    where=st.none() | st.tuples(st.floats(59, 59.0002), st.floats(18, 18.0002)),
)


_POSITION = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
_ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@settings(max_examples=repetitions(25, 5000), deadline=None)
@given(
    seen=st.lists(
        st.builds(
            Seen,
            at=st.integers(-60_000_000_000, 10**15).map(lambda each: each / 1_000_000),
            picture=st.sampled_from(["", "b_frame_1", "b_frame_9"]),
            camera=_ANY_TEXT,
            species=_ANY_TEXT,
            sure=st.floats(0, 1),
            where=st.none() | _POSITION,
            crop=st.none() | _ANY_TEXT,
        ),
        unique_by=lambda each: each.digits,
        min_size=1,
        max_size=4,
    )
)
def test_the_text_of_a_line_is_the_models_own(*, seen: list[Seen]) -> None:
    """Lines are made without the model; a field of another name or form would show here."""
    for text in _texts(_sightings(seen, min_duration=timedelta())):
        assert _LINE.dump_json(_LINE.validate_json(text)) + b"\n" == text
        assert json.loads(text).keys() == ObservationLine.__dataclass_fields__.keys()


@settings(max_examples=repetitions(15, 2000), deadline=None)
@given(
    seen=st.lists(_SEEN, unique_by=lambda each: each.digits, max_size=25),
    order=st.randoms(),
    gap=st.booleans(),
)
def test_the_order_of_input_plays_no_part(
    *, seen: list[Seen], order: random.Random, gap: bool
) -> None:
    """The same detections give the same bytes, however the job's chunks came in."""
    shuffled = order.sample(seen, len(seen))

    assert _texts(_sightings(seen, gap=gap)) == _texts(_sightings(shuffled, gap=gap))
