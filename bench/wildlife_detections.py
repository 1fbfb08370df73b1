"""`python -m bench.wildlife_detections FOLDER COUNT`: a made-up season, as the detection leaves it.

Ten cameras on a hillside, each with bursts of pictures of some boxes. Half of the cameras have a
position that is set; the others say what a cheap receiver says, which is some metres off each time.
"""

import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice
from pathlib import Path

_CAMERAS = 10
_SPECIES = ("roe_deer", "boar", "moose", "fox", "badger", "hare", "bird", "human")
_BEGIN = datetime(2026, 4, 1, tzinfo=UTC)
_SEASON_SECONDS = 180 * 86_400
_PICTURES_MAX, _BOXES_MAX, _APART_SECONDS_MAX = 8, 4, 60
_HILL = 59.6, 14.2
_CAMERA_DEGREES = 0.004
_JITTER_DEGREES = 0.000_03
"""About three metres to the north."""


@dataclass(frozen=True, slots=True)
class _Picture:
    event_id: str
    camera_id: str
    species: str
    moment: datetime
    position: tuple[float, float]


def write_season(folder: Path, count: int) -> None:
    """Write both files of so many detections, the same ones each time."""
    stage = folder / "out" / "stage1"
    stage.mkdir(parents=True)
    crops = f"file://{stage}/crops"
    manifest, predictions = stage / "manifest.jsonl", stage / "predictions.jsonl"
    with manifest.open("w") as lines, predictions.open("w") as labels:
        for line, label in islice(_lines(crops), count):
            lines.write(json.dumps(line, separators=(",", ":")) + "\n")
            labels.write(json.dumps(label, separators=(",", ":")) + "\n")


def _lines(crops: str) -> Iterator[tuple[dict[str, object], dict[str, object]]]:
    chance = random.Random(1)  # noqa: S311 - a season is to be the same each time
    for picture in _pictures(chance):
        for box in range(chance.randint(1, _BOXES_MAX)):
            yield _pair(picture, box, crops, round(chance.uniform(0.4, 1.0), 3))


def _pictures(chance: random.Random) -> Iterator[_Picture]:
    number = 0
    while True:
        camera, species = chance.randrange(_CAMERAS), chance.choice(_SPECIES)
        moment = _BEGIN + timedelta(seconds=chance.randrange(_SEASON_SECONDS))
        for _ in range(chance.randint(1, _PICTURES_MAX)):
            number += 1
            event_id = f"evt-{sha256(str(number).encode()).hexdigest()[:16]}"
            yield _Picture(event_id, f"cam{camera:02d}", species, moment, _position(camera, chance))
            moment += timedelta(seconds=chance.randint(1, _APART_SECONDS_MAX))


def _position(camera: int, chance: random.Random) -> tuple[float, float]:
    latitude, longitude = _HILL[0] + camera * _CAMERA_DEGREES, _HILL[1]
    if camera % 2:
        latitude += chance.gauss(0, _JITTER_DEGREES)
        longitude += chance.gauss(0, 2 * _JITTER_DEGREES)
    return round(latitude, 7), round(longitude, 7)


def _pair(
    picture: _Picture, box: int, crops: str, score: float
) -> tuple[dict[str, object], dict[str, object]]:
    event_id, camera_id = picture.event_id, picture.camera_id
    said = {
        "detection_id": f"det-{sha256(f'{event_id}|{box}'.encode()).hexdigest()[:16]}",
        "crop_path": f"{crops}/{camera_id}/{event_id}_{box}.jpg",
        "stage1_model": "yolo:0123456789abcdef",
        "config_hash": "0123456789abcdef",
    }
    line = {
        **said,
        "event_id": event_id,
        "source_path": f"s3://forest-pictures/raw/{camera_id}/100MEDIA/{event_id[4:12]}.JPG",
        "camera_id": camera_id,
        "timestamp": picture.moment.isoformat().replace("+00:00", "Z"),
        "bbox": [100.0 + box, 200.0, 400.5 + box, 420.25],
        "det_score": score,
        "raw_label": picture.species,
        "latitude": picture.position[0],
        "longitude": picture.position[1],
        "image_width": 1920,
        "image_height": 1080,
        "doubtful": False,
        "doubt_reasons": [],
    }
    label = {
        **said,
        "label": picture.species,
        "confidence": score,
        "auto_ok": score >= 0.5,  # noqa: PLR2004 - as the contract has it
        "stage2_model": "yolo:0123456789abcdef",
    }
    return line, label


if __name__ == "__main__":
    write_season(Path(sys.argv[1]), int(sys.argv[2]))
