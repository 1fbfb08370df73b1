"""What was seen, in few words: as the rows of Stage2Post, and as what the detection leaves."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from pydantic import TypeAdapter

from pipelines.wildlife import layout
from pipelines.wildlife.costs.prices import BOOKS
from pipelines.wildlife.document.checks import check_document
from pipelines.wildlife.document.places import Place
from pipelines.wildlife.guard import Found, Queues, guard_budget
from pipelines.wildlife.models.detections import DetectionLine, PredictionLine
from pipelines.wildlife.stage2.detected import Detections, Rows
from pipelines.wildlife.storage.lines import write_records
from pipelines.wildlife.storage.protocol import Storage

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
CROPS = "s3://forest/out/stage1/crops/"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DETECTIONS = TypeAdapter(DetectionLine)
_PREDICTIONS = TypeAdapter(PredictionLine)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A box in a picture; one is another one if its picture or its box is."""

    at: float = 0.0
    """Seconds after noon."""
    picture: str = ""
    """By default, one for each time."""
    box: int = 0
    camera: str = "cam01"
    species: str = "moose"
    sure: float = 0.9
    where: tuple[float, float] | None = (59.0, 18.0)
    doubtful: bool = False
    crop: str | None = ""
    """By default, what the box is called."""

    @property
    def name(self) -> str:
        """The picture's name without its suffix."""
        return self.picture or f"{self.camera}_{self.at}"

    @property
    def moment(self) -> datetime:
        """When it was."""
        return NOON + timedelta(seconds=self.at)

    @property
    def event_digits(self) -> str:
        """What is behind `evt-`."""
        return sha256(self.name.encode()).hexdigest()[:16]

    @property
    def digits(self) -> str:
        """What is behind `det-`."""
        said = f"{self.name}|{self.box}|{self.species}|{self.camera}"
        return sha256(said.encode()).hexdigest()[:16]

    @property
    def crop_uri(self) -> str | None:
        """Where the crop lies."""
        return f"{CROPS}{self.camera}/{self.name}_{self.box}.jpg" if self.crop == "" else self.crop


def detected(seen: Sequence[Seen]) -> Detections:
    """Return rows of what was seen."""
    rows = Detections(CROPS)
    rows.extend(
        Rows(
            ids=[int(each.digits, 16) for each in seen],
            pictures=[int(each.event_digits, 16) for each in seen],
            sources=[_source(each) for each in seen],
            kinds=[(each.camera, each.species) for each in seen],
            moments=[(each.moment - _EPOCH) // timedelta(microseconds=1) for each in seen],
            confidences=[each.sure for each in seen],
            doubtful=[each.doubtful for each in seen],
            latitudes=[each.where[0] if each.where else None for each in seen],
            longitudes=[each.where[1] if each.where else None for each in seen],
            crops=[each.crop_uri for each in seen],
        )
    )
    return rows


def detection_of(seen: Seen) -> DetectionLine:
    """Return the line of `stage1/manifest.jsonl`."""
    return DetectionLine(
        detection_id=f"det-{seen.digits}",
        event_id=f"evt-{seen.event_digits}",
        source_path=_source(seen),
        crop_path=seen.crop_uri,
        camera_id=seen.camera,
        timestamp=seen.moment,
        bbox=(1.0, 2.0, 30.0, 40.0),
        det_score=seen.sure,
        raw_label=seen.species,
        stage1_model="sidecar:unknown",
        config_hash="0123456789abcdef",
        latitude=seen.where[0] if seen.where else None,
        longitude=seen.where[1] if seen.where else None,
        image_width=640,
        image_height=480,
        doubtful=seen.doubtful,
    )


def prediction_of(seen: Seen) -> PredictionLine:
    """Return the line of `stage1/predictions.jsonl`."""
    return PredictionLine(
        detection_id=f"det-{seen.digits}",
        crop_path=seen.crop_uri,
        label=seen.species,
        confidence=seen.sure,
        auto_ok=seen.sure >= 0.5,
        stage2_model="sidecar:unknown",
        stage1_model="sidecar:unknown",
        config_hash="0123456789abcdef",
    )


async def write_seen(
    storage: Storage, target: Place, detections: Iterable[Seen], predictions: Iterable[Seen]
) -> None:
    """Write what the detection leaves."""
    lines = map(detection_of, detections)
    await write_records(storage, target.join(layout.DETECTIONS), _DETECTIONS, lines)
    labels = map(prediction_of, predictions)
    await write_records(storage, target.join(layout.PREDICTIONS), _PREDICTIONS, labels)


def guarded_event(target: Place) -> Mapping[str, object]:
    """Return what the guard gives the states behind it."""
    document = {"input_uri": "s3://forest/raw/", "output_uri": str(target), "budget_dkk": 25}
    request = check_document(document, local=True)
    queues = Queues(spot="spot", either="either", on_demand="on-demand")
    return guard_budget(request, Found(1, Counter({"cam01": 1})), BOOKS, queues, NOON)


def _source(seen: Seen) -> str:
    return f"s3://forest/raw/{seen.camera}/{seen.name}.jpg"
