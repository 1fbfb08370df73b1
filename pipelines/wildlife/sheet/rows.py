"""The sheet's columns and cells. Pure.

What comes from outside is text there, and never a formula: a place may be called `=HYPERLINK(…)`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, tzinfo

from pipelines.wildlife.models.observations import ObservationLine, best_crop

COLUMNS = ("Dato", "Tid", "Sted", "Art", "Antal", "Kvalitet", "Billede")
ROWS_MAX = 1_048_575
"""What a sheet has below its head in every common program."""

_QUALITIES = ((0.7, "Høj"), (0.4, "Medium"))
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes programs reckon: four signs, and their wide forms."""
_TEXT_MAX = 32_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the sheet needs of a row of `clusters.parquet`, by the names of its columns."""

    observation_id: str
    camera_id: str
    species: str
    start_time: datetime
    max_confidence: float
    individual_count: int
    cluster_name: str | None
    source_video: str | None


@dataclass(frozen=True, slots=True)
class Cells:
    """A row of the sheet."""

    day: date
    time: time
    place: str
    species: str
    animals: int
    quality: str
    picture: str


def quality_of(confidence: float) -> str:
    """Return how sure it is, as people say it."""
    return next((word for least, word in _QUALITIES if confidence >= least), "Lav")


def pictures_of(lines: Iterable[ObservationLine]) -> Iterator[tuple[str, str]]:
    """Yield the id of each observation that has crops, and the URI of its best one."""
    for line in lines:
        best = best_crop(line.detection_timeline)
        if best is not None and best.crop_path:
            yield line.observation_id, best.crop_path


def to_cells(seen: Seen, pictures: Mapping[str, str], zone: tzinfo) -> Cells:
    """Return a sighting as its row; without a place the camera stands in."""
    local = seen.start_time.astimezone(zone)
    return Cells(
        day=local.date(),
        time=local.time().replace(microsecond=0),
        place=clean(seen.cluster_name or seen.camera_id),
        species=clean(seen.species),
        animals=seen.individual_count,
        quality=quality_of(seen.max_confidence),
        picture=clean(pictures.get(seen.observation_id) or seen.source_video or ""),
    )


def clean(text: str) -> str:
    """Return a text without characters that a sheet cannot hold."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return plain[:_TEXT_MAX]


def guarded(text: str) -> str:
    """Return a text that no program takes for a formula, however it was quoted."""
    return f"'{text}" if text.lstrip(" \N{NO-BREAK SPACE}").startswith(_FORMULA) else text
