"""From sightings to the lines of `stage2/observations.jsonl`, which are `ObservationLine`s.

They are put together by themselves and written by msgspec, byte for byte as the model is: half of a
million detections' time went into values that were only made to be written.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from math import fsum

import msgspec
from msgspec import Struct

from pipelines.wildlife.stage2.clustering import Cluster
from pipelines.wildlife.stage2.compression import Sighting, Sightings, moment_of
from pipelines.wildlife.stage2.detected import Detections
from pipelines.wildlife.stage2.placing import Places

TIMELINE_MAX = 3000
"""Entries; a line of more would be longer than what is read as one."""
_SURE = 0.8
_MICROSECONDS = 1_000_000
_NO_POSITION = (None, None)


class _Entry(Struct, frozen=True, gc=False):
    """A `TimelineEntry`."""

    timestamp: datetime
    confidence: float
    frame_number: int | None
    crop_path: str | None


class _Line(Struct, frozen=True, kw_only=True):
    """An `ObservationLine`."""

    observation_id: str
    camera_id: str
    species: str
    start_time: datetime
    end_time: datetime
    duration_seconds: float
    max_confidence: float
    avg_confidence: float
    frame_count: int
    individual_count: int
    source_video: str | None
    needs_review: bool
    latitude: float | None
    longitude: float | None
    cluster_id: str | None
    cluster_name: str | None
    detection_timeline: Sequence[_Entry]


def observation_lines(sightings: Sightings, places: Places) -> Iterator[bytes]:
    """Yield the observations in the order of start, camera and species."""
    encode = msgspec.json.Encoder().encode
    for number in sightings.by_start():
        line = _line(sightings.detections, sightings[number], places.of(number))
        yield encode(line) + b"\n"


def cut_timelines(sightings: Sightings) -> int:
    """Return how many observations have more detections than their timelines name."""
    return sum(size > TIMELINE_MAX for size in sightings.sizes())


def _line(detections: Detections, sighting: Sighting, place: Cluster | None) -> _Line:
    rows = sighting.rows
    confidences = list(map(detections.confidences.__getitem__, rows))
    highest = max(confidences)
    boxes = Counter(map(detections.pictures.__getitem__, rows)).values()
    latitude, longitude = sighting.position or _NO_POSITION
    return _Line(
        observation_id=f"obs-{sighting.identity:016x}",
        camera_id=sighting.camera_id,
        species=sighting.species,
        start_time=_time(sighting.start),
        end_time=_time(sighting.end),
        duration_seconds=(sighting.end - sighting.start) / _MICROSECONDS,
        max_confidence=highest,
        # Rounding must not put the mean above the highest.
        avg_confidence=min(highest, fsum(confidences) / len(rows)),
        frame_count=len(boxes),
        individual_count=max(boxes),
        source_video=next(iter(detections.videos(rows)), None),
        needs_review=highest < _SURE or any(map(detections.doubtful.__getitem__, rows)),
        latitude=latitude,
        longitude=longitude,
        cluster_id=None if place is None else place.cluster_id,
        cluster_name=None if place is None else place.name,
        detection_timeline=_timeline(detections, rows[:TIMELINE_MAX], confidences),
    )


def _timeline(
    detections: Detections, rows: Sequence[int], confidences: Sequence[float]
) -> list[_Entry]:
    return list(
        map(
            _Entry,
            map(_time, map(detections.moments.__getitem__, rows)),
            confidences,
            detections.frame_numbers(rows),
            detections.crops(rows),
        )
    )


# A picture has many boxes and one time.
_time = lru_cache(maxsize=64)(moment_of)
