"""Counting the rows of a run as they go by. Pure; memory grows with species and places alone."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from pipelines.wildlife.models.tables import ObservationRow
from pipelines.wildlife.models.weather import WeatherStatus


@dataclass(slots=True)
class SpeciesTally:
    """The observations of a species."""

    count: int = 0
    total_duration: float = 0.0
    max_confidence: float = 0.0
    confidence_sum: float = 0.0


@dataclass(slots=True)
class SiteTally:
    """The observations of a camera, or of a place."""

    name: str
    count: int = 0
    species: set[str] = field(default_factory=set)
    latitude_sum: float = 0.0
    longitude_sum: float = 0.0


class RowTally:
    """What is known of the rows that were added."""

    def __init__(self) -> None:
        self.total = 0
        self.video = 0
        self.needs_review = 0
        self.individuals = 0
        self.species: dict[str, SpeciesTally] = {}
        self.cameras: dict[str, SiteTally] = {}
        self.places: dict[str, SiteTally] = {}
        """By cluster."""
        self.unplaced: dict[str, SiteTally] = {}
        """By camera, those of no cluster."""
        self.weather: Counter[WeatherStatus] = Counter()
        self.span: tuple[datetime, datetime] | None = None

    def add(self, row: ObservationRow) -> None:
        """Count a row."""
        self.total += 1
        self.video += row.source_video is not None
        self.needs_review += row.needs_review
        self.individuals += row.individual_count
        self.weather[row.weather_status] += 1
        self._add_species(row)
        self._add_site(row)
        first, last = self.span or (row.start_time, row.end_time)
        self.span = min(first, row.start_time), max(last, row.end_time)

    def _add_species(self, row: ObservationRow) -> None:
        tally = self.species.setdefault(row.species, SpeciesTally())
        tally.count += 1
        tally.total_duration += row.duration_seconds
        tally.max_confidence = max(tally.max_confidence, row.max_confidence)
        tally.confidence_sum += row.avg_confidence

    def _add_site(self, row: ObservationRow) -> None:
        sites = [_site(self.cameras, row.camera_id, row.camera_id)]
        if row.cluster_id is None:
            sites.append(_site(self.unplaced, row.camera_id, row.camera_id))
        else:
            sites.append(_site(self.places, row.cluster_id, row.cluster_name or row.cluster_id))
        for site in sites:
            site.count += 1
            site.species.add(row.species)
            site.latitude_sum += row.latitude or 0.0
            site.longitude_sum += row.longitude or 0.0


def _site(sites: dict[str, SiteTally], name: str, shown: str) -> SiteTally:
    return sites.setdefault(name, SiteTally(shown))
