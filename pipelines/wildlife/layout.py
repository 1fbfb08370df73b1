"""Where everything lies below the output of a run, and what it is tagged with. Pure.

The tags are what the bucket's lifecycle rules go by.
"""

from collections.abc import Mapping
from enum import StrEnum

PROJECT_TAG = "WildlifePipeline"


class Kind(StrEnum):
    """What an object is."""

    MANIFEST = "manifest"
    CROP = "crop"
    FRAME = "frame"
    RESULT = "result"
    CACHE = "cache"


PICTURES = "stage0/manifest.jsonl"
PICTURE_ERRORS = "stage0/errors.jsonl"
DETECTIONS = "stage1/manifest.jsonl"
PREDICTIONS = "stage1/predictions.jsonl"
DETECTION_SUMMARY = "stage1/summary.json"
"""What the detection was and took: model, counts, seconds."""
DETECTION_DROPS = "stage1/dropped.jsonl"
"""Detections that were not kept, each with its reason."""
DETECTION_ERRORS = "stage1/errors.jsonl"
"""Pictures that could not be looked at, each with its reason."""
CHUNKS = "stage1/chunks/"
CROPS = "stage1/crops/"
OBSERVATIONS = "stage2/observations.jsonl"
PLACES = "stage2/clusters.geojson"
WEATHER = "weather/observations_weather.jsonl"
WEATHER_CACHE = "weather/cache/"
CLUSTERS_TABLE = "clusters.parquet"
EVENTS_TABLE = "events.parquet"
DETECTIONS_TABLE = "detections.parquet"
REPORT = "run_report.json"
REPORT_PAGE = "report.html"


def crop_name(camera_id: str, event_id: str, index: int) -> str:
    """Return where the crop of a detection lies."""
    return f"{CROPS}{camera_id}/{event_id}_{index}.jpg"


def tags_of(kind: Kind) -> Mapping[str, str]:
    """Return the tags of an object."""
    return {"Project": PROJECT_TAG, "kind": kind.value}
