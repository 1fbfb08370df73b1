"""The rows of `events.parquet` and `detections.parquet`: pictures, and what was seen in them.

What nobody measures here is null, or false where the contract has no null. People are in neither
table unless they are asked for, as they are in no other.
"""

import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from pipelines.wildlife.labels import ANIMALS, label_of
from pipelines.wildlife.models.detections import DetectionLine, PredictionLine
from pipelines.wildlife.models.pictures import PictureLine
from pipelines.wildlife.models.tables import BoundingBox, DetectionRow, EventRow
from pipelines.wildlife.tables.columns import (
    Cell,
    Column,
    Kind,
    cells_of,
    columns_of,
    to_moment,
)
from pipelines.wildlife.tables.spool import Spool, fill
from shared.errors import PermanentError

EVENTS_ORDER = ("timestamp_utc",)
DETECTIONS_ORDER = ("timestamp_utc", "camera_id")

_PERCENT_MAX = 100.0
_PICTURE = columns_of(PictureLine, without={"flags", "session_id"})
_DETECTION = columns_of(DetectionLine, without={"bbox", "doubt_reasons"})
_PREDICTION = columns_of(PredictionLine, without={"crop_path"})
_BOX = (
    *(Column(name, Kind.REAL, nullable=False) for name in ("x1", "y1", "x2", "y2")),
    Column("called", Kind.TEXT, nullable=False),
)
_EVENTS = """
    SELECT picture.*, weather.*,
        (SELECT count(*) FROM kept WHERE kept.event_id = picture.event_id) AS detection_count
    FROM picture LEFT JOIN weather ON weather.observation_id = (
        SELECT min(seen.observation_id) FROM seen JOIN weather AS known USING (observation_id)
        WHERE seen.camera_id = picture.camera_id AND seen.moment = picture.timestamp_utc
            AND known.weather_status = 'ok')
    ORDER BY picture.timestamp_utc, picture.image_uri, picture.event_id
"""
_DETECTIONS = """
    SELECT kept.*, picture.timestamp_original, picture.rule_id, picture.event_id AS of_picture
    FROM kept LEFT JOIN picture ON picture.event_id = kept.event_id
    ORDER BY kept.timestamp, kept.camera_id, kept.detection_id
"""


class NoPicture(PermanentError):
    """A detection is of a picture that the run does not know."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What is the same in every row."""

    session_id: str
    pipeline_version: str
    detector: str
    """By which the detection method goes."""


async def load_pictures(spool: Spool, lines: AsyncIterator[Sequence[PictureLine]]) -> int:
    """Store the pictures, and return how many there are."""
    spool.create("picture", _PICTURE, key="event_id")
    cells = cells_of(_PICTURE)
    return await fill(lines, lambda batch: spool.add("picture", map(cells, batch)))


async def load_detections(spool: Spool, lines: AsyncIterator[Sequence[DetectionLine]]) -> int:
    """Store the detections, and return how many there are."""
    spool.create("detection", (*_DETECTION, *_BOX), key="detection_id")
    cells = cells_of(_DETECTION)

    def whole(line: DetectionLine) -> tuple[Cell, ...]:
        return (*cells(line), *line.bbox, label_of(line.raw_label).name)

    return await fill(lines, lambda batch: spool.add("detection", map(whole, batch)))


async def load_predictions(spool: Spool, lines: AsyncIterator[Sequence[PredictionLine]]) -> int:
    """Store what the detections were called, and return how many there are."""
    spool.create("prediction", _PREDICTION, key="detection_id")
    cells = cells_of(_PREDICTION)
    return await fill(lines, lambda batch: spool.add("prediction", map(cells, batch)))


def join_details(spool: Spool, *, include_humans: bool) -> None:
    """Say which of the loaded detections count; once, before rows are asked for."""
    spool.run("CREATE INDEX detection_of_event ON detection (event_id)")
    left_out = "" if include_humans else "WHERE coalesce(prediction.label, called) <> 'human'"
    spool.run(
        "CREATE VIEW kept AS SELECT detection.*, prediction.confidence,"  # noqa: S608 - our own text
        " coalesce(prediction.label, called) AS label"
        f" FROM detection LEFT JOIN prediction USING (detection_id) {left_out}"
    )


def event_rows(spool: Spool, origin: Origin) -> Iterator[EventRow]:
    """Yield a row for each picture, by time.

    Sorting begins with the first one that is asked for, in the thread of whoever asks.
    """
    for found in spool.rows(_EVENTS):
        yield _event_row(found, origin)


def detection_rows(spool: Spool, origin: Origin) -> Iterator[DetectionRow]:
    """Yield a row for each detection that counts, by time; NoPicture. Begins as the above does."""
    for found in spool.rows(_DETECTIONS):
        yield _detection_row(found, origin)


def _event_row(found: sqlite3.Row, origin: Origin) -> EventRow:
    return EventRow(
        event_id=found["event_id"],
        session_id=origin.session_id,
        camera_id=found["camera_id"],
        timestamp_utc=to_moment(found["timestamp_utc"]),
        timestamp_original=to_moment(found["timestamp_original"]),
        timestamp_corrected=to_moment(found["timestamp_corrected"]),
        gps_latitude=found["gps_latitude"],
        gps_longitude=found["gps_longitude"],
        gps_accuracy=None,
        location_zone=None,
        image_path=found["image_uri"],
        image_width=found["image_width"],
        image_height=found["image_height"],
        image_format=found["image_format"],
        file_size_bytes=found["file_size_bytes"],
        detection_count=found["detection_count"],
        observation_any=found["detection_count"] > 0,
        temperature_celsius=found["weather_temp_c"],
        humidity_percent=_within(found["weather_humidity_pc"], _PERCENT_MAX),
        precipitation_mm=_within(found["weather_precip_mm"]),
        wind_speed_ms=_within(found["weather_wind_ms"]),
        processing_version=origin.pipeline_version,
        contract_version="events_v1",
        rule_id=found["rule_id"],
        map_version=None,
        quality_score=None,
        blur_detected=False,
        motion_detected=False,
    )


def _detection_row(found: sqlite3.Row, origin: Origin) -> DetectionRow:
    if found["of_picture"] is None:
        raise NoPicture(
            f"detection {found['detection_id']!r} is of event {found['event_id']!r}, which no"
            " picture of this run is; run the detection again"
        )
    species = found["label"] if found["label"] in ANIMALS else None
    return DetectionRow(
        detection_id=found["detection_id"],
        event_id=found["event_id"],
        session_id=origin.session_id,
        camera_id=found["camera_id"],
        timestamp_utc=to_moment(found["timestamp"]),
        timestamp_original=to_moment(found["timestamp_original"]),
        label=found["label"],
        confidence=found["det_score"],
        bounding_box=_box(found),
        image_path=found["source_path"],
        image_width=found["image_width"],
        image_height=found["image_height"],
        gps_latitude=found["latitude"],
        gps_longitude=found["longitude"],
        location_zone=None,
        species=species,
        species_confidence=None if species is None else found["confidence"],
        age_class=None,
        sex=None,
        detection_method="yolo" if origin.detector == "yolo" else "automated",
        model_version=found["stage1_model"],
        processing_version=origin.pipeline_version,
        contract_version="detections_v1",
        quality_score=None,
        blur_detected=False,
        occlusion_level=None,
        rule_id=found["rule_id"],
        map_version=None,
    )


def _box(found: sqlite3.Row) -> BoundingBox:
    """Return the box as far as it is inside the picture."""
    width, height = float(found["image_width"]), float(found["image_height"])
    return BoundingBox(
        x_min=min(max(found["x1"], 0.0), width),
        y_min=min(max(found["y1"], 0.0), height),
        x_max=min(max(found["x2"], 0.0), width),
        y_max=min(max(found["y2"], 0.0), height),
    )


def _within(value: float | None, most: float = float("inf")) -> float | None:
    """Return a measured value that can be; a station may well say 101 % or less than no rain."""
    return value if value is not None and 0 <= value <= most else None
