"""Looking at the pictures of one chunk, several at once: fetched, detected, judged, cropped.

Rule: what is wrong with a picture costs that picture; what is wrong with storage, model or service
ends the job, which is repeated and goes on behind the last finished chunk.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import anyio
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from pipelines.wildlife.detect.chunks import ChunkResult
from pipelines.wildlife.detect.detector import Detector, Picture, PictureFailed
from pipelines.wildlife.detect.geometry import crop_box
from pipelines.wildlife.detect.images import cut
from pipelines.wildlife.detect.records import Finding, Findings, Recorder
from pipelines.wildlife.detect.stage import CROP_PADDING
from pipelines.wildlife.layout import Kind
from pipelines.wildlife.models.pictures import PictureErrorLine, PictureLine
from pipelines.wildlife.storage.protocol import Missing, Storage, Unusable
from shared.s3.limits import ByteBudget

log: FilteringBoundLogger = structlog.get_logger()

PICTURE_BYTES_MAX = 256 * 1024 * 1024
_SECONDS_DECIMALS = 3


@dataclass(slots=True)
class _Body:
    """The bytes of a picture, fetched when they are first wanted."""

    storage: Storage
    line: PictureLine
    _body: bytes | None = None

    async def read(self) -> bytes:
        """Return them; PictureFailed."""
        if self._body is None:
            self._body = await self._fetch(self.line.file_size_bytes)
        return self._body

    async def _fetch(self, size: int) -> bytes:
        if not 0 <= size <= PICTURE_BYTES_MAX:
            raise PictureFailed("too_large", f"{size} bytes; at most {PICTURE_BYTES_MAX} are read")
        try:
            # One byte more than there should be: a file that grew is seen, and is not held.
            body = await self.storage.read(self.line.image_uri, length=size + 1)
        except (Missing, Unusable) as error:
            raise PictureFailed("unreadable", str(error)) from error
        if len(body) != size:
            raise PictureFailed(
                "changed", f"it has not {size} bytes any more; run Stage0Exif again"
            )
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Looker:
    """What is needed to look at pictures."""

    storage: Storage
    detector: Detector
    recorder: Recorder
    at_once: anyio.CapacityLimiter
    """Pictures."""
    held: ByteBudget
    """Bytes of pictures that are held at once."""
    decoders: anyio.CapacityLimiter

    async def revisions(self, lines: Sequence[PictureLine]) -> list[str]:
        """Return what the answers about these pictures depend on besides."""
        found = [""] * len(lines)

        async def ask(index: int, line: PictureLine) -> None:
            async with self.at_once:
                found[index] = await self.detector.revision(line)

        async with anyio.create_task_group() as tasks:
            for index, line in enumerate(lines):
                tasks.start_soon(ask, index, line)
        return found

    async def look(self, lines: Sequence[PictureLine], revisions: Sequence[str]) -> ChunkResult:
        """Look at every picture of a chunk; crops are stored when it returns."""
        began = time.monotonic()
        seen: list[Findings | PictureErrorLine] = [Findings()] * len(lines)

        async def one(index: int, line: PictureLine) -> None:
            size = min(max(line.file_size_bytes, 0), self.held.total)
            async with self.at_once, self.held.reserve(size):
                seen[index] = await self._look_at(line, revisions[index])

        async with anyio.create_task_group() as tasks:
            for index, line in enumerate(lines):
                tasks.start_soon(one, index, line)
        return _joined(seen, round(time.monotonic() - began, _SECONDS_DECIMALS))

    async def _look_at(self, line: PictureLine, revision: str) -> Findings | PictureErrorLine:
        body = _Body(self.storage, line)
        try:
            answer = await self.detector.detect(Picture(line, revision, body.read))
            findings = self.recorder.record(line, answer)
            await self._store_crops(line, body, findings.kept)
        except PictureFailed as error:
            log.warning(
                "picture_failed", uri=line.image_uri, error=error.error, detail=error.detail
            )
            return PictureErrorLine(
                image_uri=line.image_uri, error=error.error, detail=error.detail
            )
        return findings

    async def _store_crops(
        self, line: PictureLine, body: _Body, findings: Sequence[Finding]
    ) -> None:
        wanted = [
            (each.detection.crop_path, each.detection.bbox)
            for each in findings
            if each.detection.crop_path is not None
        ]
        if not wanted:
            return
        size = line.image_width, line.image_height
        picture = await body.read()
        boxes = [crop_box(box, size, CROP_PADDING) for _, box in wanted]
        crops = await to_thread.run_sync(lambda: cut(picture, line, boxes), limiter=self.decoders)
        for (uri, _), crop in zip(wanted, crops, strict=True):
            await self.storage.write(uri, crop, kind=Kind.CROP)


def _joined(seen: Sequence[Findings | PictureErrorLine], seconds: float) -> ChunkResult:
    result = ChunkResult(pictures=len(seen), seconds=seconds)
    for each in seen:
        if isinstance(each, PictureErrorLine):
            result.errors.append(each)
            continue
        result.detections.extend(found.detection for found in each.kept)
        result.predictions.extend(found.prediction for found in each.kept)
        result.drops.extend(each.drops)
    return result
