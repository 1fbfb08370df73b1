"""The final files of the stage, joined from its chunks in the order of the manifest.

A few chunks are read at once, and their lines go to temporary files: memory does not grow with the
number of pictures.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import anyio
from anyio import to_thread
from pydantic import TypeAdapter

from pipelines.wildlife.detect.chunks import CHUNK_FORM, ChunkResult
from pipelines.wildlife.detect.records import count_humans, in_stage
from pipelines.wildlife.document.places import Place
from pipelines.wildlife.layout import (
    DETECTION_DROPS,
    DETECTION_ERRORS,
    DETECTIONS,
    PREDICTIONS,
    Kind,
)
from pipelines.wildlife.models.detections import DetectionLine, DropLine, PredictionLine
from pipelines.wildlife.models.pictures import PictureErrorLine
from pipelines.wildlife.storage.protocol import Storage

_AT_ONCE = 16
_DETECTION_FORM = TypeAdapter(DetectionLine)
_PREDICTION_FORM = TypeAdapter(PredictionLine)
_DROP_FORM = TypeAdapter(DropLine)
_ERROR_FORM = TypeAdapter(PictureErrorLine)
_FILES = (DETECTION_ERRORS, DETECTION_DROPS, PREDICTIONS, DETECTIONS)
"""In the order in which they are stored: the manifest, which others are found by, last."""


@dataclass(slots=True)
class Counts:
    """What all chunks together say."""

    pictures: int = 0
    failed: int = 0
    detections: int = 0
    humans: int = 0
    seconds: float = 0.0
    dropped: "Counter[str]" = field(default_factory=Counter)

    def add(self, chunk: ChunkResult) -> None:
        """Count one more."""
        self.pictures += chunk.pictures
        self.failed += len(chunk.errors)
        self.detections += len(chunk.detections)
        self.humans += count_humans(chunk.predictions)
        self.seconds += chunk.seconds
        self.dropped.update(drop.reason for drop in chunk.drops)


async def join_chunks(storage: Storage, uris: Sequence[str], target: Place) -> Counts:
    """Write the final files out of these chunks, each whole or not at all."""
    counts = Counts()
    with TemporaryDirectory(prefix="wildlife-detect-") as folder:
        with _opened(Path(folder)) as streams:
            for first in range(0, len(uris), _AT_ONCE):
                chunks = await _read(storage, uris[first : first + _AT_ONCE])
                for chunk in chunks:
                    counts.add(chunk)
                await to_thread.run_sync(_write, streams, chunks)
        for number, name in enumerate(_FILES):
            uri = in_stage(target, name)
            await storage.write_file(uri, Path(folder, str(number)), kind=Kind.MANIFEST)
    return counts


@contextmanager
def _opened(folder: Path) -> Iterator[Sequence[BinaryIO]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(Path(folder, str(number)).open("wb"))
            for number in range(len(_FILES))
        ]


async def _read(storage: Storage, uris: Sequence[str]) -> Sequence[ChunkResult]:
    bodies: list[bytes] = [b""] * len(uris)

    async def read(index: int, uri: str) -> None:
        bodies[index] = await storage.read(uri)

    async with anyio.create_task_group() as tasks:
        for index, uri in enumerate(uris):
            tasks.start_soon(read, index, uri)
    return await to_thread.run_sync(lambda: [CHUNK_FORM.validate_json(body) for body in bodies])


def _write(streams: Sequence[BinaryIO], chunks: Sequence[ChunkResult]) -> None:
    errors, drops, predictions, detections = streams
    for chunk in chunks:
        errors.writelines(_ERROR_FORM.dump_json(each) + b"\n" for each in chunk.errors)
        drops.writelines(_DROP_FORM.dump_json(each) + b"\n" for each in chunk.drops)
        predictions.writelines(
            _PREDICTION_FORM.dump_json(each) + b"\n" for each in chunk.predictions
        )
        detections.writelines(_DETECTION_FORM.dump_json(each) + b"\n" for each in chunk.detections)
