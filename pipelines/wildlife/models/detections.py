"""The lines of `stage1/`: what was seen in pictures, what it was called, and the job's summary."""

from dataclasses import dataclass, field
from typing import TypeAlias

from pipelines.wildlife.models.moments import Latitude, Longitude, Moment, Share

Box: TypeAlias = tuple[float, float, float, float]
"""`x1, y1, x2, y2` in pixels, from the upper left corner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionLine:
    """One line of `stage1/manifest.jsonl`: a detection that was kept."""

    detection_id: str
    event_id: str
    source_path: str
    """URI of the picture."""
    crop_path: str | None
    """URI of the crop; None where none is stored, as of humans."""
    camera_id: str
    timestamp: Moment
    bbox: Box
    det_score: Share
    raw_label: str
    """As the detector has it."""
    stage1_model: str
    """`<name>:<first 16 hex digits of the SHA-256 of its weights, or unknown>`."""
    config_hash: str
    latitude: Latitude | None
    longitude: Longitude | None
    image_width: int
    image_height: int
    doubtful: bool
    doubt_reasons: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionLine:
    """One line of `stage1/predictions.jsonl`: the species of a detection."""

    detection_id: str
    crop_path: str | None
    label: str
    """Of the vocabulary in `labels`."""
    confidence: Share
    auto_ok: bool
    stage2_model: str
    stage1_model: str
    config_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DropLine:
    """One line of `stage1/dropped.jsonl`: a detection that was not kept."""

    event_id: str
    index: int
    """Among the detections of the picture, as in `detection_id` and the names of crops."""
    source_path: str
    raw_label: str
    det_score: float | None
    """None where the detector gave none that is a number."""
    bbox: Box | None
    reason: str
    """The first test that it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionSummary:
    """`stage1/summary.json`: what the job was and did."""

    detector: str
    stage1_model: str
    config_hash: str
    images: int
    images_failed: int
    """Pictures that could not be decoded whole; they have no detection."""
    detections: int
    """Kept."""
    dropped: dict[str, int]
    """By reason."""
    humans: int
    """Detections of people, of which no crop is stored."""
    seconds: float
