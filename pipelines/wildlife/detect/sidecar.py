"""The detector `sidecar`: somebody has looked already, and left a file beside each picture."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.wildlife.detect.answers import ANSWER_BYTES_MAX, BadAnswer, parse_answer
from pipelines.wildlife.detect.detector import Detector, Picture, PictureFailed
from pipelines.wildlife.detect.judging import RawDetection
from pipelines.wildlife.models.pictures import PictureLine
from pipelines.wildlife.storage.protocol import Missing, Storage, Unusable
from shared.s3.errors import InvalidKey

SUFFIX = ".detections.json"


@dataclass(frozen=True, slots=True)
class SidecarDetector(Detector):
    """Reads `<picture>.detections.json`; a picture without one shows nothing."""

    storage: Storage

    async def revision(self, line: PictureLine) -> str:
        """Depend on the file beside the picture, which is empty where there is none."""
        try:
            entry = await self.storage.stat(line.image_uri + SUFFIX)
        except (InvalidKey, Missing):
            # A picture's key may be so long that none has room beside it.
            return ""
        return entry.etag

    async def detect(self, image: Picture) -> Sequence[RawDetection]:
        """Read the file."""
        if not image.revision:
            return []
        try:
            body = await self.storage.read(
                image.line.image_uri + SUFFIX, length=ANSWER_BYTES_MAX + 1
            )
        except Missing:
            return []
        except Unusable as error:
            raise PictureFailed("bad_sidecar", str(error)) from error
        if len(body) > ANSWER_BYTES_MAX:
            raise PictureFailed("bad_sidecar", f"it has more than {ANSWER_BYTES_MAX} bytes")
        try:
            return parse_answer(body, (image.line.image_width, image.line.image_height))
        except BadAnswer as error:
            raise PictureFailed("bad_sidecar", str(error)) from error
