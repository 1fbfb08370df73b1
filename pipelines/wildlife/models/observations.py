"""The lines of `stage2/observations.jsonl`: sightings of one kind by one camera."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from pipelines.wildlife.models.moments import Latitude, Longitude, Moment, Share


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """A member of an observation."""

    timestamp: Moment
    confidence: Share
    frame_number: int | None
    """Of a video; None for a still picture."""
    crop_path: str | None


def best_crop(timeline: Iterable[TimelineEntry]) -> TimelineEntry | None:
    """Return the surest member of which there is a crop, the earliest of those that are as sure."""
    cropped = (entry for entry in timeline if entry.crop_path is not None)
    return min(
        cropped,
        key=lambda entry: (-entry.confidence, entry.timestamp, entry.crop_path),
        default=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationLine:
    """One line of `stage2/observations.jsonl`."""

    observation_id: str
    camera_id: str
    species: str
    start_time: Moment
    end_time: Moment
    duration_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    max_confidence: Share
    avg_confidence: Share
    frame_count: int
    """Distinct pictures."""
    individual_count: int
    """Most boxes of the species in one picture."""
    source_video: str | None
    needs_review: bool
    latitude: Latitude | None
    longitude: Longitude | None
    cluster_id: str | None = None
    cluster_name: str | None = None
    detection_timeline: list[TimelineEntry] = field(default_factory=list)
