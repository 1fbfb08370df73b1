"""What the report counts: hours, light, places, weather and samples, whatever comes by."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pipelines.wildlife.models.observations import TimelineEntry
from pipelines.wildlife.models.weather import WeatherStatus
from pipelines.wildlife.report_page.counting import FigureCounter, count_rows
from pipelines.wildlife.report_page.figures import SAMPLES_MAX
from pipelines.wildlife.report_page.sun import Light, elevation, light_at
from tests.support.wildlife_sightings import START, make_row, make_sightings

_STOCKHOLM = ZoneInfo("Europe/Stockholm")


@pytest.mark.parametrize(
    ("moment", "where", "degrees"),
    [
        # Published tables of the sun for these places, without the air's lift.
        (datetime(2026, 6, 21, 10, 50, tzinfo=UTC), (59.33, 18.07), 54.1),
        (datetime(2026, 12, 21, 10, 46, tzinfo=UTC), (59.33, 18.07), 7.2),
        (datetime(2026, 3, 20, 12, 7, tzinfo=UTC), (0.0, 0.0), 89.9),
        (datetime(2026, 6, 20, 22, 45, tzinfo=UTC), (69.65, 18.96), 3.1),
    ],
)
def test_the_sun_stands_where_it_does(
    moment: datetime, where: tuple[float, float], degrees: float
) -> None:
    """Day and night of a species are only as good as this."""
    assert elevation(moment, *where) == pytest.approx(degrees, abs=0.4)


def test_light_changes_from_night_by_twilight_to_day() -> None:
    """Sunrise in Stockholm on 1 October 2026 is at 04:57 UTC, dawn at about 04:20."""
    day = datetime(2026, 10, 1, tzinfo=UTC)
    minutes = (3 * 60 + 30, 4 * 60 + 35, 5 * 60 + 20)

    lights = [light_at(day + timedelta(minutes=each), 59.33, 18.07) for each in minutes]

    assert lights == [Light.NIGHT, Light.TWILIGHT, Light.DAY]


def test_hours_and_days_are_local() -> None:
    """An animal keeps to its own sun, and not to UTC: half past ten at night is tomorrow there."""
    row = make_row(start_time=datetime(2026, 7, 3, 22, 30, tzinfo=UTC))

    figures = count_rows([row], _STOCKHOLM)

    assert figures.by_hour.index(1) == 0
    assert [day.isoformat() for day in figures.by_day] == ["2026-07-04"]


@pytest.mark.parametrize(
    "changed",
    [
        {"weather_status": WeatherStatus.IMPLAUSIBLE_TIME},
        {"start_time": datetime(1, 1, 1, tzinfo=UTC), "weather_status": WeatherStatus.NOT_RUN},
        {"start_time": datetime(9999, 12, 31, 23, 59, tzinfo=UTC)},
    ],
)
def test_a_time_that_cannot_be_right_is_in_no_hour(changed: dict[str, Any]) -> None:
    """The sighting counts; its hour would be made up."""
    figures = count_rows([make_row(**changed)], _STOCKHOLM)

    assert (figures.sightings, figures.untimed) == (1, 1)
    assert (sum(figures.by_hour), figures.by_day, figures.first_at) == (0, {}, None)


def test_a_position_of_zero_is_a_position() -> None:
    """The equator is no missing value."""
    row = make_row(latitude=0.0, longitude=0.0, cluster_id="clu-1", cluster_name="Null")

    figures = count_rows([row])

    assert [(place.latitude, place.sightings) for place in figures.places] == [(0.0, 1)]
    assert figures.unplaced == 0


def test_figures_of_a_fortnight_add_up() -> None:
    """Sums over hours, days, species, cameras and statuses are all the same sightings."""
    rows = [row for row, _ in make_sightings()]

    figures = count_rows(rows, _STOCKHOLM)

    assert figures.sightings == len(rows) == sum(figures.by_hour)
    assert len(rows) == sum(sum(bar.values()) for bar in figures.by_day.values())
    assert len(rows) == sum(each.sightings for each in figures.species)
    assert len(rows) == sum(each.sightings for each in figures.cameras)
    assert len(rows) == sum(figures.weather.statuses.values())
    assert len(rows) - figures.unplaced == sum(each.sightings for each in figures.places)
    counts = [each.sightings for each in figures.species]
    assert counts == sorted(counts, reverse=True)
    assert sum(figures.species[0].by_light.values()) <= figures.species[0].sightings


def test_missing_weather_is_no_zero() -> None:
    """The mean of what was measured, and nothing else."""
    rows = [make_row(1, weather_temp_c=-7.5), make_row(2), make_row(3, weather_temp_c=0.0)]

    weather = count_rows(rows).weather

    assert weather.temperature is not None
    assert (weather.temperature.mean, weather.temperature.count) == (-3.75, 2)
    assert weather.temperatures == {-10: 1, 0: 1}
    assert (weather.wind, weather.rainy, weather.dry) == (None, 0, 0)


def test_samples_have_every_species_before_a_second_of_one() -> None:
    """A rare animal is shown, however many deer are more certain."""
    counter = FigureCounter()
    for number in range(40):
        counter.add(make_row(number), _timeline(f"deer{number}", 0.95))
    counter.add(make_row(40, species="lynx"), _timeline("lynx", 0.51))

    samples = counter.figures().samples

    assert [each.species for each in samples[:3]] == ["roe_deer", "lynx", "roe_deer"]
    assert len(samples) <= SAMPLES_MAX


def test_of_a_sighting_the_best_crop_is_taken() -> None:
    """Ten pictures of one animal are much the same; a member without a crop is none."""
    counter = FigureCounter()
    timeline = [*_timeline("dim", 0.6), *_timeline("best", 0.9), *_timeline(None, 0.99)]

    counter.add(make_row(), timeline)

    assert [each.crop_uri for each in counter.figures().samples] == ["best"]


def test_names_without_end_are_counted_together() -> None:
    """Memory is bounded, whatever a model calls its classes."""
    figures = count_rows(make_row(n, species=f"kind{n}") for n in range(200))

    assert figures.sightings == 200
    assert len(figures.species) < 70
    assert figures.species[0].species == "other"


def test_no_rows_are_figures_too() -> None:
    """A run that saw nothing has a report."""
    figures = count_rows([])

    assert (figures.sightings, figures.species, figures.position) == (0, (), None)
    assert figures.by_hour == (0,) * 24


def _timeline(crop: str | None, confidence: float) -> list[TimelineEntry]:
    entry = TimelineEntry(timestamp=START, confidence=confidence, frame_number=None, crop_path=crop)
    return [entry]
