"""From the head of a picture to its line in the manifest. Pure.

| what is wrong                                 | flag                                            |
|-----------------------------------------------|-------------------------------------------------|
| a part of the camera's notes cannot be read   | `damaged_exif`                                  |
| the name says another format than the bytes   | `suffix_mismatch`                               |
| no rule is for the camera's clock             | `no_correction_rule`                            |
| the clock drifts, nobody knows since when     | `drift_without_anchor`                          |
| an hour that there is twice, or not at all    | `ambiguous_local_time`, `nonexistent_local_time` |
| before 2000, or more than a day ahead         | `implausible_timestamp`                         |
| a position that is none, or exactly (0, 0)    | `invalid_gps`, `null_island`                    |
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType

from pipelines.wildlife.models.input import Coordinates
from pipelines.wildlife.models.pictures import (
    IMPLAUSIBLE_TIME,
    GpsSource,
    ImageFormat,
    PictureLine,
    TimestampSource,
    is_plausible,
)
from pipelines.wildlife.stage0.clock.repair import Repaired, repair
from pipelines.wildlife.stage0.clock.rules import Clocks
from pipelines.wildlife.stage0.clock.timestamps import find_time
from pipelines.wildlife.stage0.exif.notes import Notes
from pipelines.wildlife.stage0.exif.position import Position
from pipelines.wildlife.stage0.image.head import Head
from pipelines.wildlife.storage.protocol import Entry

_FORMS: Mapping[str, ImageFormat] = MappingProxyType(
    {
        "jpg": "JPEG",
        "jpeg": "JPEG",
        "png": "PNG",
        "bmp": "BMP",
        "tif": "TIFF",
        "tiff": "TIFF",
        "webp": "WEBP",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the pictures of a run have in common."""

    session_id: str
    started_at: datetime
    clocks: Clocks
    coordinates: Coordinates | None = None
    """Of pictures without a position, by cameras without one."""


def event_id_of(image_uri: str, etag: str) -> str:
    """Return the name of a picture with this content at this place."""
    return f"evt-{sha256(f'{image_uri}|{etag}'.encode()).hexdigest()[:16]}"


def describe(entry: Entry, camera: str, head: Head, run: Run) -> PictureLine:
    """Return the line of a picture."""
    notes, shape = head.notes, head.shape
    source, time = _time(entry, camera, notes, run.clocks)
    gps_source, position = _position(camera, notes, run)
    return PictureLine(
        event_id=event_id_of(entry.uri, entry.etag),
        session_id=run.session_id,
        camera_id=camera,
        image_uri=entry.uri,
        etag=entry.etag,
        file_size_bytes=entry.size,
        image_width=shape.width,
        image_height=shape.height,
        image_format=shape.form,
        timestamp_original=time.original,
        timestamp_corrected=time.corrected,
        timestamp_utc=time.corrected,
        timestamp_source=source,
        timezone=time.zone,
        offset_seconds_applied=time.seconds,
        rule_id=time.rule_id,
        gps_latitude=position.latitude if position else None,
        gps_longitude=position.longitude if position else None,
        gps_source=gps_source,
        camera_make=notes.make,
        camera_model=notes.model,
        flags=list(_flags(entry, head, time, run.started_at)),
    )


def _time(
    entry: Entry, camera: str, notes: Notes, clocks: Clocks
) -> tuple[TimestampSource, Repaired]:
    """Return when it was taken; the storage's clock needs no repair."""
    shown = find_time(notes)
    if shown is None:
        return "object_mtime", Repaired(entry.modified, entry.modified, "UTC")
    return shown.source, repair(shown, camera, clocks)


def _position(camera: str, notes: Notes, run: Run) -> tuple[GpsSource, Position | None]:
    """Return the first position that is known, and who knows it."""
    if notes.position is not None and not notes.position.is_null_island:
        return "exif", notes.position
    if camera in run.clocks.positions:
        return "camera", run.clocks.positions[camera]
    if run.coordinates is not None:
        return "request", Position(run.coordinates.lat, run.coordinates.lon)
    return "none", None


def _flags(entry: Entry, head: Head, time: Repaired, started_at: datetime) -> Iterator[str]:
    notes = head.notes
    if notes.damaged:
        yield "damaged_exif"
    if _FORMS.get(entry.relative.rpartition(".")[2].lower()) != head.shape.form:
        yield "suffix_mismatch"
    yield from time.flags
    if not is_plausible(time.corrected, started_at):
        yield IMPLAUSIBLE_TIME
    if notes.bad_position:
        yield "invalid_gps"
    if notes.position is not None and notes.position.is_null_island:
        yield "null_island"
