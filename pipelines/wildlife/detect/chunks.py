"""A chunk: some pictures whose results are stored together, and never computed twice.

Its name says what it was made of (pictures, configuration, where results go), so a job that meets
it need not ask whether it still holds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from pydantic import TypeAdapter

from pipelines.wildlife.models.detections import DetectionLine, DropLine, PredictionLine
from pipelines.wildlife.models.pictures import PictureErrorLine, PictureLine

_DIGITS = 32
PICTURE_FORM: TypeAdapter[PictureLine] = TypeAdapter(PictureLine)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkResult:
    """What was found in the pictures of a chunk, in their order."""

    pictures: int
    seconds: float
    detections: list[DetectionLine] = field(default_factory=list)
    predictions: list[PredictionLine] = field(default_factory=list)
    drops: list[DropLine] = field(default_factory=list)
    errors: list[PictureErrorLine] = field(default_factory=list)


CHUNK_FORM: TypeAdapter[ChunkResult] = TypeAdapter(ChunkResult)


def chunk_digest(
    lines: Sequence[PictureLine], revisions: Iterable[str], config_hash: str, target: str
) -> str:
    """Return the name of a chunk.

    The session is left out: who asks changes nothing. A revision is what the answer about a picture
    depends on besides the picture, such as the file beside it.
    """
    digest = sha256(f"{config_hash}\n{target}\n".encode())
    for line, revision in zip(lines, revisions, strict=True):
        digest.update(PICTURE_FORM.dump_json(replace(line, session_id="")))
        digest.update(f"\n{revision}\n".encode())
    return digest.hexdigest()[:_DIGITS]
