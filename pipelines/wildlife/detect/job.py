"""The job: pictures of a manifest in chunks, each stored when it is done, and joined at the end.

Killed anywhere, the next attempt finds the chunks that are stored and goes on behind them. The
final files are written when every chunk is there, the summary last.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import structlog
from pydantic import TypeAdapter, ValidationError
from structlog.typing import FilteringBoundLogger

from pipelines.wildlife.detect.chunks import CHUNK_FORM, PICTURE_FORM, ChunkResult, chunk_digest
from pipelines.wildlife.detect.joining import join_chunks
from pipelines.wildlife.detect.looking import Looker
from pipelines.wildlife.detect.records import in_stage
from pipelines.wildlife.document.places import Place, parse_place
from pipelines.wildlife.layout import CHUNKS, DETECTION_SUMMARY, Kind
from pipelines.wildlife.models.detections import DetectionSummary
from pipelines.wildlife.models.pictures import PictureLine
from pipelines.wildlife.storage.lines import BadLine, read_lines, read_records
from pipelines.wildlife.storage.protocol import Missing, Storage
from shared.errors import UsageError

log: FilteringBoundLogger = structlog.get_logger()

MANIFEST = "manifest.jsonl"
_SUMMARY_FORM = TypeAdapter(DetectionSummary)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One manifest, and where its results go."""

    storage: Storage
    manifest_uri: str
    looker: Looker
    chunk_pictures: int
    held_lines: int
    progress: Callable[[int, int], None]
    """Told what is done and how much there is, in pictures, after each chunk."""
    _names: list[str] = field(default_factory=list)
    """URIs of the chunks, in the order of the manifest."""

    @property
    def _target(self) -> Place:
        return self.looker.recorder.target

    async def run(self) -> DetectionSummary:
        """Do what is not done yet, and write the results; UsageError for a bad manifest."""
        total = await self._count()
        stored = await self._stored()
        done = 0
        async for lines in self._windows():
            for first in range(0, len(lines), self.chunk_pictures):
                chunk = lines[first : first + self.chunk_pictures]
                await self._do(chunk, stored)
                done += len(chunk)
                self.progress(done, total)
        return await self._finish()

    async def _count(self) -> int:
        total = 0
        try:
            async for _ in read_lines(self.storage, self.manifest_uri):
                total += 1
        except Missing as error:
            raise UsageError(f"INPUT_URI has no manifest: {error}; run Stage0Exif first") from error
        if not total:
            raise UsageError(f"manifest {self.manifest_uri!r} has no picture")
        return total

    async def _windows(self) -> AsyncIterator[Sequence[PictureLine]]:
        """Yield whole chunks of lines, as many as may be held at once."""
        most = max(self.held_lines // self.chunk_pictures, 1) * self.chunk_pictures
        lines: list[PictureLine] = []
        try:
            async for line in read_records(self.storage, self.manifest_uri, PICTURE_FORM):
                lines.append(line)
                if len(lines) == most:
                    yield lines
                    lines = []
        except BadLine as error:
            raise UsageError(f"{error}; run Stage0Exif again") from error
        if lines:
            yield lines

    async def _stored(self) -> frozenset[str]:
        """Return the URIs of the chunks that an earlier attempt has stored."""
        place = parse_place(in_stage(self._target, CHUNKS))
        try:
            return frozenset([entry.uri async for entry in self.storage.walk(place)])
        except Missing:
            return frozenset()

    async def _do(self, lines: Sequence[PictureLine], stored: frozenset[str]) -> None:
        revisions = await self.looker.revisions(lines)
        config_hash = self.looker.recorder.stage.config_hash
        digest = chunk_digest(lines, revisions, config_hash, str(self._target))
        uri = in_stage(self._target, f"{CHUNKS}{digest}.json")
        self._names.append(uri)
        if uri in stored and await self._is_whole(uri):
            log.info("chunk_skipped", uri=uri, pictures=len(lines))
            return
        result = await self.looker.look(lines, revisions)
        await self.storage.write(uri, CHUNK_FORM.dump_json(result), kind=Kind.CACHE)
        log.info(
            "chunk_done",
            uri=uri,
            pictures=len(lines),
            detections=len(result.detections),
            failed=len(result.errors),
            seconds=result.seconds,
        )

    async def _is_whole(self, uri: str) -> bool:
        """Tell whether a chunk can be read; one that cannot is made anew, and not at every try."""
        try:
            await read_chunk(self.storage, uri)
        except (Missing, ValidationError) as error:
            log.warning("chunk_unreadable", uri=uri, reason=type(error).__name__)
            return False
        return True

    async def _finish(self) -> DetectionSummary:
        stage = self.looker.recorder.stage
        counts = await join_chunks(self.storage, self._names, self._target)
        summary = DetectionSummary(
            detector=stage.detector,
            stage1_model=stage.model,
            config_hash=stage.config_hash,
            images=counts.pictures,
            images_failed=counts.failed,
            detections=counts.detections,
            dropped=dict(sorted(counts.dropped.items())),
            humans=counts.humans,
            seconds=round(counts.seconds, 3),
        )
        uri = in_stage(self._target, DETECTION_SUMMARY)
        await self.storage.write(uri, _SUMMARY_FORM.dump_json(summary), kind=Kind.MANIFEST)
        return summary


async def read_chunk(storage: Storage, uri: str) -> ChunkResult:
    """Return what is in a chunk; ValidationError if it is none."""
    return CHUNK_FORM.validate_json(await storage.read(uri))
