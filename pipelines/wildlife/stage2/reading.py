"""Reading what the detection left: two files side by side, joined by the detection's id.

Both are in the same order, as the detection writes them, so that next to nothing waits for its
other half; in any other order the result is the same and takes more memory.

Lines as the detection itself writes them are read by msgspec, and looked at many at a time. What is
not so is read by pydantic as every manifest is, which takes more forms and names what is wrong.
"""

import re
import sys
from array import array
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from functools import lru_cache
from itertools import compress, pairwise, repeat
from operator import attrgetter
from typing import Annotated, TypeAlias, TypeVar

import anyio.to_thread
import msgspec
from msgspec import Meta, Struct
from pydantic import AwareDatetime, Field
from typing_extensions import TypedDict  # below Python 3.12 pydantic takes no other

from pipelines.wildlife import layout
from pipelines.wildlife.document.places import Place
from pipelines.wildlife.labels import label_of
from pipelines.wildlife.models.moments import Latitude, Longitude, Share, write_moment
from pipelines.wildlife.stage2.compression import microseconds_of
from pipelines.wildlife.stage2.detected import Detections, Rows
from pipelines.wildlife.storage.lines import Block, BlockForm, read_blocks
from pipelines.wildlife.storage.protocol import Storage
from shared.errors import PermanentError

_DetectionId: TypeAlias = Annotated[str, Field(pattern=r"^det-[0-9a-f]{16}$")]
_EventId: TypeAlias = Annotated[str, Field(pattern=r"^evt-[0-9a-f]{16}$")]
_CameraId: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
_EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
_LATEST = datetime(9999, 12, 30, tzinfo=UTC)
"""Times between these stay what they are in every zone."""
_Moment: TypeAlias = Annotated[AwareDatetime, Field(ge=_EARLIEST, le=_LATEST)]

# The same rules, for what is looked at many at a time.
_DETECTION_IDS = re.compile(r"(?:det-[0-9a-f]{16},)*+")
_EVENT_IDS = re.compile(r"(?:evt-[0-9a-f]{16},)*+")
_PREFIX = len("det-")
_CAMERA_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{6})?Z")


class Unpaired(PermanentError):
    """The two files of the detection do not belong together."""


class _CarefulDetection(TypedDict):
    """What is needed of a `DetectionLine`; less to make is less time."""

    detection_id: _DetectionId
    event_id: _EventId
    source_path: str
    crop_path: str | None
    camera_id: _CameraId
    timestamp: _Moment
    latitude: Latitude | None
    longitude: Longitude | None
    doubtful: bool


class _CarefulPrediction(TypedDict):
    """What is needed of a `PredictionLine`."""

    detection_id: _DetectionId
    label: str
    confidence: Share


class _Detection(Struct, frozen=True, gc=False):
    """The same, as most lines have it."""

    detection_id: str
    event_id: str
    source_path: str
    crop_path: str | None
    camera_id: str
    timestamp: str
    """As `write_moment` has it."""
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None
    doubtful: bool


class _Prediction(Struct, frozen=True, gc=False):
    """The same, as most lines have it."""

    detection_id: str
    label: str
    confidence: Annotated[float, Meta(ge=0, le=1)]


# What waits for its other half is nothing that the garbage collector has to look through.


class _Found(Struct, frozen=True, gc=False):
    """What a line of a detection says, with digits and microseconds for text."""

    number: int
    picture: int
    source: str
    crop: str | None
    camera_id: str
    moment: int
    latitude: float | None
    longitude: float | None
    doubtful: bool


class _Named(Struct, frozen=True, gc=False):
    """What a line of a prediction says."""

    number: int
    species: str
    confidence: float


_Line = TypeVar("_Line", _Detection, _Prediction)
_Half = TypeVar("_Half", _Found, _Named)
_ID_OF = attrgetter("number")
_DETECTIONS = msgspec.json.Decoder(_Detection)
_PREDICTIONS = msgspec.json.Decoder(_Prediction)
_CAREFUL_DETECTIONS = BlockForm(_CarefulDetection)
_CAREFUL_PREDICTIONS = BlockForm(_CarefulPrediction)


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
        self._waiting: dict[int, _Found] = {}
        self._early: dict[int, _Named] = {}

    def take_detections(self, batch: Sequence[_Found]) -> None:
        """Join those whose predictions are there; the others wait. Unpaired for one said twice."""
        self.read += len(batch)
        others = _take(self._early, batch)
        self._join(list(compress(batch, others)), list(filter(None, others)))
        _keep(self._waiting, batch, others)

    def take_predictions(self, batch: Sequence[_Named]) -> None:
        """Join those whose detections are there; the others wait. Unpaired for one said twice."""
        self.predicted += len(batch)
        others = _take(self._waiting, batch)
        self._join(list(filter(None, others)), list(compress(batch, others)))
        _keep(self._early, batch, others)

    def finish(self) -> None:
        """Look whether everything has found its other half, once; Unpaired."""
        sides: Sequence[tuple[Collection[int], str]] = (
            (self._waiting, layout.PREDICTIONS),
            (self._early, layout.DETECTIONS),
        )
        for alone, other in sides:
            if alone:
                raise Unpaired(
                    f"{other!r} lacks {len(alone)} of the detections, the first of them "
                    f"{_name(min(alone))!r}; run the detection again"
                )
        ids = self.detections.ids
        if len(set(ids)) < len(ids):
            often = next(one for one, other in pairwise(sorted(ids)) if one == other)
            raise _twice(often)

    def _join(self, found: Sequence[_Found], named: Sequence[_Named]) -> None:
        least = self._min_confidence
        sure = [one.confidence >= least for one in named]
        likely = list(compress(found, sure))
        self.low_confidence += len(found) - len(likely)
        if not likely:
            return
        names = list(compress(named, sure))
        self.detections.extend(
            Rows(
                ids=[one.number for one in likely],
                pictures=[one.picture for one in likely],
                sources=[one.source for one in likely],
                kinds=zip(
                    [one.camera_id for one in likely], [one.species for one in names], strict=True
                ),
                moments=[one.moment for one in likely],
                confidences=[one.confidence for one in names],
                doubtful=[one.doubtful for one in likely],
                latitudes=[one.latitude for one in likely],
                longitudes=[one.longitude for one in likely],
                crops=[one.crop for one in likely],
            )
        )


def _take(waiting: dict[int, _Half], batch: Sequence[_Found | _Named]) -> Sequence[_Half | None]:
    """Take the other half of each out of those that wait; None where it does not."""
    if not waiting:
        return [None] * len(batch)
    return list(map(waiting.pop, map(_ID_OF, batch), repeat(None)))


def _keep(
    waiting: dict[int, _Half], batch: Sequence[_Half], others: Sequence[object | None]
) -> None:
    """Note those that found no other half by their ids; Unpaired for one that is noted already."""
    alone = [line for line, other in zip(batch, others, strict=True) if other is None]
    expected = len(waiting) + len(alone)
    waiting.update(zip(map(_ID_OF, alone), alone, strict=True))
    if len(waiting) < expected:
        often = Counter(map(_ID_OF, alone))
        raise _twice(often.most_common(1)[0][0])


def _digits(identities: Sequence[str], form: re.Pattern[str]) -> Sequence[int]:
    """Return the numbers in ids, the prefix of which is no number; ValueError for other text."""
    if not form.fullmatch(",".join(identities) + ","):
        raise ValueError(identities)
    prefix = identities[0][:_PREFIX]
    packed = array("Q", bytes.fromhex("".join(identities).replace(prefix, "")))
    if sys.byteorder == "little":
        packed.byteswap()
    return packed


@lru_cache(maxsize=1024)
def _species(label: str) -> str:
    return label_of(label).name


def _moment(text: str) -> int:
    """Return a time as rows have it; ValueError for one in any form but the usual."""
    if not _MOMENT.fullmatch(text):
        raise ValueError(text)
    moment = datetime.fromisoformat(text)
    if not _EARLIEST <= moment <= _LATEST:
        raise ValueError(text)
    return microseconds_of(moment)


def _lines(decoder: "msgspec.json.Decoder[_Line]", text: bytes) -> list[_Line]:
    """Return what lines say; ValueError where one is not as usual, or does not stand by itself."""
    # In what is left aside, only this looks for what is no text.
    str(text, "utf-8")
    try:
        lines = decoder.decode_lines(text)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    if len(lines) != text.count(b"\n") + 1:
        raise ValueError(len(lines))
    return lines


def _found(lines: Sequence[_Detection]) -> list[_Found]:
    """Return lines of detections as values; ValueError where one is not as usual."""
    ids = [line.detection_id for line in lines]
    events = [line.event_id for line in lines]
    cameras = [line.camera_id for line in lines]
    if not all(map(_CAMERA_ID.fullmatch, set(cameras))):
        raise ValueError(cameras)
    moments = [line.timestamp for line in lines]
    # A picture has many boxes and one time.
    microseconds = {text: _moment(text) for text in set(moments)}
    return list(
        map(
            _Found,
            _digits(ids, _DETECTION_IDS),
            _digits(events, _EVENT_IDS),
            [line.source_path for line in lines],
            [line.crop_path for line in lines],
            cameras,
            map(microseconds.__getitem__, moments),
            [line.latitude for line in lines],
            [line.longitude for line in lines],
            [line.doubtful for line in lines],
        )
    )


def _named(lines: Sequence[_Prediction]) -> list[_Named]:
    """Return lines of predictions as values; ValueError where one is not as usual."""
    ids = [line.detection_id for line in lines]
    return list(
        map(
            _Named,
            _digits(ids, _DETECTION_IDS),
            [_species(line.label) for line in lines],
            [line.confidence for line in lines],
        )
    )


def _parse_detections(block: Block) -> list[_Found]:
    try:
        return _found(_lines(_DETECTIONS, block.text.rstrip(b"\n")))
    except ValueError:
        careful = _CAREFUL_DETECTIONS.parse(block)
    return _found(
        [
            msgspec.convert({**line, "timestamp": write_moment(line["timestamp"])}, _Detection)
            for line in careful
        ]
    )


def _parse_predictions(block: Block) -> list[_Named]:
    try:
        return _named(_lines(_PREDICTIONS, block.text.rstrip(b"\n")))
    except ValueError:
        careful = _CAREFUL_PREDICTIONS.parse(block)
    return _named([msgspec.convert(line, _Prediction) for line in careful])


async def read_detections(storage: Storage, target: Place, min_confidence: float) -> Pairing:
    """Read and join both files of a run's output, in threads; Missing, BadLine, Unpaired."""
    pairing = Pairing(target.join(layout.CROPS), min_confidence)
    detections = read_blocks(storage, target.join(layout.DETECTIONS), _parse_detections)
    predictions = read_blocks(storage, target.join(layout.PREDICTIONS), _parse_predictions)
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


def _twice(number: int) -> Unpaired:
    return Unpaired(f"detection {_name(number)!r} is there twice; run the detection again")


def _name(number: int) -> str:
    return f"det-{number:016x}"
