"""Detections of one picture as they are written down. Pure.

A detection is counted by its place in the detector's answer, before any is dropped: thresholds
change which are kept, and never what those are called.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from pipelines.wildlife.detect.judging import Dropped, Kept, RawDetection, judge
from pipelines.wildlife.detect.stage import Stage
from pipelines.wildlife.document.places import Place
from pipelines.wildlife.labels import HUMAN, Label, find_corrections, label_of
from pipelines.wildlife.layout import crop_name
from pipelines.wildlife.models.detections import DetectionLine, DropLine, PredictionLine
from pipelines.wildlife.models.pictures import PictureLine

AUTO_CONFIDENCE = 0.5
NO_CLASSIFIER = "none"
STAGE_FOLDER = "stage1/"
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Finding:
    """A detection that counts, and its crop, if one is to be stored."""

    detection: DetectionLine
    prediction: PredictionLine


@dataclass(frozen=True, slots=True)
class Findings:
    """What became of a detector's answer about one picture."""

    kept: list[Finding] = field(default_factory=list)
    drops: list[DropLine] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Recorder:
    """Writes down what is seen in pictures, by one configuration."""

    stage: Stage
    target: Place
    """Where the stage's results go."""

    def record(self, line: PictureLine, answer: Sequence[RawDetection]) -> Findings:
        """Judge each detection of a picture and give it its record."""
        size = line.image_width, line.image_height
        corrections = find_corrections(self.stage.label_map)
        findings = Findings()
        for index, raw in enumerate(answer):
            label = label_of(raw.label, corrections)
            verdict = judge(raw, label, size, self.stage.rules)
            if isinstance(verdict, Dropped):
                findings.drops.append(_dropped(line, index, raw, verdict))
            else:
                findings.kept.append(self._kept(line, index, verdict, label))
        return findings

    def _kept(self, line: PictureLine, index: int, kept: Kept, label: Label) -> Finding:
        name, config_hash = detection_id(line.event_id, index), self.stage.config_hash
        crop = None
        if label.name != HUMAN or self.stage.include_humans:
            crop = in_stage(self.target, crop_name(line.camera_id, line.event_id, index))
        detection = DetectionLine(
            detection_id=name,
            event_id=line.event_id,
            source_path=line.image_uri,
            crop_path=crop,
            camera_id=line.camera_id,
            timestamp=line.timestamp_utc,
            bbox=kept.box,
            det_score=kept.score,
            raw_label=label.raw,
            stage1_model=self.stage.model,
            config_hash=config_hash,
            latitude=line.gps_latitude,
            longitude=line.gps_longitude,
            image_width=line.image_width,
            image_height=line.image_height,
            doubtful=bool(kept.doubts),
            doubt_reasons=list(kept.doubts),
        )
        prediction = PredictionLine(
            detection_id=name,
            crop_path=crop,
            label=label.name,
            confidence=kept.score,
            auto_ok=kept.score >= AUTO_CONFIDENCE,
            stage2_model=NO_CLASSIFIER,
            stage1_model=self.stage.model,
            config_hash=config_hash,
        )
        return Finding(detection, prediction)


def _dropped(line: PictureLine, index: int, raw: RawDetection, dropped: Dropped) -> DropLine:
    return DropLine(
        event_id=line.event_id,
        index=index,
        source_path=line.image_uri,
        raw_label=raw.label,
        det_score=raw.confidence,
        bbox=raw.bbox,
        reason=dropped.reason,
    )


def detection_id(event_id: str, index: int) -> str:
    """Return the name of a detection."""
    return f"det-{sha256(f'{event_id}|{index}'.encode()).hexdigest()[:_DIGITS]}"


def in_stage(target: Place, name: str) -> str:
    """Return the URI of something that `layout` names, below where this stage's results go."""
    return target.join(name.removeprefix(STAGE_FOLDER))


def count_humans(predictions: Iterable[PredictionLine]) -> int:
    """Count the people among what was seen."""
    return sum(prediction.label == HUMAN for prediction in predictions)
