"""The configuration of the stage: everything besides pictures that decides what comes out. Pure.

Its hash goes into every record, and into the names of chunks: a job that is told something else
does not take over what another one has found.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from pipelines.wildlife.detect.judging import ASPECT_RATIOS, Rules
from pipelines.wildlife.detect.species import describe

FORM = 1
"""Raised when the same configuration comes to mean something else."""
CROP_PADDING = 0.15
CROP_QUALITY = 90
_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What the stage was told."""

    detector: str
    model: str
    """`<name>:<first 16 hex digits of the SHA-256 of its weights, or unknown>`."""
    rules: Rules
    source: str = ""
    """Where a detector is that has no weights we could see."""
    labels: Sequence[str] = ()
    """The model's classes, where it is ours to name them."""
    image_size: int | None = None
    overlap: float | None = None
    """The intersection over union above which two boxes are one animal."""
    label_map: str = ""
    include_humans: bool = False

    @property
    def config_hash(self) -> str:
        """Return the first 16 hex digits of the SHA-256 of all of it."""
        said = {
            "form": FORM,
            "detector": self.detector,
            "model": self.model,
            "source": self.source,
            "labels": list(self.labels),
            "image_size": self.image_size,
            "overlap": self.overlap,
            "general": describe({"": self.rules.general})[""],
            "species": describe(self.rules.by_kind),
            "aspect_ratios": ASPECT_RATIOS,
            "edge_policy": self.rules.edge_policy,
            "label_map": self.label_map,
            "include_humans": self.include_humans,
            "crop_padding": CROP_PADDING,
            "crop_quality": CROP_QUALITY,
        }
        return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:_DIGITS]


def model_id(name: str, digest: str) -> str:
    """Return how a model is called in records."""
    return f"{name}:{digest[:_DIGITS] or 'unknown'}"
