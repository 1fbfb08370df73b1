"""What the wildlife chapter left behind: the table, the manifests, the report."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipelines.wildlife.layout import (
    CLUSTERS_TABLE,
    CROPS,
    DETECTIONS,
    OBSERVATIONS,
    PICTURE_ERRORS,
    PICTURES,
    PLACES,
    PREDICTIONS,
    REPORT,
    REPORT_PAGE,
    WEATHER,
)
from scripts.demo.ended import Ended
from scripts.demo.wildlife_card import Cards
from scripts.demo.wildlife_forest import Forest

_KEPT = (
    *(CLUSTERS_TABLE, PICTURES, PICTURE_ERRORS, DETECTIONS, PREDICTIONS),
    *(OBSERVATIONS, PLACES, WEATHER),
)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A row of the table, as far as it is compared."""

    camera: str
    kind: str
    begin: datetime
    end: datetime
    pictures: int
    latitude: float | None
    temperature: float | None


@dataclass(frozen=True, slots=True)
class Ending:
    """What was seen of the commands."""

    forest: Forest
    cards: Cards
    validated: Ended
    ran: Ended
    again: Ended
    refused: Ended
    unchanged: bool
    """Whether the second run left the table and the manifests as they were, byte for byte."""
    refused_left: Sequence[str]
    """What lies where the refused run was to write."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is on the disk."""

    sightings: Sequence[Sighting]
    unreadable: Sequence[str]
    pictures: int
    crops: int
    report: Mapping[str, Any]
    page: str


def find(results: Path) -> Found:
    """Read what a run has left; FileNotFoundError where it has not."""
    rows = pq.read_table(results / CLUSTERS_TABLE).to_pylist()
    return Found(
        sightings=[
            Sighting(
                row["camera_id"],
                row["species"],
                row["start_time"],
                row["end_time"],
                row["frame_count"],
                row["latitude"],
                row["weather_temp_c"],
            )
            for row in rows
        ],
        unreadable=[line["image_uri"] for line in _lines(results / PICTURE_ERRORS)],
        pictures=len(_lines(results / PICTURES)),
        crops=sum(1 for _ in (results / CROPS).rglob("*.jpg")),
        report=json.loads((results / REPORT).read_text(encoding="utf-8")),
        page=(results / REPORT_PAGE).read_text(encoding="utf-8"),
    )


def digest_of(results: Path) -> Mapping[str, bytes]:
    """Return what a second run must not change, by name."""
    found = ((name, results / name) for name in _KEPT)
    return {name: path.read_bytes() for name, path in found if path.exists()}


def _lines(path: Path) -> Sequence[Mapping[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
