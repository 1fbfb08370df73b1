"""The lines of `stage0/`: a picture that could be read, and one that could not."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from pipelines.wildlife.models.moments import Latitude, Longitude, Moment

TimestampSource: TypeAlias = Literal[
    "exif_original", "exif_digitized", "exif_datetime", "object_mtime"
]
GpsSource: TypeAlias = Literal["exif", "camera", "request", "none"]
ImageFormat: TypeAlias = Literal["JPEG", "PNG", "TIFF", "BMP", "WEBP"]

IMPLAUSIBLE_TIME = "implausible_timestamp"
"""Before 2000, or more than a day ahead: kept, and no weather is asked for it."""
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=1)


def is_plausible(taken_at: datetime, started_at: datetime) -> bool:
    """Tell whether a picture can have been taken then, for a run that began at `started_at`."""
    return _FIRST <= taken_at <= started_at + _AHEAD


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLine:
    """One line of `stage0/manifest.jsonl`."""

    event_id: str
    session_id: str
    camera_id: str
    image_uri: str
    etag: str
    file_size_bytes: int
    image_width: int
    image_height: int
    image_format: ImageFormat
    timestamp_original: Moment
    """As the camera's clock had it, in UTC."""
    timestamp_corrected: Moment
    timestamp_utc: Moment
    """The same as `timestamp_corrected`."""
    timestamp_source: TimestampSource
    timezone: str
    offset_seconds_applied: float
    """Added to the camera's time."""
    rule_id: str | None = None
    gps_latitude: Latitude | None = None
    gps_longitude: Longitude | None = None
    gps_source: GpsSource = "none"
    camera_make: str | None = None
    camera_model: str | None = None
    flags: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureErrorLine:
    """One line of `stage0/errors.jsonl`."""

    image_uri: str
    error: str
    """A word for the kind of failure."""
    detail: str
