"""The weather of sightings, and of how many it is not known and why. Pure."""

import math
from collections.abc import Iterator, Mapping

from pipelines.wildlife.models.report import WeatherStatistics
from pipelines.wildlife.models.weather import WeatherStatus
from pipelines.wildlife.report_page.figures import DEGREES_A_BIN, Spread, WeatherSightings
from pipelines.wildlife.report_page.markup import Markup, element, join
from pipelines.wildlife.report_page.place_map import slice_path
from pipelines.wildlife.report_page.words import count, decimal, percent

_POINTS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")
_CONDITIONS = ("clear", "partly_cloudy", "cloudy", "rain", "snow")
_BINS_MAX = 24
_STATUSES: Mapping[str, str] = {
    WeatherStatus.OK: "with weather",
    WeatherStatus.NO_DATA: "no station near enough had a report",
    WeatherStatus.NOT_POSITIVE: "no animal, so nobody was asked",
    WeatherStatus.NO_POSITION: "position not known",
    WeatherStatus.TOO_OLD: "older than weather was asked for",
    WeatherStatus.IMPLAUSIBLE_TIME: "time cannot be right",
    WeatherStatus.PROVIDER_REFUSED: "the provider refused",
    WeatherStatus.ERROR: "the provider failed",
    WeatherStatus.DEADLINE: "time was up",
    WeatherStatus.NOT_RUN: "nobody was asked, or the step failed",
}


def draw_weather(weather: WeatherSightings, statistics: WeatherStatistics) -> Markup:
    """Return tiles, drawings and the statuses."""
    drawings = [
        drawn
        for drawn in (_temperatures(weather), _wind(weather), _conditions(weather))
        if drawn is not None
    ]
    return join(
        element("div", *_tiles(weather), class_="tiles small") if drawings else None,
        element("div", *drawings, class_="charts") if drawings else None,
        _statuses(weather, statistics),
    )


def _tiles(weather: WeatherSightings) -> Iterator[Markup]:
    yield from _tile("Air", weather.temperature, "°C", 1)
    yield from _tile("Wind", weather.wind, "m/s", 1)
    yield from _tile("Humidity", weather.humidity, "%", 0)
    yield from _tile("Pressure", weather.pressure, "hPa", 0)
    known = weather.rainy + weather.dry
    if known:
        yield element(
            "div",
            element("b", percent(weather.rainy / known)),
            element("span", "Precipitation"),
            element("span", f"of {count(known)} known"),
            class_="tile",
        )


def _tile(name: str, spread: Spread | None, unit: str, digits: int) -> Iterator[Markup]:
    if spread is None:
        return
    least, greatest = decimal(spread.least, digits), decimal(spread.greatest, digits)
    yield element(
        "div",
        element("b", f"{decimal(spread.mean, digits)} {unit}"),
        element("span", name),
        element("span", f"{least} to {greatest}"),
        class_="tile",
    )


def _temperatures(weather: WeatherSightings) -> Markup | None:
    if not weather.temperatures:
        return None
    low, high = min(weather.temperatures), max(weather.temperatures)
    bins = list(range(low, high + 1, DEGREES_A_BIN))[:_BINS_MAX]
    highest = max(weather.temperatures.values())
    wide = 320 / len(bins)
    parts = []
    for number, start in enumerate(bins):
        many = weather.temperatures.get(start, 0)
        tall = 130 * many / highest
        x, inset = number * wide + 20, min(3.0, wide / 10)
        parts += [
            element(
                "rect",
                element("title", f"{start} to {start + DEGREES_A_BIN} °C: {many}"),
                x=x + inset,
                y=154 - tall,
                width=wide - 2 * inset,
                height=tall,
                rx=2,
                class_="warm" if start >= 0 else "cold",
            ),
            element("text", decimal(start, 0), x=x, y=174, class_="axis"),
        ]
        if many:
            middle = x + wide / 2
            parts.append(element("text", str(many), x=middle, y=148 - tall, class_="value"))
    end = element("text", decimal(bins[-1] + DEGREES_A_BIN, 0), x=340, y=174, class_="axis")
    line = element("line", x1=20, x2=340, y1=154.5, y2=154.5, class_="base")
    return _chart("Air temperature, °C", "0 0 360 184", *parts, end, line)


def _wind(weather: WeatherSightings) -> Markup | None:
    if not weather.wind_points:
        return None
    highest = max(weather.wind_points.values())
    parts = [element("circle", cx=100, cy=100, r=radius, class_="rim") for radius in (35, 70)]
    for number, point in enumerate(_POINTS):
        many = weather.wind_points.get(point, 0)
        angle = math.pi * number / 4
        x, y = 100 + 86 * math.sin(angle), 100 - 86 * math.cos(angle)
        parts.append(element("text", point, x=x, y=y + 4, class_="axis"))
        if many:
            # The area of a petal, not its length, is the number.
            path = slice_path(100, 100, 70 * math.sqrt(many / highest), *_sides(number), 8)
            title = element("title", f"{point}: {many}")
            parts.append(element("path", title, d=path, class_="petal"))
    return _chart("Wind, from where it blew", "0 0 200 200", *parts, kind="rose")


def _sides(number: int) -> tuple[float, float]:
    """Return where a petal begins and ends; that of the north lies on both sides of the top."""
    start = (number - 0.42) / len(_POINTS)
    return start, start + 0.84 / len(_POINTS)


def _conditions(weather: WeatherSightings) -> Markup | None:
    if not weather.conditions:
        return None
    total = sum(weather.conditions.values())
    rows = [
        element(
            "tr",
            element("th", name.replace("_", " "), scope="row"),
            element("td", share_bar(weather.conditions.get(name, 0) / total)),
            element("td", count(weather.conditions.get(name, 0)), class_="number"),
        )
        for name in sorted(
            {*_CONDITIONS, *list(weather.conditions)[:12]},
            key=lambda each: (_CONDITIONS.index(each) if each in _CONDITIONS else 99, each),
        )
    ]
    return element("table", element("caption", "Sky"), element("tbody", *rows), class_="shares")


def share_bar(share: float) -> Markup:
    """Return a bar that is filled so far."""
    return element(
        "svg",
        element("rect", width=100, height=8, class_="track"),
        element("rect", width=100 * min(1.0, share), height=8, class_="filled"),
        viewBox="0 0 100 8",
        preserveAspectRatio="none",
        class_="share",
        aria_hidden="true",
    )


def _chart(title: str, box: str, *parts: Markup, kind: str = "") -> Markup:
    drawing = element("svg", element("title", title), *parts, viewBox=box, role="img")
    return element("figure", element("figcaption", title), drawing, class_=f"chart {kind}".strip())


def _statuses(weather: WeatherSightings, statistics: WeatherStatistics) -> Markup:
    items = [
        element("li", element("b", count(many)), f" {_STATUSES.get(status, status)}")
        for status, many in weather.statuses.items()
    ]
    asked = (
        f"{count(statistics.weather_calls, 'request')} to providers, "
        f"{count(statistics.cache_hits, 'look-up')} answered from the cache."
    )
    credit = " ".join(statistics.attribution)
    return element(
        "div",
        element("ul", *items, class_="statuses"),
        element("p", asked, class_="soft"),
        element("p", credit, class_="soft") if credit else None,
        class_="under",
    )
