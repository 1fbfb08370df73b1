"""Questions and answers of each provider, in the shapes that were recorded."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from pipelines.wildlife.weather.elements import Element
from pipelines.wildlife.weather.forecast_answers import forecast_query, parse_forecast
from pipelines.wildlife.weather.frost_answers import (
    observations_query,
    parse_observations,
    parse_sources,
    sources_query,
)
from pipelines.wildlife.weather.places import position_of
from pipelines.wildlife.weather.reports import Report
from pipelines.wildlife.weather.smhi_answers import (
    Period,
    batches_of,
    find_stations,
    parse_stations,
    parse_values,
    period_of,
    row_parser,
    stations_path,
    values_path,
)
from tests.support.wildlife_weather import frost_observation

HERE = position_of(59.942391, -10.720099)
NOON = datetime(2025, 6, 11, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def _packed(body: object) -> bytes:
    return json.dumps(body).encode()


def _fields(path: str) -> dict[str, list[str]]:
    assert " " not in path
    assert "+" not in path
    return parse_qs(urlsplit(path).query)


def test_frost_is_asked_for_stations_near_a_point_in_that_time() -> None:
    """Longitude comes first, 4 decimals; several elements would mean stations with all of them."""
    path = sources_query(HERE, [NOON + 30 * HOUR, NOON])

    assert path.startswith("/sources/v0.jsonld?")
    assert _fields(path) == {
        "types": ["SensorSystem"],
        "elements": ["air_temperature"],
        "geometry": ["nearest(POINT(-10.7200 59.9423))"],
        "nearestmaxcount": ["10"],
        "validtime": ["2025-06-11/2025-06-12"],
    }
    assert _fields(sources_query(HERE, [NOON]))["validtime"] == ["2025-06-11"]


def test_frost_is_asked_for_the_hours_and_one_on_each_side() -> None:
    """The end of a span is not in it, and an hour's own report may be missing."""
    fields = _fields(observations_query("SN18700", [NOON, NOON + 3 * HOUR]))

    assert fields["sources"] == ["SN18700"]
    assert fields["referencetime"] == ["2025-06-11T11:00:00Z/2025-06-11T16:01:00Z"]
    assert fields["timeresolutions"] == ["PT1H"]
    assert "sum(precipitation_amount PT1H)" in fields["elements"][0].split(",")


def test_frost_stations_come_nearest_first_and_within_reach() -> None:
    """What is no station's name never gets into a URL; a missing distance is computed."""
    body = _packed(
        {
            "data": [
                {"id": "SN3", "distance": 50.1},
                {"id": "SN2", "distance": 50},
                {"id": "SN1", "geometry": {"coordinates": [-10.72, 59.95]}},
                {"id": "SN1&sources=SN9", "distance": 1},
                {"id": "SN4", "geometry": {"coordinates": ["x"]}},
                {"id": "SN5"},
            ]
        }
    )

    found = parse_sources(body, HERE, 50.0)

    assert [(each.id, each.km) for each in found] == [("SN1", 0.856), ("SN2", 50.0)]


def _frost(*observations: object, sensor: str = "SN1:0") -> bytes:
    entry = {
        "sourceId": sensor,
        "referenceTime": "2025-06-11T12:00:00.000Z",
        "observations": observations,
    }
    return _packed({"data": [entry]})


@pytest.mark.parametrize(
    ("observation", "values"),
    [
        (frost_observation("air_temperature", 0, "degC"), {Element.TEMPERATURE: 0.0}),
        (frost_observation("air_temperature", 1, "degC", qualityCode=4), {Element.TEMPERATURE: 1}),
        (frost_observation("air_temperature", 1, "degC", qualityCode=5), None),
        (frost_observation("air_temperature", 1, "degC", qualityCode=7), None),
        (frost_observation("air_temperature", None, "degC"), None),
        (frost_observation("snow_depth", 1, "m"), None),
        (frost_observation("cloud_area_fraction", 8, "octas"), {Element.CLOUD: 100.0}),
        (frost_observation("cloud_area_fraction", 3, "octas"), {Element.CLOUD: 37.5}),
        (frost_observation("cloud_area_fraction", -3, "octas"), None),
        (frost_observation("cloud_area_fraction", 9, "octas"), None),
        (frost_observation("cloud_area_fraction", 9, "percent"), {Element.CLOUD: 9.0}),
        (
            frost_observation("sum(precipitation_amount PT1H)", 0.4, "mm"),
            {Element.PRECIPITATION: 0.4},
        ),
    ],
)
def test_frost_values_are_read_by_quality_and_unit(
    observation: object, values: dict[Element, float] | None
) -> None:
    """Octas become percent, their codes and doubtful values become nothing."""
    expected = [Report(NOON, values)] if values else []
    assert parse_observations(_frost(observation), "SN1") == expected


def test_of_several_frost_series_the_plainest_counts() -> None:
    """Several sensors and offsets are usual; the choice does not depend on their order."""
    late = frost_observation("air_temperature", 1, "degC", timeOffset="PT30M")
    doubtful = frost_observation("air_temperature", 2, "degC", qualityCode=2)
    good = frost_observation("air_temperature", 3, "degC", timeSeriesId=1)

    for order in ([late, doubtful, good], [good, doubtful, late]):
        (report,) = parse_observations(_frost(*order), "SN1")
        assert report.values == {Element.TEMPERATURE: 3.0}
    assert parse_observations(_frost(good), "SN2") == []


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"data": 1}', b'{"data": [1]}', b"[" * 100_000, b"\xff\xfe"],
)
def test_nonsense_is_a_value_error_whoever_says_it(body: bytes) -> None:
    """An error page with status 200 is not 'no data'."""
    with pytest.raises(ValueError):  # noqa: PT011 - which words is the library's business
        parse_sources(body, HERE, 50)
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        parse_observations(body, "SN1")
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        parse_forecast(body)
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        parse_stations(body)


_ODD: tuple[object, ...] = (
    None,
    True,
    -1,
    10**30,
    1e308,
    float("nan"),
    "",
    "x",
    "1e999",
    [],
    [1],
    {"a": [1]},
)


@pytest.mark.parametrize("one", _ODD, ids=repr)
def test_whatever_stands_in_a_field_is_read_or_left_out(one: object) -> None:
    """No answer that fits in an outline ends a run, whatever is where a number should be."""
    for two in _ODD:
        _read_with(one, two)


def _read_with(one: object, two: object) -> None:
    observation = frost_observation(
        "cloud_area_fraction", one, two, qualityCode=one, timeOffset=two
    )
    temperature = frost_observation(
        "air_temperature", two, "degC", qualityCode=two, timeSeriesId=one
    )
    station = {"key": "1", "latitude": one, "longitude": two, "from": two, "to": one}
    details = {"air_temperature": one, "cloud_area_fraction": two}
    entry = {"time": "2025-06-11T12:00:00Z", "data": {"instant": {"details": details}}}
    source = {"id": "SN1", "distance": one, "geometry": {"coordinates": [two, one]}}
    value = {"date": one, "value": two, "quality": one}
    at = {"date": int(NOON.timestamp() * 1000), "value": one, "quality": two}

    parse_observations(_frost(observation, temperature), "SN1")
    parse_sources(_packed({"data": [source]}), HERE, 50)
    parse_forecast(_packed({"properties": {"timeseries": [entry]}}))
    parse_values(_packed({"value": [value, at]}), Element.WIND, [NOON])
    listed = parse_stations(_packed({"station": [station]}))
    find_stations({Element.WIND: listed}, HERE, [NOON], 50)


def test_smhi_has_a_path_for_each_parameter_and_period() -> None:
    """The archive is a table, the latest are JSON."""
    assert stations_path(Element.GUST) == "/parameter/21.json"
    assert (
        values_path(Element.TEMPERATURE, "98230", Period.MONTHS)
        == "/parameter/1/station/98230/period/latest-months/data.json"
    )
    assert values_path(Element.CLOUD, "98230", Period.ARCHIVE).endswith(
        "/parameter/16/station/98230/period/corrected-archive/data.csv"
    )


@pytest.mark.parametrize(
    ("age", "period"),
    [
        (0, Period.DAY),
        (22, Period.DAY),
        (23, Period.MONTHS),
        (2640, Period.MONTHS),
        (2641, Period.ARCHIVE),
    ],
)
def test_smhi_period_goes_by_age(age: int, period: Period) -> None:
    """Each is asked for what it has for sure."""
    assert period_of(NOON - age * HOUR, NOON) is period


def test_the_latest_day_is_asked_for_with_the_latest_months() -> None:
    """They have the same hours: one request less for every parameter."""
    day, month, old = NOON - HOUR, NOON - 100 * HOUR, NOON - 9000 * HOUR

    assert batches_of([day, month, old], NOON) == [[old], [month, day]]
    assert batches_of([day], NOON) == [[day]]


def test_smhi_stations_with_a_thermometer_come_first() -> None:
    """A rain gauge may be nearer; stations of another time, or none, do not count."""
    listed = parse_stations(
        _packed(
            {
                "station": [
                    {"key": "1", "latitude": 59.95, "longitude": -10.72},
                    {"key": 2, "latitude": "60.1", "longitude": -10.72, "from": 0, "to": 4e12},
                    {"key": "3", "latitude": 59.95, "longitude": -10.72, "to": 946684800000},
                    {"key": "4", "latitude": 59.95, "longitude": -10.72, "from": 4e12},
                    {"key": "5", "latitude": 62, "longitude": -10.72},
                    {"key": "6", "latitude": None, "longitude": -10.72},
                    {"key": "../7", "latitude": 59.95, "longitude": -10.72},
                ]
            }
        )
    )
    lists = {Element.PRECIPITATION: listed, Element.TEMPERATURE: listed[1:]}

    found = find_stations(lists, HERE, [NOON], 50)

    assert [each.id for each in found] == ["2", "1"]
    assert found[0].offers == (Element.TEMPERATURE, Element.PRECIPITATION)
    assert found[1].offers == (Element.PRECIPITATION,)


def test_smhi_values_are_texts_with_a_quality() -> None:
    """G is approved, Y plausible; anything else, and what lies far off, is left out."""
    at = int(NOON.timestamp() * 1000)
    body = _packed(
        {
            "value": [
                {"date": at, "value": "-10.9", "quality": "G"},
                {"date": at + 3_600_000, "value": "1.5", "quality": "Y"},
                {"date": at, "value": "2.5", "quality": "R"},
                {"date": at, "value": None, "quality": "G"},
                {"date": "x", "value": "3", "quality": "G"},
                {"date": 10**30, "value": "3", "quality": "G"},
                {"date": at + 7_200_000, "value": "3", "quality": "G"},
            ]
        }
    )

    found = parse_values(body, Element.TEMPERATURE, [NOON])

    assert found == [
        Report(NOON, {Element.TEMPERATURE: -10.9}),
        Report(NOON + HOUR, {Element.TEMPERATURE: 1.5}),
    ]
    assert parse_values(b'{"value": null}', Element.WIND, [NOON]) == []


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"2025-06-11;12:00:00;-0.5;G;;", -0.5),
        (b"2025-06-11;12:00;7;Y\r", 7.0),
        (b"2025-06-11;13:00:00;1.5;G;;Kvalitetskontrollerade historiska data", 1.5),
        (b"2025-06-11;14:00:00;1.5;G;;", None),
        (b"2025-06-11;12:00:00;1.5;R;;", None),
        (b"2025-06-11;12:00:00;;G;;", None),
        (b"2025-06-11;12:00:00;999;G;;", None),
        (b"2025-06-11;25:00:00;1.5;G;;", None),
        (b"2025-06-12;12:00:00;1.5;G;;", None),
        (b"Datum;Tid (UTC);Lufttemperatur;Kvalitet;;Tidsutsnitt:", None),
        (b"", None),
    ],
)
def test_lines_of_the_archive_are_known_by_their_dates(line: bytes, value: float | None) -> None:
    """Tables about the station come before, remarks stand behind the first values."""
    found = row_parser(Element.TEMPERATURE, [NOON])(line)
    assert (found.values[Element.TEMPERATURE] if found else None) == value


def test_a_forecast_is_read_by_its_first_hours() -> None:
    """Precipitation is that of the next hour; cloud is in percent already."""
    entries = [
        {
            "time": f"2025-06-11T{hour:02}:00:00Z",
            "data": {
                "instant": {"details": {"air_temperature": hour, "cloud_area_fraction": 87.5}},
                "next_1_hours": {"details": {"precipitation_amount": 0.4}},
                "next_6_hours": {"details": {"precipitation_amount": 9.9}},
            },
        }
        for hour in range(20, 11, -1)
    ]

    found = parse_forecast(_packed({"properties": {"timeseries": entries}}))

    assert [each.at.hour for each in found] == [12, 13, 14, 15, 16, 17]
    assert found[0].values == {
        Element.TEMPERATURE: 12.0,
        Element.CLOUD: 87.5,
        Element.PRECIPITATION: 0.4,
    }
    assert forecast_query(HERE) == "/complete?lat=59.9423&lon=-10.7200"
