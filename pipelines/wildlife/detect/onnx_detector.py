"""The detectors `yolo` and `megadetector`: a model of the YOLO family, one picture at a time.

The model takes all cores for one picture, so the next waits; decoding goes on beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio
from anyio import to_thread

from pipelines.wildlife.detect.detector import Detector, Picture
from pipelines.wildlife.detect.images import fit
from pipelines.wildlife.detect.judging import RawDetection
from pipelines.wildlife.detect.onnx_model import OnnxModel
from pipelines.wildlife.detect.outputs import Hit, read_hits
from pipelines.wildlife.models.pictures import PictureLine


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxDetector(Detector):
    """A model, and what of its output is worth judging."""

    model: OnnxModel
    threshold: float
    """What no kind could pass is not reported."""
    overlap: float
    decoders: anyio.CapacityLimiter
    _running: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(1))

    async def revision(self, line: PictureLine) -> str:
        """Depend on nothing else."""
        del line
        return ""

    async def detect(self, image: Picture) -> Sequence[RawDetection]:
        """Run the model on a picture."""
        body = await image.read()
        target = self.model.target
        canvas, box = await to_thread.run_sync(
            lambda: fit(body, image.line, target), limiter=self.decoders
        )

        def look() -> list[Hit]:
            return read_hits(
                self.model.run(canvas),
                self.model.layout,
                target,
                threshold=self.threshold,
                overlap=self.overlap,
            )

        hits = await to_thread.run_sync(look, limiter=self._running)
        return [
            RawDetection(self._label(hit.number), hit.score, box.restore(hit.box)) for hit in hits
        ]

    def _label(self, number: int) -> str:
        labels = self.model.labels
        return labels[number] if 0 <= number < len(labels) else ""
