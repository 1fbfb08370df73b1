"""Counting what the page shows, one sighting at a time. Pure.

Rows are added in the order of the table: where a bound is met, what came first is counted by name.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from heapq import nsmallest

from pipelines.wildlife.models.observations import TimelineEntry, best_crop
from pipelines.wildlife.models.tables import ObservationRow
from pipelines.wildlife.models.weather import WeatherStatus
from pipelines.wildlife.report_page.figures import (
    DEGREES_A_BIN,
    HOURS,
    SAMPLES_MAX,
    CameraSightings,
    Figures,
    PlaceSightings,
    Sample,
    SpeciesSightings,
    Spread,
    WeatherSightings,
)
from pipelines.wildlife.report_page.sun import Light, light_at

_SPECIES_MAX = 60
_CAMERAS_MAX = 1000
_PLACES_MAX = 10_000
_DAYS_MAX = 20_000
_SAMPLES_A_SPECIES = 6
_FIRST_YEAR, _LAST_YEAR = 2000, 2200
_REST = "other"


class FigureCounter:
    """Counts rows one by one; `figures` says what came together."""

    def __init__(self, zone: tzinfo = UTC) -> None:
        self._zone = zone
        self._species: dict[str, _SpeciesCount] = {}
        self._cameras: dict[str, _SiteCount] = {}
        self._places: dict[str, _SiteCount] = {}
        self._days: dict[date, Counter[str]] = {}
        self._weather = _WeatherCount()
        self._position = _PositionSum()
        self._sightings = 0
        self._unplaced = 0
        self._untimed = 0
        self._left_out = 0

    def add(self, row: ObservationRow, timeline: Iterable[TimelineEntry] = ()) -> None:
        """Count a sighting; its timeline is where crops of it are found."""
        known = row.species in self._species or len(self._species) < _SPECIES_MAX
        species = row.species if known else _REST
        count = self._species.setdefault(species, _SpeciesCount(species))
        timed = _is_timed(row)
        self._sightings += 1
        self._untimed += not timed
        count.add(row)
        if timed:
            self._add_time(row, count)
        self._add_site(row, species)
        self._weather.add(row)
        best = _best_sample(row, species, timeline)
        if best is not None:
            count.offer(best)

    def figures(self) -> Figures:
        """Return what was counted so far."""
        ranked = sorted(self._species.values(), key=lambda each: (-each.sightings, each.species))
        species = tuple(each.figures() for each in ranked)
        timed = [each for each in ranked if each.times]
        return Figures(
            sightings=self._sightings,
            animals=sum(each.animals for each in species),
            needs_review=sum(each.needs_review for each in species),
            unplaced=self._unplaced,
            untimed=self._untimed,
            first_at=min((each.times[0] for each in timed), default=None),
            last_at=max((each.times[1] for each in timed), default=None),
            zone=self._zone,
            position=self._position.mean(),
            by_hour=tuple(sum(hour) for hour in zip(*(each.hours for each in ranked), strict=True))
            or (0,) * HOURS,
            by_day={day: dict(self._days[day]) for day in sorted(self._days)},
            species=species,
            cameras=tuple(self._cameras[name].as_camera(name) for name in sorted(self._cameras)),
            places=self._ranked_places(),
            places_left_out=self._left_out,
            weather=self._weather.figures(),
            samples=_in_turns([each.samples for each in ranked]),
        )

    def _add_time(self, row: ObservationRow, count: "_SpeciesCount") -> None:
        local = row.start_time.astimezone(self._zone)
        light = None
        if row.latitude is not None and row.longitude is not None:
            light = light_at(row.start_time, row.latitude, row.longitude)
        count.add_time(row, local.hour, light)
        day = local.date()
        if day in self._days or len(self._days) < _DAYS_MAX:
            self._days.setdefault(day, Counter())[count.species] += 1

    def _add_site(self, row: ObservationRow, species: str) -> None:
        if row.camera_id in self._cameras or len(self._cameras) < _CAMERAS_MAX:
            self._cameras.setdefault(row.camera_id, _SiteCount()).add(row, species)
        self._position.add(row)
        if row.latitude is None or row.longitude is None or row.cluster_id is None:
            self._unplaced += 1
            return
        if row.cluster_id in self._places or len(self._places) < _PLACES_MAX:
            self._places.setdefault(row.cluster_id, _SiteCount()).add(row, species)
        else:
            self._left_out += 1

    def _ranked_places(self) -> tuple[PlaceSightings, ...]:
        places = [each.as_place(name) for name, each in self._places.items()]
        return tuple(sorted(places, key=lambda each: (-each.sightings, each.cluster_id)))


def count_rows(rows: Iterable[ObservationRow], zone: tzinfo = UTC) -> Figures:
    """Return the figures of rows that have no crops at hand."""
    counter = FigureCounter(zone)
    for row in rows:
        counter.add(row)
    return counter.figures()


@dataclass(slots=True)
class _Sum:
    least: float = 0.0
    greatest: float = 0.0
    total: float = 0.0
    count: int = 0

    def add(self, value: float | None) -> None:
        if value is None:
            return
        self.least = min(self.least, value) if self.count else value
        self.greatest = max(self.greatest, value) if self.count else value
        self.total += value
        self.count += 1

    def spread(self) -> Spread | None:
        if not self.count:
            return None
        return Spread(self.least, self.total / self.count, self.greatest, self.count)


@dataclass(slots=True)
class _PositionSum:
    latitude: _Sum = field(default_factory=_Sum)
    longitude: _Sum = field(default_factory=_Sum)

    def add(self, row: ObservationRow) -> None:
        if row.latitude is not None and row.longitude is not None:
            self.latitude.add(row.latitude)
            self.longitude.add(row.longitude)

    def mean(self) -> tuple[float, float] | None:
        latitude, longitude = self.latitude.spread(), self.longitude.spread()
        return (latitude.mean, longitude.mean) if latitude and longitude else None


@dataclass(slots=True)
class _SpeciesCount:
    species: str
    sightings: int = 0
    animals: int = 0
    pictures: int = 0
    needs_review: int = 0
    confidence: _Sum = field(default_factory=_Sum)
    best: float = 0.0
    span: list[datetime] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    """First and last of those that can be right."""
    hours: list[int] = field(default_factory=lambda: [0] * HOURS)
    lights: Counter[Light] = field(default_factory=Counter)
    cameras: set[str] = field(default_factory=set)
    temperature: _Sum = field(default_factory=_Sum)
    samples: list[Sample] = field(default_factory=list)

    def add(self, row: ObservationRow) -> None:
        self.sightings += 1
        self.animals += row.individual_count
        self.pictures += row.frame_count
        self.needs_review += row.needs_review
        self.confidence.add(row.avg_confidence)
        self.best = max(self.best, row.max_confidence)
        self.span = _widened(self.span, row)
        self.temperature.add(row.weather_temp_c)
        if len(self.cameras) < _CAMERAS_MAX:
            self.cameras.add(row.camera_id)

    def add_time(self, row: ObservationRow, hour: int, light: Light | None) -> None:
        self.times = _widened(self.times, row)
        self.hours[hour] += 1
        if light is not None:
            self.lights[light] += 1

    def offer(self, sample: Sample) -> None:
        self.samples.append(sample)
        if len(self.samples) > 2 * _SAMPLES_A_SPECIES:
            self.samples = nsmallest(_SAMPLES_A_SPECIES, self.samples, key=_best_first)

    def figures(self) -> SpeciesSightings:
        confidence = self.confidence.spread()
        first, last = self.times or self.span
        return SpeciesSightings(
            species=self.species,
            sightings=self.sightings,
            animals=self.animals,
            pictures=self.pictures,
            needs_review=self.needs_review,
            best_confidence=self.best,
            mean_confidence=confidence.mean if confidence else 0.0,
            first_at=first,
            last_at=last,
            by_hour=tuple(self.hours),
            by_light={light: self.lights[light] for light in Light},
            cameras=tuple(sorted(self.cameras)),
            temperature=self.temperature.spread(),
        )


@dataclass(slots=True)
class _SiteCount:
    name: str = ""
    sightings: int = 0
    animals: int = 0
    species: Counter[str] = field(default_factory=Counter)
    position: _PositionSum = field(default_factory=_PositionSum)

    def add(self, row: ObservationRow, species: str) -> None:
        self.name = self.name or row.cluster_name or ""
        self.sightings += 1
        self.animals += row.individual_count
        self.species[species] += 1
        self.position.add(row)

    def as_camera(self, camera_id: str) -> CameraSightings:
        return CameraSightings(
            camera_id=camera_id,
            sightings=self.sightings,
            species=_ranked(self.species),
            position=self.position.mean(),
        )

    def as_place(self, cluster_id: str) -> PlaceSightings:
        latitude, longitude = self.position.mean() or (0.0, 0.0)
        return PlaceSightings(
            cluster_id=cluster_id,
            name=self.name or cluster_id,
            latitude=latitude,
            longitude=longitude,
            sightings=self.sightings,
            animals=self.animals,
            species=_ranked(self.species),
        )


@dataclass(slots=True)
class _WeatherCount:
    temperature: _Sum = field(default_factory=_Sum)
    humidity: _Sum = field(default_factory=_Sum)
    wind: _Sum = field(default_factory=_Sum)
    pressure: _Sum = field(default_factory=_Sum)
    rainy: int = 0
    dry: int = 0
    temperatures: Counter[int] = field(default_factory=Counter)
    conditions: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)

    def add(self, row: ObservationRow) -> None:
        self.statuses[row.weather_status] += 1
        self.temperature.add(row.weather_temp_c)
        self.humidity.add(row.weather_humidity_pc)
        self.wind.add(row.weather_wind_ms)
        self.pressure.add(row.weather_pressure_hpa)
        if row.weather_precip_mm is not None:
            self.rainy += row.weather_precip_mm > 0
            self.dry += row.weather_precip_mm <= 0
        if row.weather_temp_c is not None:
            self.temperatures[int(row.weather_temp_c // DEGREES_A_BIN) * DEGREES_A_BIN] += 1
        if row.weather_condition_code:
            self.conditions[row.weather_condition_code] += 1
        if row.weather_wind_dir_card:
            self.points[row.weather_wind_dir_card] += 1

    def figures(self) -> WeatherSightings:
        return WeatherSightings(
            temperature=self.temperature.spread(),
            humidity=self.humidity.spread(),
            wind=self.wind.spread(),
            pressure=self.pressure.spread(),
            rainy=self.rainy,
            dry=self.dry,
            temperatures=dict(sorted(self.temperatures.items())),
            conditions=_ranked(self.conditions),
            wind_points=_ranked(self.points),
            statuses=_ranked(self.statuses),
        )


def _is_timed(row: ObservationRow) -> bool:
    """Tell whether a time can be right; where no weather was asked for, nobody has judged it."""
    known = row.weather_status != WeatherStatus.IMPLAUSIBLE_TIME
    return known and _FIRST_YEAR <= row.start_time.year < _LAST_YEAR


def _widened(span: Sequence[datetime], row: ObservationRow) -> list[datetime]:
    if not span:
        return [row.start_time, row.end_time]
    return [min(span[0], row.start_time), max(span[1], row.end_time)]


def _ranked(counter: Counter[str]) -> dict[str, int]:
    return dict(sorted(counter.items(), key=lambda each: (-each[1], each[0])))


def _best_sample(
    row: ObservationRow, species: str, timeline: Iterable[TimelineEntry]
) -> Sample | None:
    """Return the best crop of a sighting: one is enough, for others are much the same."""
    best = best_crop(timeline)
    if best is None or best.crop_path is None:
        return None
    return Sample(
        crop_uri=best.crop_path,
        species=species,
        camera_id=row.camera_id,
        place=row.cluster_name,
        taken_at=best.timestamp,
        confidence=best.confidence,
    )


def _best_first(sample: Sample) -> tuple[float, datetime, str]:
    return (-sample.confidence, sample.taken_at, sample.crop_uri)


def _in_turns(samples: Sequence[Sequence[Sample]]) -> tuple[Sample, ...]:
    """Return the best of each species, then the second of each, until there are enough."""
    best = [nsmallest(_SAMPLES_A_SPECIES, each, key=_best_first) for each in samples]
    turns = (each[turn] for turn in range(_SAMPLES_A_SPECIES) for each in best if turn < len(each))
    return tuple(sample for sample, _ in zip(turns, range(SAMPLES_MAX), strict=False))
