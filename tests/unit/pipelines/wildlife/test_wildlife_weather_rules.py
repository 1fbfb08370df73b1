"""What is asked, for which hour, and what columns come of an answer."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.wildlife.models.weather import WeatherStatus
from pipelines.wildlife.weather.derivations import cardinal, condition, line_with, line_without
from pipelines.wildlife.weather.elements import Element, read_value
from pipelines.wildlife.weather.hours import HOUR, batches, hour_of, hours_around
from pipelines.wildlife.weather.memory import recall, remember, remember_stations, still_good
from pipelines.wildlife.weather.places import Position, Station, distance_km, position_of, truncate
from pipelines.wildlife.weather.questions import Question, Sighting, Window, question_of
from pipelines.wildlife.weather.reports import Report, pick

NOON = datetime(2025, 6, 11, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("degrees", "cut"),
    [
        (59.94239, 59.9423),
        (-59.94239, -59.9423),
        (10.7200, 10.72),
        (0.00009, 0.0),
        (-0.00009, 0.0),
        (59.9423, 59.9423),
        (1e-7, 0.0),
    ],
)
def test_coordinates_are_cut_toward_zero(degrees: float, cut: float) -> None:
    """Rounding up would ask for another place, and a fifth decimal is refused."""
    assert truncate(degrees) == cut
    assert math.copysign(1, truncate(degrees)) == (1 if cut == 0 else math.copysign(1, cut))


@given(st.floats(-180, 180))
def test_a_cut_coordinate_has_4_decimals_and_stays_as_it_is(degrees: float) -> None:
    """What is in a URL is what is in the name of the cached answer."""
    cut = truncate(degrees)
    assert truncate(cut) == cut
    assert float(f"{cut:.4f}") == cut
    assert abs(cut) <= abs(degrees) < abs(cut) + 0.000101


def test_distance_is_that_of_the_great_circle() -> None:
    """A station is within reach or not; Oslo and Stockholm are 417 km apart."""
    oslo = position_of(59.9139, 10.7522)

    assert distance_km(oslo, 59.3293, 18.0686) == pytest.approx(416, abs=2)
    assert distance_km(oslo, 59.9139, 10.7522) == 0


@pytest.mark.parametrize(
    ("moment", "hour"),
    [
        (NOON, NOON),
        (NOON + 29 * MINUTE, NOON),
        (NOON + 30 * MINUTE, NOON),
        (NOON + 30 * MINUTE + timedelta(microseconds=1), NOON + HOUR),
        (NOON + 59 * MINUTE, NOON + HOUR),
    ],
)
def test_a_moment_belongs_to_the_nearest_hour(moment: datetime, hour: datetime) -> None:
    """The exact half belongs to the earlier one, or two runs could differ."""
    assert hour_of(moment) == hour


@given(st.integers(0, 3 * 24 * 60))
def test_a_report_counts_for_the_hours_within_90_minutes(minutes: int) -> None:
    """All of them, and the bound itself is within."""
    moment = NOON + minutes * MINUTE
    every = [NOON + number * HOUR for number in range(-3, 80)]

    assert hours_around(moment) == [each for each in every if abs(each - moment) <= 90 * MINUTE]


def test_of_each_element_the_nearest_value_counts() -> None:
    """A gap in one series says nothing about another; of two equally near, the earlier counts."""
    reports = [
        Report(NOON - HOUR, {Element.TEMPERATURE: 1.0, Element.WIND: 3.0}),
        Report(NOON + HOUR, {Element.TEMPERATURE: 2.0, Element.WIND: 4.0, Element.CLOUD: 50.0}),
        Report(NOON + 20 * MINUTE, {Element.WIND: 5.0}),
        Report(NOON - 91 * MINUTE, {Element.PRESSURE: 1000.0}),
    ]

    found = pick([NOON, NOON + 9 * HOUR], reports)

    expected = {Element.TEMPERATURE: 1.0, Element.WIND: 5.0, Element.CLOUD: 50.0}
    assert found == {NOON: Report(NOON + 20 * MINUTE, expected)}
    assert pick([NOON], reversed(reports)) == {NOON: found[NOON]}


def test_hours_that_lie_together_are_asked_for_together() -> None:
    """One request instead of many, and none for the weeks between."""
    hours = [NOON, NOON + 5 * HOUR, NOON + 29 * HOUR, NOON + 54 * HOUR, NOON]

    found = batches(hours, gap=24 * HOUR, longest=240 * HOUR)

    assert found == [[NOON, NOON + 5 * HOUR, NOON + 29 * HOUR], [NOON + 54 * HOUR]]
    assert len(batches(hours, gap=24 * HOUR, longest=28 * HOUR)) == 3


@pytest.mark.parametrize(
    ("degrees", "point"),
    [(0, "N"), (22.4, "N"), (22.5, "NE"), (90, "E"), (202.5, "SW"), (337.5, "N"), (360, "N")],
)
def test_wind_comes_from_one_of_eight_points(degrees: float, point: str) -> None:
    """People read SW, not 225 degrees."""
    assert cardinal(degrees) == point
    assert cardinal(None) is None


@pytest.mark.parametrize(
    ("precipitation", "cloud", "temperature", "word"),
    [
        (0.1, None, 0.0, "snow"),
        (0.1, 0.0, 0.1, "rain"),
        (0.1, None, None, "rain"),
        (0.0, 81.0, -5.0, "cloudy"),
        (None, 80.0, None, "partly_cloudy"),
        (0.0, 30.1, None, "partly_cloudy"),
        (0.0, 30.0, None, "clear"),
        (0.0, None, None, "clear"),
        (None, None, 20.0, None),
    ],
)
def test_the_weather_in_a_word(
    precipitation: float | None, cloud: float | None, temperature: float | None, word: str | None
) -> None:
    """Cloud is in percent, precipitation that of the hour; of nothing known nothing is said."""
    assert condition(precipitation, cloud, temperature) == word


@pytest.mark.parametrize(
    ("element", "raw", "value"),
    [
        (Element.TEMPERATURE, "-10.9", -10.9),
        (Element.TEMPERATURE, 0, 0.0),
        (Element.TEMPERATURE, "NaN", None),
        (Element.TEMPERATURE, "1e400", None),
        (Element.TEMPERATURE, True, None),
        (Element.TEMPERATURE, [1], None),
        (Element.TEMPERATURE, "9" * 5000, None),
        (Element.TEMPERATURE, 10**400, None),
        (Element.CLOUD, 113, None),
        (Element.CLOUD, 100, 100.0),
        (Element.PRECIPITATION, -0.1, None),
    ],
)
def test_what_cannot_have_been_measured_is_missing(
    element: Element, raw: object, value: float | None
) -> None:
    """Missing stays null and is never 0; 113 is how smhi says that fog hid the sky."""
    assert read_value(element, raw) == value


def test_columns_are_what_was_received_and_what_follows_from_it() -> None:
    """Values are not rounded; what nobody measured is null."""
    report = Report(NOON, {Element.TEMPERATURE: -0.123456, Element.WIND_DIRECTION: 225.0})

    line = line_with("obs-1", "frost", Station("SN18700", 3.217), report)

    assert (line.weather_temp_c, line.weather_precip_mm) == (-0.123456, None)
    assert (line.weather_wind_dir_deg, line.weather_wind_dir_card) == (225.0, "SW")
    assert (line.weather_station_id, line.weather_station_km) == ("SN18700", 3.217)
    assert (line.weather_source, line.weather_time) == ("frost", NOON)
    assert line.weather_status is WeatherStatus.OK
    assert line_without("obs-1", WeatherStatus.TOO_OLD).weather_time is None


def _sighting(
    start: datetime = NOON, species: str = "moose", latitude: float | None = 60.00019
) -> Sighting:
    return Sighting(
        observation_id="obs-1",
        species=species,
        start_time=start,
        latitude=latitude,
        longitude=0.0,
    )


@pytest.mark.parametrize(
    ("sighting", "becomes"),
    [
        (_sighting(species="human"), WeatherStatus.NOT_POSITIVE),
        (_sighting(species="vehicle"), WeatherStatus.NOT_POSITIVE),
        (_sighting(species="bicycle"), WeatherStatus.NOT_POSITIVE),
        (_sighting(species="motorcycle"), WeatherStatus.NOT_POSITIVE),
        (_sighting(species="other"), WeatherStatus.NOT_POSITIVE),
        (_sighting(latitude=None), WeatherStatus.NO_POSITION),
        (_sighting(NOON - timedelta(days=7)), Question(Position(60.0001, 0.0), NOON - 168 * HOUR)),
        (_sighting(NOON - timedelta(days=7, microseconds=1)), WeatherStatus.TOO_OLD),
        (_sighting(datetime(1999, 12, 31, tzinfo=UTC)), WeatherStatus.IMPLAUSIBLE_TIME),
        (_sighting(NOON + timedelta(days=1, hours=1)), WeatherStatus.IMPLAUSIBLE_TIME),
        (_sighting(datetime.max.replace(tzinfo=UTC)), WeatherStatus.IMPLAUSIBLE_TIME),
        (_sighting(NOON + timedelta(hours=12)), WeatherStatus.NO_DATA),
        (_sighting(NOON - HOUR), Question(Position(60.0001, 0.0), NOON - HOUR, fresh=True)),
        (_sighting(NOON - 61 * MINUTE), Question(Position(60.0001, 0.0), NOON - HOUR)),
        (_sighting(NOON, "unknown"), Question(Position(60.0001, 0.0), NOON, fresh=True)),
        (_sighting(NOON, "Wild Boar"), Question(Position(60.0001, 0.0), NOON, fresh=True)),
    ],
)
def test_weather_is_asked_for_positive_sightings_alone(
    sighting: Sighting, becomes: Question | WeatherStatus
) -> None:
    """A coordinate of 0 is a place; an animal of an unknown kind is an animal."""
    assert question_of(sighting, Window(NOON, NOON, 7)) == becomes


def test_what_stage_0_calls_implausible_is_so_for_the_weather() -> None:
    """Hours pass between the two; whether a time can be right must not change with them."""
    ahead = _sighting(NOON + timedelta(hours=25))

    assert question_of(ahead, Window(NOON, NOON + 8 * HOUR, 7)) is WeatherStatus.IMPLAUSIBLE_TIME


@pytest.mark.parametrize(
    ("hour", "report", "life"),
    [
        (NOON - timedelta(days=7, hours=1), Report(NOON, {Element.WIND: 1.0}), timedelta(days=365)),
        (NOON - timedelta(days=7), Report(NOON, {Element.WIND: 1.0}), timedelta(hours=6)),
        (NOON - timedelta(days=90), None, timedelta(hours=24)),
    ],
)
def test_old_answers_are_remembered_long_and_new_ones_shortly(
    hour: datetime, report: Report | None, life: timedelta
) -> None:
    """What is a week old is not corrected any more; a gap may be filled tomorrow."""
    kept = remember(hour, report, NOON)

    assert kept.expires_at == NOON + life
    assert recall(kept) == report
    assert still_good({hour: kept}, NOON + life - MINUTE) == {hour: kept}
    assert still_good({hour: kept}, NOON + life) == {}
    assert remember_stations([], NOON).expires_at == NOON + timedelta(hours=24)
