"""The weather of a whole run: who is asked what, what is remembered, and what the rows say."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from pipelines.wildlife.document.places import parse_place
from pipelines.wildlife.layout import Kind
from pipelines.wildlife.models.weather import WeatherLine, WeatherStatus
from pipelines.wildlife.settings import RunSettings
from shared.errors import UsageError
from tests.support.gate import Gate
from tests.support.podcast_web import Page, answer, silent
from tests.support.wildlife_weather import FakeStation, WeatherWeb, temperature
from tests.support.wildlife_weather_run import HOUR, NORWAY, NOW, PLACE, SWEDEN, WeatherRun, seen


@pytest_asyncio.fixture
async def run() -> AsyncIterator[WeatherRun]:
    """Have the services on loopback."""
    with WeatherWeb(now=NOW, stations=[NORWAY, SWEDEN]) as web:
        yield WeatherRun(web)


@pytest.mark.asyncio
async def test_each_row_has_its_weather_or_the_reason_why_not(run: WeatherRun) -> None:
    """A station and a span of hours make one request; the rows keep their order."""
    observations = [
        seen(NOW - 50 * HOUR),
        seen(NOW - 50 * HOUR, "human"),
        seen(NOW - 49 * HOUR, latitude=None),
        seen(NOW - 48 * HOUR, "fox"),
        seen(NOW - 48 * HOUR, "badger"),
        seen(NOW - timedelta(days=8)),
        seen(datetime(1999, 1, 1, tzinfo=UTC)),
    ]

    told = await run.weather(run.web.settings("frost"), observations)

    lines = await run.lines()
    hour = datetime(2025, 6, 9, 10, tzinfo=UTC)
    assert [each.observation_id for each in lines] == [each.observation_id for each in observations]
    assert lines[0].weather_time == hour
    assert lines[0].weather_temp_c == temperature(hour)
    assert (lines[0].weather_precip_mm, lines[0].weather_humidity_pc) == (0.0, None)
    assert (lines[0].weather_cloud_pc, lines[0].weather_condition_code) == (75.0, "partly_cloudy")
    assert (lines[0].weather_source, lines[0].weather_station_id) == ("frost", "SN18700")
    assert lines[0].weather_wind_dir_card == "S"
    assert [path.path for path in run.web.of("frost")] == [
        "/sources/v0.jsonld",
        "/observations/v0.jsonld",
    ]
    assert told == {
        "weather_uri": PLACE.join("weather/"),
        "observations_enriched": 3,
        "weather_observations": 3,
        "days_back": 7,
        "provider": "frost",
        "weather_calls": 2,
        "cache_hits": 1,
        "by_status": {
            "implausible_time": 1,
            "no_position": 1,
            "not_positive": 1,
            "ok": 3,
            "too_old": 1,
        },
        "attribution": ["Weather observations: MET Norway (frost.met.no), CC BY 4.0"],
    }
    assert run.progress[-1] == (3, 3)


@pytest.mark.asyncio
async def test_what_was_answered_once_is_not_asked_again(run: WeatherRun) -> None:
    """The second run makes no request and says the same, until the answers are too old."""
    observations = [seen(NOW - 30 * HOUR), seen(NOW - 5 * HOUR)]
    settings = run.web.settings("frost")
    first = await run.weather(settings, observations)
    lines = await run.lines()

    second = await run.weather(settings, observations)

    assert (first["weather_calls"], first["cache_hits"]) == (2, 0)
    assert (second["weather_calls"], second["cache_hits"]) == (0, 2)
    assert await run.lines() == lines
    run.now += timedelta(hours=6)
    third = await run.weather(settings, observations)
    assert (third["weather_calls"], third["cache_hits"]) == (1, 0)
    run.now += timedelta(days=7)
    assert (await run.weather(settings, observations))["weather_calls"] == 2


@pytest.mark.asyncio
async def test_a_cache_that_is_torn_costs_requests_alone(run: WeatherRun) -> None:
    """It is nobody's only copy."""
    observations = [seen(NOW - 30 * HOUR)]
    settings = run.web.settings("frost")
    await run.weather(settings, observations)
    torn = [each.uri async for each in run.storage.walk(parse_place(PLACE.join("weather/cache/")))]
    for uri in torn:
        await run.storage.write(uri, b'{"hours": {"20', kind=Kind.CACHE)

    told = await run.weather(settings, observations)

    assert len(torn) == 2
    assert (told["weather_calls"], told["observations_enriched"]) == (2, 1)


@pytest.mark.asyncio
async def test_the_next_station_answers_where_the_nearest_is_silent(run: WeatherRun) -> None:
    """Nothing of it is remembered for longer than a day."""
    run.web.stations = [FakeStation("SN1", 59.943, 10.72, silent=True), NORWAY]

    told = await run.weather(run.web.settings("frost"), [seen(NOW - 30 * HOUR)])

    (line,) = await run.lines()
    assert (line.weather_station_id, told["weather_calls"]) == ("SN18700", 3)


@pytest.mark.parametrize(
    ("stations", "faults", "status"),
    [
        ([], [], "no_data"),
        ([FakeStation("SN1", 61.0, 10.72)], [], "no_data"),
        ([FakeStation("SN1", 59.95, 10.72, silent=True)], [], "no_data"),
        ([NORWAY], [answer(status=401)], "provider_refused"),
        ([NORWAY], [answer(status=403)], "provider_refused"),
        ([NORWAY], [answer(status=404)], "no_data"),
        ([NORWAY], [answer(status=412)], "no_data"),
        ([NORWAY], [answer(status=500)] * 3, "error"),
        ([NORWAY], [answer(status=429, Retry_After="9")], "error"),
        ([NORWAY], [answer(b"<html>")], "error"),
        ([NORWAY], [answer(b'{"data": [{"id": 7}]}')], "error"),
    ],
)
@pytest.mark.asyncio
async def test_no_failure_of_a_provider_fails_the_run(
    run: WeatherRun, stations: list[FakeStation], faults: list[Page], status: str
) -> None:
    """The rows keep nulls and say why."""
    run.web.stations, run.web.faults = stations, {"frost": list(faults)}

    told = await run.weather(run.web.settings("frost"), [seen(NOW - 30 * HOUR)])

    (line,) = await run.lines()
    assert line == WeatherLine(
        observation_id=line.observation_id, weather_status=WeatherStatus(status)
    )
    assert told["by_status"] == {status: 1}
    assert told["attribution"] == []


@pytest.mark.asyncio
async def test_the_next_provider_is_asked_what_the_first_could_not_tell(run: WeatherRun) -> None:
    """In the order of the chain; both are named in the report."""
    run.web.stations = [FakeStation("SN1", 62.0, 10.72), SWEDEN]
    observations = [seen(NOW - 30 * HOUR), seen(NOW - 30 * HOUR, "fox", latitude=61.9)]

    told = await run.weather(run.web.settings(), observations)

    lines = await run.lines()
    assert [each.weather_source for each in lines] == ["smhi", "frost"]
    assert (told["provider"], len(told["attribution"])) == ("frost,smhi", 2)
    assert lines[0].weather_temp_c == temperature(datetime(2025, 6, 10, 6, tzinfo=UTC))
    # 113 of smhi is no percentage: fog hid the sky.
    assert (lines[0].weather_cloud_pc, lines[0].weather_wind_ms) == (None, 3.5)


@pytest.mark.asyncio
async def test_smhi_is_asked_for_the_parameters_a_station_has(run: WeatherRun) -> None:
    """Lists once, then each parameter once for all hours of a period."""
    observations = [seen(NOW - 2 * HOUR), seen(NOW - 30 * HOUR), seen(NOW - 90 * HOUR, "fox")]

    told = await run.weather(run.web.settings("smhi"), observations)

    asked = [each.path for each in run.web.of("smhi")]
    assert [path for path in asked if path.count("/") == 2] == sorted(
        {path for path in asked if path.count("/") == 2}, key=asked.index
    )
    assert sorted(path for path in asked if "period" in path) == [
        f"/parameter/{number}/station/98230/period/latest-months/data.json"
        for number in (1, 16, 4, 7)
    ]
    assert (told["weather_calls"], told["observations_enriched"]) == (14, 3)
    assert (await run.weather(run.web.settings("smhi"), observations))["weather_calls"] == 0


@pytest.mark.asyncio
async def test_smhi_archive_is_read_for_old_hours(run: WeatherRun) -> None:
    """A table of decades gives the few lines that matter."""
    settings = run.web.settings("smhi")
    old = NOW - timedelta(days=200)
    run.web.stations = [FakeStation("98230", 59.94, 10.72, parameters=(1,))]
    run.days_back = 365

    await run.weather(settings, [seen(old)])

    (line,) = await run.lines()
    assert line.weather_temp_c == temperature(old)
    assert line.weather_time == datetime(2024, 11, 23, 12, tzinfo=UTC)


@pytest.mark.asyncio
async def test_half_an_answer_is_used_and_not_remembered(run: WeatherRun) -> None:
    """A parameter that failed once may be there the next time."""
    settings = run.web.settings("smhi")
    observations = [seen(NOW - 30 * HOUR)]
    await run.weather(settings, observations)
    async for each in run.storage.walk(parse_place(PLACE.join("weather/cache/smhi/hours/"))):
        await run.storage.write(each.uri, b"{}", kind=Kind.CACHE)
    run.web.faults = {"smhi": [answer(status=400)]}

    half = await run.weather(settings, observations)
    whole = await run.weather(settings, observations)

    assert (half["weather_calls"], half["observations_enriched"]) == (4, 1)
    assert (whole["weather_calls"], whole["observations_enriched"]) == (4, 1)


@pytest.mark.asyncio
async def test_a_forecast_answers_for_the_last_hour_alone(run: WeatherRun) -> None:
    """It has no past; it is kept until it says that it may have changed, then asked about."""
    settings = run.web.settings("locationforecast")
    observations = [seen(NOW - timedelta(minutes=15)), seen(NOW - 2 * HOUR, "fox")]

    told = await run.weather(settings, observations)

    fresh, old = await run.lines()
    assert (fresh.weather_status, old.weather_status) == (WeatherStatus.OK, WeatherStatus.NO_DATA)
    assert (fresh.weather_precip_mm, fresh.weather_uv_index) == (0.4, 1.2)
    assert (fresh.weather_cloud_pc, fresh.weather_station_id) == (90.6, None)
    assert (fresh.weather_condition_code, fresh.weather_gust_ms) == ("rain", 7.5)
    assert told["weather_calls"] == 1
    assert run.web.asked[0].query == {"lat": "59.9423", "lon": "10.7200"}
    run.now += timedelta(minutes=20)
    next_hour = [seen(run.now - timedelta(minutes=5))]
    assert (await run.weather(settings, next_hour))["weather_calls"] == 0
    assert await run.statuses() == ["ok"]
    run.now += HOUR
    after_expiry = [seen(run.now - timedelta(minutes=5))]
    assert (await run.weather(settings, after_expiry))["weather_calls"] == 1
    assert await run.statuses() == ["ok"]
    assert run.web.asked[1].headers["If-Modified-Since"] == run.web.modified


@pytest.mark.asyncio
async def test_a_file_answers_without_a_network(run: WeatherRun, tmp_path: Path) -> None:
    """What is left out of it was not measured; a station without a position is near everything."""
    path = tmp_path / "weather.json"
    reports = [{"time": "2025-06-10T06:00:00Z", "weather_temp_c": -0.5, "weather_precip_mm": 1.5}]
    path.write_text(json.dumps({"stations": [{"id": "yard", "reports": reports}]}))
    settings = RunSettings(weather_file=path)

    told = await run.weather(settings, [seen(NOW - 30 * HOUR), seen(NOW - 40 * HOUR)])

    known, unknown = await run.lines()
    assert (known.weather_temp_c, known.weather_condition_code) == (-0.5, "snow")
    assert (known.weather_station_id, known.weather_station_km) == ("yard", 0.0)
    assert unknown.weather_status is WeatherStatus.NO_DATA
    assert (told["provider"], told["weather_calls"], told["cache_hits"]) == ("static", 0, 0)
    assert told["attribution"] == ["Weather: file of the operator"]


@pytest.mark.asyncio
async def test_mistakes_in_a_file_are_named(run: WeatherRun, tmp_path: Path) -> None:
    """It is the operator's own, so every mistake is said."""
    path = tmp_path / "weather.json"
    reports = [{"time": "2025-06-10T06:00:00", "weather_temp": 1}]
    path.write_text(json.dumps({"stations": [{"id": "../x", "reports": reports}]}))

    for missing, words in ((path, r"id: (.|\n)*time"), (tmp_path / "none", "cannot be read")):
        with pytest.raises(UsageError, match=words):
            await run.weather(RunSettings(weather_file=missing), [seen(NOW)])


@pytest.mark.parametrize("chain", [["none"], ["auto"]])
@pytest.mark.asyncio
async def test_nobody_is_asked_where_weather_is_off(run: WeatherRun, chain: list[str]) -> None:
    """No request, and no claim that nobody had data."""
    told = await run.weather(RunSettings(weather=chain), [seen(NOW - HOUR), seen(NOW, "human")])

    assert await run.statuses() == ["not_run", "not_positive"]
    assert (told["provider"], told["weather_calls"]) == ("none", 0)


@pytest.mark.asyncio
async def test_nothing_is_opened_where_there_is_nothing_to_ask(run: WeatherRun) -> None:
    """A run of people and empty pictures reads no key, and writes its empty file."""
    settings = run.web.settings("frost", frost_client_id=None, api_keys_secret="dev/keys")

    told = await run.weather(settings, [])

    assert (await run.lines(), told["by_status"], run.web.asked) == ([], {}, [])


@pytest.mark.asyncio
async def test_a_contact_that_reaches_nobody_is_said_at_start(run: WeatherRun) -> None:
    """Before anything is read or asked."""
    with pytest.raises(UsageError, match="reaches nobody"):
        await run.weather(run.web.settings("smhi", contact="me@example.com"), [seen(NOW - HOUR)])
    assert run.web.asked == []


@pytest.mark.parametrize("left", [20.05, 20.0, 3.0])
@pytest.mark.asyncio
async def test_nobody_is_asked_in_the_last_twenty_seconds(run: WeatherRun, left: float) -> None:
    """What was heard by then is written; the rest says that time ran out."""
    gate = Gate()
    run.web.faults = {"frost": [silent(gate)]}
    run.seconds_left = left

    told = await run.weather(run.web.settings("frost"), [seen(NOW - 30 * HOUR)])

    gate.open()
    assert await run.statuses() == ["deadline"]
    assert told["by_status"] == {"deadline": 1}
