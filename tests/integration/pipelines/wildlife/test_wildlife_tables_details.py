"""`events.parquet` and `detections.parquet`, written where they are asked for."""

import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from pipelines.wildlife import layout
from pipelines.wildlife.models.detections import DetectionSummary
from pipelines.wildlife.models.weather import WeatherStatus
from pipelines.wildlife.settings import RunSettings
from pipelines.wildlife.storage.protocol import Missing
from pipelines.wildlife.tables.details import NoPicture, Origin, detection_rows, event_rows
from pipelines.wildlife.tables.spool import Spool
from tests.support.wildlife_run import (
    NOON,
    OUTPUT,
    Ground,
    LeftBehind,
    make_detection,
    make_member,
    make_observation,
    make_picture,
    make_prediction,
    make_weather,
)

_LATER = NOON + timedelta(minutes=5)


def _left() -> LeftBehind:
    """Return a run of three pictures: a fox and a person, a fox the detector called a dog, none."""
    return LeftBehind(
        pictures=[
            make_picture(1, rule_id="r-1", gps_latitude=61.0, gps_longitude=14.0),
            make_picture(2, timestamp_utc=_LATER, timestamp_corrected=_LATER),
            make_picture(3, camera_id="cam02"),
        ],
        detections=[
            make_detection(1, 1, latitude=61.0, longitude=14.0),
            make_detection(2, 1, raw_label="person"),
            make_detection(3, 2, raw_label="dog", timestamp=_LATER, bbox=(-4.0, 0.0, 650.5, 480.0)),
        ],
        predictions=[make_prediction(1), make_prediction(2, "human"), make_prediction(3)],
        observations=[
            make_observation(
                1,
                end_time=_LATER,
                detection_timeline=[make_member(), make_member(timestamp=_LATER)],
            ),
            make_observation(
                2,
                camera_id="cam02",
                end_time=_LATER,
                detection_timeline=[make_member(timestamp=_LATER)],
            ),
        ],
        weather=[
            make_weather(1, weather_humidity_pc=101.0, weather_precip_mm=-1.0, weather_wind_ms=3.5),
            make_weather(2),
        ],
        summary=DetectionSummary(
            detector="yolo",
            stage1_model="tiny:0123456789abcdef",
            config_hash="0123456789abcdef",
            images=3,
            images_failed=0,
            detections=3,
            dropped={},
            humans=1,
            seconds=1.5,
        ),
    )


class _Busy(Spool):
    """A spool whose every question takes seconds."""

    def __init__(self) -> None:
        """Have nothing."""

    def rows(self, query: str) -> Iterator[sqlite3.Row]:
        """Say that somebody waits for the sorting of all rows."""
        raise TimeoutError(query)


@pytest.mark.parametrize("rows_of", [event_rows, detection_rows])
def test_rows_are_sorted_for_whoever_asks_for_the_first(
    rows_of: Callable[[Spool, Origin], Iterator[object]],
) -> None:
    """That is a thread; who only hands them over is the loop, which must not wait."""
    rows = rows_of(_Busy(), Origin("run-1", "1.0", "sidecar"))

    with pytest.raises(TimeoutError):
        next(rows)


@pytest.mark.asyncio
async def test_there_are_no_details_unless_they_are_asked_for() -> None:
    """A run writes two files, or four."""
    ground = Ground(_left())

    await ground.write()

    for name in (layout.EVENTS_TABLE, layout.DETECTIONS_TABLE):
        with pytest.raises(Missing):
            await ground.storage.stat(OUTPUT.join(name))


@pytest.mark.asyncio
async def test_every_picture_is_a_row_with_what_was_seen_in_it() -> None:
    """The count is that of the rows in the other table, and an empty picture is a row as well."""
    ground = Ground(_left())

    await ground.write(write_details=True)

    first, empty, second = (await ground.table(layout.EVENTS_TABLE)).to_pylist()
    assert [row["event_id"][-1] for row in (first, empty, second)] == ["1", "3", "2"]
    assert [row["detection_count"] for row in (first, empty, second)] == [1, 0, 1]
    assert [row["observation_any"] for row in (first, empty, second)] == [True, False, True]
    assert first["timestamp_original"] - first["timestamp_utc"] == timedelta(hours=1)
    assert (first["gps_latitude"], first["rule_id"]) == (61.0, "r-1")
    assert (first["contract_version"], first["image_format"]) == ("events_v1", "JPEG")
    unmeasured = ("gps_accuracy", "location_zone", "map_version", "quality_score")
    assert {first[name] for name in unmeasured} == {None}
    assert (first["blur_detected"], first["motion_detected"]) == (False, False)


@pytest.mark.asyncio
async def test_a_picture_has_the_weather_of_its_sighting() -> None:
    """That of the same camera and moment; what cannot be is null, as the contract has limits."""
    ground = Ground(_left())

    await ground.write(write_details=True)

    first, empty, second = (await ground.table(layout.EVENTS_TABLE)).to_pylist()
    assert (first["temperature_celsius"], second["temperature_celsius"]) == (-1.5, -1.5)
    assert empty["temperature_celsius"] is None
    assert (first["humidity_percent"], first["precipitation_mm"]) == (None, None)
    assert first["wind_speed_ms"] == 3.5


@pytest.mark.asyncio
async def test_a_picture_of_two_kinds_has_the_weather_that_there_is() -> None:
    """The person beside the fox has none, which must not hide the fox's."""
    left = _left()
    left.observations = [
        make_observation(n, species=species, detection_timeline=[make_member()])
        for n, species in enumerate(("human", "fox"))
    ]
    refused = {"weather_status": WeatherStatus.NOT_POSITIVE, "weather_temp_c": None}
    left.weather = [make_weather(0, **refused), make_weather(1)]
    ground = Ground(left)

    await ground.write(write_details=True)

    events = (await ground.table(layout.EVENTS_TABLE)).to_pylist()
    assert [row["temperature_celsius"] for row in events] == [-1.5, None, None]


@pytest.mark.asyncio
async def test_a_detection_is_a_row_with_its_label_and_its_box_inside() -> None:
    """The label is of the vocabulary, whatever the detector said; no box leaves its picture."""
    ground = Ground(_left())

    await ground.write(write_details=True)

    fox, dog = (await ground.table(layout.DETECTIONS_TABLE)).to_pylist()
    assert (fox["label"], fox["species"], fox["confidence"]) == ("fox", "fox", 0.9)
    assert (dog["label"], dog["species_confidence"]) == ("fox", 0.8)
    assert fox["bounding_box"] == {"x_min": 10.0, "y_min": 20.0, "x_max": 110.0, "y_max": 220.0}
    assert dog["bounding_box"] == {"x_min": 0.0, "y_min": 0.0, "x_max": 640.0, "y_max": 480.0}
    assert (fox["detection_method"], fox["model_version"]) == ("yolo", "tiny:0123456789abcdef")
    assert (fox["contract_version"], fox["rule_id"]) == ("detections_v1", "r-1")
    assert fox["timestamp_original"] - fox["timestamp_utc"] == timedelta(hours=1)
    assert (fox["age_class"], fox["sex"], fox["occlusion_level"]) == (None, None, None)


@pytest.mark.asyncio
async def test_people_are_in_no_table_unless_they_are_asked_for() -> None:
    """Whoever walks by is counted, not kept."""
    ground = Ground(_left())

    await ground.write(write_details=True)
    without = (await ground.table(layout.DETECTIONS_TABLE)).column("label").to_pylist()
    await ground.write(write_details=True, settings=RunSettings(include_humans=True))

    table = await ground.table(layout.DETECTIONS_TABLE)
    assert without == ["fox", "fox"]
    assert table.column("label").to_pylist() == ["fox", "human", "fox"]
    assert table.column("species").to_pylist() == ["fox", None, "fox"]
    counts = (await ground.table(layout.EVENTS_TABLE)).column("detection_count").to_pylist()
    assert counts == [2, 0, 1]


@pytest.mark.asyncio
async def test_a_detection_nobody_classified_has_the_detectors_own_label() -> None:
    """Without the second model there may be no prediction; the label is ours all the same."""
    left = _left()
    left.predictions = []
    ground = Ground(left)

    await ground.write(write_details=True)

    rows = (await ground.table(layout.DETECTIONS_TABLE)).to_pylist()
    assert [(row["label"], row["species"]) for row in rows] == [("fox", "fox"), ("other", None)]
    assert rows[0]["species_confidence"] is None


@pytest.mark.asyncio
async def test_a_detection_of_no_picture_is_an_error() -> None:
    """Manifests of two runs have been mixed: better no table than a wrong one."""
    left = _left()
    left.pictures = left.pictures[:1]
    ground = Ground(left)

    with pytest.raises(NoPicture, match="'det-0000000000000003'"):
        await ground.write(write_details=True)
