"""The weather services on loopback: answers of the recorded shapes, by the rules of the real ones.

They refuse what the real ones refuse: nobody's name, five decimals, a station that is not there.
Numbers are a function of station and hour, so that a test knows them without a table.
"""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from aiohttp.web import BaseRequest, Response, StreamResponse
from pydantic import SecretStr

from pipelines.wildlife.settings import RunSettings
from pipelines.wildlife.weather.client import Manner
from pipelines.wildlife.weather.places import distance_km, position_of
from shared.retry import RetryPolicy
from tests.support.podcast_web import Page
from tests.support.serving import Served, ServerThread

CONTACT = "wildlife@skogforsk.test-org.se"
CLIENT_ID = "6f1c-frost"
AT_ONCE = Manner(
    interval_seconds=0.0,
    answer_seconds=5.0,
    policy=RetryPolicy(attempts=3, base_seconds=0.0, ceiling_seconds=5.0),
)
"""As many requests as in production, without the waiting."""

_HOUR = timedelta(hours=1)
_JSON = "application/json"


def temperature(hour: datetime) -> float:
    """Return what every thermometer shows at an hour."""
    return 10 + hour.hour / 10


@dataclass(slots=True)
class FakeStation:
    """A station of frost (`SN…`) or smhi (digits)."""

    id: str
    latitude: float
    longitude: float
    begins: datetime = datetime(1990, 1, 1, tzinfo=UTC)
    ends: datetime = datetime(2100, 1, 1, tzinfo=UTC)
    silent: bool = False
    """It is listed and never says anything."""
    parameters: tuple[int, ...] = (1, 4, 7, 16)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came."""

    service: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(slots=True)
class WeatherWeb(Served):
    """`with WeatherWeb(stations=[...]) as web:`; `web.faults["frost"]` are given first, in turn."""

    now: datetime
    stations: list[FakeStation] = field(default_factory=list)
    faults: dict[str, list[Page]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    modified: str = "Wed, 11 Jun 2025 11:58:12 GMT"
    expires_in: timedelta = timedelta(minutes=30)
    _thread: ServerThread = field(init=False)

    def __post_init__(self) -> None:
        """Have a thread to serve in."""
        self._thread = ServerThread(self._answer, name="weather-web")

    def settings(self, *chain: str, contact: str = CONTACT, **more: object) -> RunSettings:
        """Return settings that find the services here."""
        known: dict[str, object] = {
            "weather": list(chain),
            "weather_contact": contact,
            "frost_client_id": SecretStr(CLIENT_ID),
            "frost_url": f"{self._thread.url}/frost",
            "smhi_url": f"{self._thread.url}/smhi",
            "locationforecast_url": f"{self._thread.url}/forecast",
        }
        return RunSettings.model_validate({**known, **more})

    def of(self, service: str) -> list[Asked]:
        """Return what a service was asked."""
        return [each for each in self.asked if each.service == service]

    async def _answer(self, request: BaseRequest) -> StreamResponse:
        _, service, path = request.path.split("/", 2)
        query = dict(request.query)
        self.asked.append(Asked(service, f"/{path}", query, dict(request.headers)))
        if faults := self.faults.get(service):
            return await faults.pop(0)(request)
        if not _identified(request):
            return Response(status=403, text="who are you?")
        services = {"frost": self._frost, "smhi": self._smhi, "forecast": self._forecast}
        return services[service](request, path, query)

    def _frost(self, request: BaseRequest, path: str, query: Mapping[str, str]) -> Response:
        wanted = "Basic " + b64encode(f"{CLIENT_ID}:".encode()).decode()
        if request.headers.get("Authorization") != wanted:
            return Response(status=401, text='{"@type": "ErrorResponse"}')
        if path == "sources/v0.jsonld":
            found = self._frost_sources(query)
            return _jsonld(found) if found else _no_such(404, "No data found")
        assert path == "observations/v0.jsonld", path
        entries = self._frost_observations(query)
        return _jsonld(entries) if entries else _no_such(412, "No available timeseries")

    def _frost_sources(self, query: Mapping[str, str]) -> list[object]:
        assert query["types"] == "SensorSystem"
        assert query["elements"]
        assert query["validtime"]
        point = query["geometry"].removeprefix("nearest(POINT(").removesuffix("))")
        longitude, latitude = point.split(" ")
        assert max(len(each.partition(".")[2]) for each in (longitude, latitude)) <= 4
        here = position_of(float(latitude), float(longitude))
        near = sorted(
            (distance_km(here, each.latitude, each.longitude), each.id, each)
            for each in self.stations
            if each.id.startswith("SN")
        )
        return [
            {
                "@type": "SensorSystem",
                "id": each.id,
                "geometry": {"@type": "Point", "coordinates": [each.longitude, each.latitude]},
                "distance": km,
                "validFrom": "1990-01-01T00:00:00.000Z",
            }
            for km, _, each in near[: int(query["nearestmaxcount"])]
        ]

    def _frost_observations(self, query: Mapping[str, str]) -> list[object]:
        assert query["timeresolutions"] == "PT1H"
        wanted = set(query["sources"].split(","))
        first, last = map(datetime.fromisoformat, query["referencetime"].split("/"))
        return [
            {
                "sourceId": f"{each.id}:0",
                "referenceTime": f"{hour:%Y-%m-%dT%H:%M:%S.000Z}",
                "observations": [
                    frost_observation(element, value, unit)
                    for element, value, unit in (
                        ("air_temperature", temperature(hour), "degC"),
                        ("sum(precipitation_amount PT1H)", 0, "mm"),
                        ("cloud_area_fraction", 6, "octas"),
                        ("wind_from_direction", 200, "degrees"),
                    )
                    if element in query["elements"]
                ],
            }
            for each in self.stations
            if each.id in wanted and not each.silent
            for hour in _hours(first, min(last, self.now))
        ]

    def _smhi(self, request: BaseRequest, path: str, query: Mapping[str, str]) -> Response:
        del request, query
        parts = path.split("/")
        parameter = int(parts[1].removesuffix(".json"))
        listed = [
            each for each in self.stations if each.id.isdigit() and parameter in each.parameters
        ]
        if len(parts) == 2:
            return _plain_json({"key": str(parameter), "station": [_listed(e) for e in listed]})
        station = next((each for each in listed if each.id == parts[3]), None)
        if station is None:
            return Response(status=404, text="<html>not found</html>")
        ages = {
            "latest-day": (timedelta(days=1), timedelta(0)),
            "latest-months": (timedelta(days=14), timedelta(0)),
            "corrected-archive": (timedelta(days=210), timedelta(days=92)),
        }
        oldest, newest = ages[parts[5]]
        hours = [] if station.silent else [*_hours(self.now - oldest, self.now - newest)]
        values = [(hour, smhi_value(parameter, hour)) for hour in hours]
        if parts[6] == "data.csv":
            assert parts[5] == "corrected-archive"
            return Response(text=_archive(station, values), content_type="text/csv")
        return _plain_json(
            {
                "value": [
                    {"date": int(hour.timestamp() * 1000), "value": value, "quality": "G"}
                    for hour, value in values
                ],
                "updated": int(self.now.timestamp() * 1000),
                "station": {"key": station.id},
            }
        )

    def _forecast(self, request: BaseRequest, path: str, query: Mapping[str, str]) -> Response:
        assert path == "complete"
        if max(len(query[name].partition(".")[2]) for name in ("lat", "lon")) > 4:
            return Response(status=403, text="too many decimals")
        headers = {
            "Expires": format_datetime(self.now + self.expires_in, usegmt=True),
            "Last-Modified": self.modified,
        }
        if request.headers.get("If-Modified-Since") == self.modified:
            return Response(status=304, headers=headers)
        first = self.now.replace(minute=0, second=0, microsecond=0)
        series = [forecast_entry(first + number * _HOUR) for number in range(90)]
        return _plain_json({"properties": {"timeseries": series}}, headers)


def frost_observation(element: str, value: object, unit: object, **more: object) -> object:
    """Return one value as frost gives it."""
    return {
        "elementId": element,
        "value": value,
        "unit": unit,
        "timeOffset": "PT0H",
        "timeResolution": "PT1H",
        "timeSeriesId": 0,
        "performanceCategory": "C",
        "exposureCategory": "2",
        "qualityCode": 0,
        **more,
    }


def smhi_value(parameter: int, hour: datetime) -> str:
    """Return one value as smhi gives it: a text."""
    return {1: f"{temperature(hour):.1f}", 4: "3.5", 7: "0.0", 16: "113"}[parameter]


def forecast_entry(hour: datetime) -> object:
    """Return one hour as locationforecast gives it."""
    return {
        "time": f"{hour:%Y-%m-%dT%H:%M:%SZ}",
        "data": {
            "instant": {
                "details": {
                    "air_temperature": temperature(hour),
                    "cloud_area_fraction": 90.6,
                    "ultraviolet_index_clear_sky": 1.2,
                    "wind_speed_of_gust": 7.5,
                }
            },
            "next_1_hours": {
                "summary": {"symbol_code": "lightrain"},
                "details": {"precipitation_amount": 0.4},
            },
        },
    }


def _identified(request: BaseRequest) -> bool:
    agent = request.headers.get("User-Agent", "")
    gzipped = "gzip" in request.headers.get("Accept-Encoding", "")
    return agent.startswith("towpath-wildlife/") and agent.endswith(f" {CONTACT}") and gzipped


def _hours(first: datetime, last: datetime) -> Iterator[datetime]:
    hour = first.replace(minute=0, second=0, microsecond=0)
    hour += _HOUR if hour < first else timedelta(0)
    while hour < last:
        yield hour
        hour += _HOUR


def _listed(station: FakeStation) -> object:
    return {
        "key": station.id,
        "id": int(station.id),
        "name": f"Station {station.id}",
        "active": True,
        "measuringStations": "CORE",
        "from": int(station.begins.timestamp() * 1000),
        "to": int(station.ends.timestamp() * 1000),
        "latitude": station.latitude,
        "longitude": station.longitude,
    }


def _archive(station: FakeStation, values: list[tuple[datetime, str]]) -> str:
    head = [
        "\ufeffStationsnamn;Stationsnummer;Stationsnät;Mäthöjd (meter över marken)",
        f"Station {station.id};{station.id};SMHIs stationsnät;2.0",
        "",
        "Parameternamn;Beskrivning;Enhet",
        "Lufttemperatur;momentanvärde, 1 gång/tim;celsius",
        "",
        "Datum;Tid (UTC);Lufttemperatur;Kvalitet;;Tidsutsnitt:",
        "1995-08-01;00:00:00;12.2;G;;Kvalitetskontrollerade historiska data",
    ]
    rows = [f"{hour:%Y-%m-%d};{hour:%H:%M:%S};{value};G;;" for hour, value in values]
    return "\r\n".join([*head, *rows]) + "\r\n"


def _jsonld(data: list[object]) -> Response:
    return _plain_json({"@type": "Response", "apiVersion": "v0", "data": data})


def _no_such(status: int, message: str) -> Response:
    body = {"@type": "ErrorResponse", "error": {"code": status, "message": message}}
    return Response(status=status, text=json.dumps(body), content_type=_JSON)


def _plain_json(body: object, headers: Mapping[str, str] | None = None) -> Response:
    response = Response(text=json.dumps(body), content_type=_JSON, headers=headers)
    response.enable_compression()
    return response
