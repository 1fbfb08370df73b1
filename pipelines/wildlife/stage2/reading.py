"""Reading what the detection left: two files side by side, joined by the detection's id.

Both are in the same order, as the detection writes them, so that next to nothing waits for its
other half; in any other order the result is the same and takes more memory.
"""

import sys
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise, repeat
from operator import itemgetter
from typing import Annotated, TypeAlias, TypeVar

import anyio.to_thread
from pydantic import AwareDatetime, Field
from typing_extensions import TypedDict  # below Python 3.12 pydantic takes no other

from pipelines.wildlife import layout
from pipelines.wildlife.document.places import Place
from pipelines.wildlife.labels import label_of
from pipelines.wildlife.models.moments import Latitude, Longitude, Share
from pipelines.wildlife.stage2.compression import in_microseconds
from pipelines.wildlife.stage2.detected import Detections, Rows
from pipelines.wildlife.storage.lines import read_batches
from pipelines.wildlife.storage.protocol import Storage
from shared.errors import PermanentError

_ID_OF = itemgetter("detection_id")
_COLUMNS_OF = itemgetter(
    *("detection_id", "event_id", "source_path", "camera_id", "timestamp", "doubtful"),
    *("latitude", "longitude", "crop_path"),
)
_DetectionId: TypeAlias = Annotated[str, Field(pattern=r"^det-[0-9a-f]{16}$")]
_EventId: TypeAlias = Annotated[str, Field(pattern=r"^evt-[0-9a-f]{16}$")]
_CameraId: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
_Moment: TypeAlias = Annotated[
    AwareDatetime,
    # Times that stay what they are in every zone.
    Field(ge=datetime(1, 1, 2, tzinfo=UTC), le=datetime(9999, 12, 30, tzinfo=UTC)),
]


class Unpaired(PermanentError):
    """The two files of the detection do not belong together."""


class _Detection(TypedDict):
    """What is needed of a `DetectionLine`; less to make is less time, and so is a dictionary."""

    detection_id: _DetectionId
    event_id: _EventId
    source_path: str
    crop_path: str | None
    camera_id: _CameraId
    timestamp: _Moment
    latitude: Latitude | None
    longitude: Longitude | None
    doubtful: bool


class _Prediction(TypedDict):
    """What is needed of a `PredictionLine`."""

    detection_id: _DetectionId
    label: str
    confidence: Share


_Line = TypeVar("_Line", _Detection, _Prediction)


class Pairing:
    """Joins detections with their predictions, in whatever order they come."""

    def __init__(self, crops_below: str, min_confidence: float) -> None:
        self.detections = Detections(crops_below)
        self.read = 0
        """Detections that came in."""
        self.predicted = 0
        """Predictions that came in."""
        self.low_confidence = 0
        """Of those joined, how many were too doubtful to count."""
        self._min_confidence = min_confidence
        self._waiting: dict[str, _Detection] = {}
        self._early: dict[str, _Prediction] = {}

    def take_detections(self, batch: Sequence[_Detection]) -> None:
        """Join those whose predictions are there; the others wait. Unpaired for one said twice."""
        self.read += len(batch)
        found = list(map(self._early.pop, map(_ID_OF, batch), repeat(None)))
        self._join([(line, other) for line, other in zip(batch, found, strict=True) if other])
        _keep(self._waiting, [line for line, other in zip(batch, found, strict=True) if not other])

    def take_predictions(self, batch: Sequence[_Prediction]) -> None:
        """Join those whose detections are there; the others wait. Unpaired for one said twice."""
        self.predicted += len(batch)
        found = list(map(self._waiting.pop, map(_ID_OF, batch), repeat(None)))
        self._join([(other, line) for other, line in zip(found, batch, strict=True) if other])
        _keep(self._early, [line for other, line in zip(found, batch, strict=True) if not other])

    def finish(self) -> None:
        """Look whether everything has found its other half, once; Unpaired."""
        sides: Sequence[tuple[Collection[str], str]] = (
            (self._waiting, layout.PREDICTIONS),
            (self._early, layout.DETECTIONS),
        )
        for alone, other in sides:
            if alone:
                raise Unpaired(
                    f"{other!r} lacks {len(alone)} of the detections, the first of them "
                    f"{min(alone)!r}; run the detection again"
                )
        ids = self.detections.ids
        if len(set(ids)) < len(ids):
            often = next(one for one, other in pairwise(sorted(ids)) if one == other)
            raise _twice(f"det-{often:016x}")

    def _join(self, pairs: Sequence[tuple[_Detection, _Prediction]]) -> None:
        least = self._min_confidence
        likely = [pair for pair in pairs if pair[1]["confidence"] >= least]
        self.low_confidence += len(pairs) - len(likely)
        if not likely:
            return
        # All columns at once: a loop for each took as long as everything else.
        ids, events, sources, cameras, moments, doubtful, latitudes, longitudes, crops = zip(
            *(_COLUMNS_OF(line) for line, _ in likely), strict=True
        )
        labels = [prediction["label"] for _, prediction in likely]
        self.detections.extend(
            Rows(
                ids=_digits(ids, "det-"),
                pictures=_digits(events, "evt-"),
                sources=sources,
                kinds=list(zip(cameras, map(_species, labels), strict=True)),
                moments=in_microseconds(moments),
                confidences=[prediction["confidence"] for _, prediction in likely],
                doubtful=doubtful,
                latitudes=latitudes,
                longitudes=longitudes,
                crops=crops,
            )
        )


def _keep(waiting: dict[str, _Line], alone: Sequence[_Line]) -> None:
    """Note lines by their ids; Unpaired for one that is noted already."""
    expected = len(waiting) + len(alone)
    waiting.update(zip(map(_ID_OF, alone), alone, strict=True))
    if len(waiting) < expected:
        often = Counter(map(_ID_OF, alone))
        raise _twice(often.most_common(1)[0][0])


def _digits(identities: Iterable[str], prefix: str) -> Sequence[int]:
    """Return the numbers behind a prefix, which has no part of its own among the digits."""
    packed = array("Q", bytes.fromhex("".join(identities).replace(prefix, "")))
    if sys.byteorder == "little":
        packed.byteswap()
    return packed


@lru_cache(maxsize=1024)
def _species(label: str) -> str:
    return label_of(label).name


async def read_detections(storage: Storage, target: Place, min_confidence: float) -> Pairing:
    """Read and join both files of a run's output, in threads; Missing, BadLine, Unpaired."""
    pairing = Pairing(target.join(layout.CROPS), min_confidence)
    detections = read_batches(storage, target.join(layout.DETECTIONS), _Detection)
    predictions = read_batches(storage, target.join(layout.PREDICTIONS), _Prediction)
    async with aclosing(detections), aclosing(predictions):
        async for batch in detections:
            await anyio.to_thread.run_sync(pairing.take_detections, batch)
            # The other file's lines are shorter; it is asked when its part of the way is behind.
            while pairing.predicted < pairing.read:
                more = await anext(predictions, None)
                if more is None:
                    break
                await anyio.to_thread.run_sync(pairing.take_predictions, more)
        async for rest in predictions:
            await anyio.to_thread.run_sync(pairing.take_predictions, rest)
    await anyio.to_thread.run_sync(pairing.finish)
    return pairing


def _twice(identity: str) -> Unpaired:
    return Unpaired(f"detection {identity!r} is there twice; run the detection again")
