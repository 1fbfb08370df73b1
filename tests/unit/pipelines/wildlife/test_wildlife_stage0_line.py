"""What a picture's line says: times, positions, flags, identity."""

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from zoneinfo import ZoneInfo

import pytest

from pipelines.wildlife.models.input import Coordinates
from pipelines.wildlife.stage0.clock.rules import ClockError, Clocks
from pipelines.wildlife.stage0.clock.zones import Zone
from pipelines.wildlife.stage0.exif.notes import Notes
from pipelines.wildlife.stage0.exif.position import Position
from pipelines.wildlife.stage0.image.head import Head
from pipelines.wildlife.stage0.image.shape import Shape
from pipelines.wildlife.stage0.line import Run, describe
from pipelines.wildlife.storage.protocol import Entry

_MODIFIED = datetime(2026, 6, 3, 12, tzinfo=UTC)
_ENTRY = Entry("s3://b/in/cam01/IMG_0001.JPG", "cam01/IMG_0001.JPG", 1000, "abc", _MODIFIED)
_CLOCKS = Clocks(
    default_zone=Zone("Europe/Stockholm", ZoneInfo("Europe/Stockholm")),
    rows={"cam01": ClockError(rule_id="csv:cam01", offset_seconds=60.0)},
)
_RUN = Run(session_id="run-1", started_at=datetime(2026, 6, 10, tzinfo=UTC), clocks=_CLOCKS)
_NOTES = Notes(original="2026:06:01 04:30:00", make="Towpath", model="Trail 1")


def _head(notes: Notes = _NOTES) -> Head:
    return Head(Shape("JPEG", 640, 480), notes)


def test_a_line_says_all_that_is_known_of_a_picture() -> None:
    """Every state behind this one reads it and nothing else."""
    line = describe(_ENTRY, "cam01", _head(), _RUN)

    digest = sha256(b"s3://b/in/cam01/IMG_0001.JPG|abc").hexdigest()[:16]
    assert line.event_id == f"evt-{digest}"
    assert (line.image_width, line.image_height, line.image_format) == (640, 480, "JPEG")
    assert line.timestamp_original == datetime(2026, 6, 1, 2, 30, tzinfo=UTC)
    assert line.timestamp_corrected == datetime(2026, 6, 1, 2, 29, tzinfo=UTC)
    assert line.timestamp_utc == line.timestamp_corrected
    assert (line.timestamp_source, line.timezone) == ("exif_original", "Europe/Stockholm")
    assert (line.rule_id, line.offset_seconds_applied) == ("csv:cam01", -60.0)
    assert (line.camera_make, line.camera_model) == ("Towpath", "Trail 1")
    assert (line.file_size_bytes, line.etag, line.flags) == (1000, "abc", [])


def test_the_time_of_the_storage_is_never_corrected() -> None:
    """It is not the camera's clock that wrote it."""
    line = describe(_ENTRY, "cam01", _head(Notes()), _RUN)

    assert (line.timestamp_utc, line.timestamp_source) == (_MODIFIED, "object_mtime")
    assert (line.rule_id, line.offset_seconds_applied, line.timezone) == (None, 0.0, "UTC")
    assert line.flags == []


@pytest.mark.parametrize(
    ("shown", "flagged"),
    [
        ("1999:12:31 23:00:00", True),
        ("2000:01:01 01:01:00", False),
        ("2026:06:11 02:01:00", False),
        ("2026:06:11 02:01:01", True),
        ("2099:01:01 00:00:00", True),
    ],
)
def test_a_time_that_cannot_be_is_flagged_and_kept(shown: str, *, flagged: bool) -> None:
    """A picture counts, and no weather is asked for it."""
    line = describe(_ENTRY, "cam01", _head(replace(_NOTES, original=shown)), _RUN)

    assert ("implausible_timestamp" in line.flags) == flagged


_HERE, _CAMERA = Position(59.5, 18.0), Position(60.0, 0.0)
_NULL = Position(0.0, 0.0)


@pytest.mark.parametrize(
    ("noted", "configured", "requested", "source", "latitude"),
    [
        (_HERE, _CAMERA, True, "exif", 59.5),
        (Position(0.0, 18.0), _CAMERA, True, "exif", 0.0),
        (Position(59.5, 0.0), _CAMERA, True, "exif", 59.5),
        (None, _CAMERA, True, "camera", 60.0),
        (_NULL, _CAMERA, True, "camera", 60.0),
        (None, None, True, "request", 61.0),
        (None, None, False, "none", None),
        (_NULL, None, False, "none", None),
    ],
)
def test_a_position_is_the_first_that_is_known(
    noted: Position | None,
    configured: Position | None,
    requested: bool,  # noqa: FBT001 - a column of the table
    source: str,
    latitude: float | None,
) -> None:
    """The equator and Greenwich are places; what a lost receiver writes is none."""
    run = replace(
        _RUN,
        clocks=replace(_CLOCKS, positions={"cam01": configured} if configured else {}),
        coordinates=Coordinates(lat=61.0, lon=0.0) if requested else None,
    )

    line = describe(_ENTRY, "cam01", _head(replace(_NOTES, position=noted)), run)

    assert (line.gps_source, line.gps_latitude) == (source, latitude)
    assert ("null_island" in line.flags) == (noted is _NULL)


@pytest.mark.parametrize(
    ("name", "notes", "camera", "flag"),
    [
        ("x.png", _NOTES, "cam01", "suffix_mismatch"),
        ("x.JPEG", replace(_NOTES, damaged=True), "cam01", "damaged_exif"),
        ("x.jpg", replace(_NOTES, bad_position=True), "cam01", "invalid_gps"),
        ("x.jpg", _NOTES, "cam99", "no_correction_rule"),
    ],
)
def test_what_is_odd_about_a_picture_is_flagged(
    name: str, notes: Notes, camera: str, flag: str
) -> None:
    """It is readable all the same, and whoever looks into it later finds the reason."""
    line = describe(replace(_ENTRY, relative=name), camera, _head(notes), _RUN)

    assert line.flags == [flag]
