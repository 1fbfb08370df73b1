"""Which detections are kept, which are doubtful, and why the others go. Pure.

The first test that fails is the reason:

| test                                                  | otherwise                                |
|-------------------------------------------------------|------------------------------------------|
| there are a box and a score, and both are numbers     | `invalid_bbox`                           |
| the score reaches the threshold of the kind           | `confidence`                             |
| the box has an area within the picture                | `invalid_bbox`                           |
| it covers a share of the picture within the limits    | `area`                                   |
| its width is 0.2 to 5 times its height                | `aspect_ratio`                           |
| it keeps its distance from the border                 | doubtful, or `edge_proximity` by policy  |

What is kept is doubtful when the score is close to the threshold, the box touches the border or is
small, or a correction changed the label.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from pipelines.wildlife.detect.geometry import Box, Size, border_distance, clamp, relative_area
from pipelines.wildlife.detect.species import BUILT_IN, Limits
from pipelines.wildlife.labels import Label


class Reason(StrEnum):
    """Why a detection is dropped."""

    INVALID_BBOX = "invalid_bbox"
    CONFIDENCE = "confidence"
    AREA = "area"
    ASPECT_RATIO = "aspect_ratio"
    EDGE_PROXIMITY = "edge_proximity"


class Doubt(StrEnum):
    """Why a person should look at a detection."""

    LOW_CONFIDENCE = "low_confidence"
    EDGE_PROXIMITY = "edge_proximity"
    SMALL_AREA = "small_area"
    LABEL_CORRECTED = "label_corrected"


ASPECT_RATIOS = (0.2, 5.0)
CLOSE_CALL = 0.05
TINY_AREA = 0.01
NEAR_MINIMUM = 1.5


@dataclass(frozen=True, slots=True)
class RawDetection:
    """What a detector says; nothing of it is checked."""

    label: str
    confidence: float | None
    """None where it gives none, or what is no number."""
    bbox: Box | None
    """In pixels of the picture; the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What detections are tested against."""

    general: Limits = field(default_factory=Limits)
    by_kind: Mapping[str, Limits] = field(default_factory=lambda: BUILT_IN)
    edge_policy: Literal["review", "drop"] = "review"

    def limits_of(self, kind: str) -> Limits:
        """Return the limits of a kind."""
        return self.by_kind.get(kind, self.general)

    @property
    def least_threshold(self) -> float:
        """Return the score below which nothing is kept, whatever it is."""
        return min(limits.conf_threshold for limits in (self.general, *self.by_kind.values()))


@dataclass(frozen=True, slots=True)
class Kept:
    """A detection that counts."""

    box: Box
    """Within the picture."""
    score: float
    doubts: tuple[Doubt, ...]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A detection that does not."""

    reason: Reason


def judge(raw: RawDetection, label: Label, size: Size, rules: Rules) -> Kept | Dropped:
    """Test one detection of a picture of this size."""
    score = raw.confidence
    if score is None or raw.bbox is None or not _are_usable(score, raw.bbox):
        return Dropped(Reason.INVALID_BBOX)
    limits = rules.limits_of(label.name)
    if score < limits.conf_threshold:
        return Dropped(Reason.CONFIDENCE)
    box = clamp(raw.bbox, size)
    shape = _misshapen(box, size, limits)
    if shape is not None:
        return Dropped(shape)
    at_edge = border_distance(box, size) < limits.edge_margin
    if at_edge and rules.edge_policy == "drop":
        return Dropped(Reason.EDGE_PROXIMITY)
    area = relative_area(box, size)
    doubts = {
        Doubt.LOW_CONFIDENCE: score < limits.conf_threshold + CLOSE_CALL,
        Doubt.EDGE_PROXIMITY: at_edge,
        Doubt.SMALL_AREA: area < max(TINY_AREA, NEAR_MINIMUM * limits.min_area),
        Doubt.LABEL_CORRECTED: label.corrected,
    }
    return Kept(box, score, tuple(doubt for doubt, holds in doubts.items() if holds))


def _are_usable(score: float, box: Box) -> bool:
    return 0 <= score <= 1 and all(map(math.isfinite, box))


def _misshapen(box: Box, size: Size, limits: Limits) -> Reason | None:
    x1, y1, x2, y2 = box
    if x2 <= x1 or y2 <= y1:
        return Reason.INVALID_BBOX
    if not limits.min_area <= relative_area(box, size) <= limits.max_area:
        return Reason.AREA
    least, most = ASPECT_RATIOS
    if not least <= (x2 - x1) / (y2 - y1) <= most:
        return Reason.ASPECT_RATIO
    return None
