"""From sightings to the lines of `stage2/observations.jsonl`, which are `ObservationLine`s.

They are put together as text of their own: half of a million detections' time went into values that
were only made to be written.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import fsum

from pydantic_core import to_json

from pipelines.wildlife.stage2.clustering import Cluster
from pipelines.wildlife.stage2.compression import Sighting, Sightings, moment_of
from pipelines.wildlife.stage2.detected import Detections
from pipelines.wildlife.stage2.placing import Places

TIMELINE_MAX = 3000
"""Entries; a line of more would be longer than what is read as one."""
_SURE = 0.8
_MICROSECONDS = 1_000_000
_NO_POSITION = (None, None)


def observation_lines(sightings: Sightings, places: Places) -> Iterator[bytes]:
    """Yield the observations in the order of start, camera and species."""
    for number in sightings.by_start():
        line = _line(sightings.detections, sightings[number], places.of(number))
        yield to_json(line) + b"\n"


def cut_timelines(sightings: Sightings) -> int:
    """Return how many observations have more detections than their timelines name."""
    return sum(size > TIMELINE_MAX for size in sightings.sizes())


def _line(
    detections: Detections, sighting: Sighting, place: Cluster | None
) -> Mapping[str, object]:
    rows = sighting.rows
    confidences = [detections.confidences[row] for row in rows]
    highest = max(confidences)
    boxes = Counter([detections.pictures[row] for row in rows])
    latitude, longitude = sighting.position or _NO_POSITION
    return {
        "observation_id": f"obs-{sighting.identity:016x}",
        "camera_id": sighting.camera_id,
        "species": sighting.species,
        "start_time": moment_of(sighting.start),
        "end_time": moment_of(sighting.end),
        "duration_seconds": (sighting.end - sighting.start) / _MICROSECONDS,
        "max_confidence": highest,
        # Rounding must not put the mean above the highest.
        "avg_confidence": min(highest, fsum(confidences) / len(rows)),
        "frame_count": len(boxes),
        "individual_count": max(boxes.values()),
        "source_video": next(iter(detections.videos(rows)), None),
        "needs_review": highest < _SURE or any(detections.doubtful[row] for row in rows),
        "latitude": latitude,
        "longitude": longitude,
        "cluster_id": None if place is None else place.cluster_id,
        "cluster_name": None if place is None else place.name,
        "detection_timeline": _timeline(detections, rows[:TIMELINE_MAX]),
    }


def _timeline(detections: Detections, rows: Sequence[int]) -> Sequence[Mapping[str, object]]:
    moments = [detections.moments[row] for row in rows]
    # A picture has many boxes and one time.
    written = {moment: moment_of(moment) for moment in set(moments)}
    return [
        {"timestamp": written[at], "confidence": sure, "frame_number": frame, "crop_path": crop}
        for at, sure, frame, crop in zip(
            moments,
            [detections.confidences[row] for row in rows],
            detections.frame_numbers(rows),
            detections.crops(rows),
            strict=True,
        )
    ]
