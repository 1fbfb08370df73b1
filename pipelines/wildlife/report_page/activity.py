"""When animals were seen: a table of hours by species, and a clock for the most frequent. Pure."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from pipelines.wildlife.report_page.figures import HOURS, Figures, SpeciesSightings
from pipelines.wildlife.report_page.markup import Markup, element
from pipelines.wildlife.report_page.place_map import slice_path
from pipelines.wildlife.report_page.species import Palette, english
from pipelines.wildlife.report_page.sun import Light, light_at
from pipelines.wildlife.report_page.words import count, percent

CLOCKS_MAX = 6
_SHADES = 8
_MIDDLE, _HOLE, _LENGTH, _SKY = 100.0, 26.0, 52.0, 8.0
"""Of a clock: its middle, where hours begin, how long the longest is, the ring around."""


_WHEN = {Light.DAY: "by day", Light.TWILIGHT: "in twilight", Light.NIGHT: "at night"}


def draw_hours(figures: Figures, palette: Palette) -> Markup:
    """Return the table: a row for each species, a column for each hour."""
    lights = _lights(figures)
    numbers = [
        element("th", f"{hour:02}", scope="col", class_="" if hour % 3 == 0 else "minor")
        for hour in range(HOURS)
    ]
    rows = [_row(each, palette) for each in figures.species if sum(each.by_hour)]
    return element(
        "table",
        element("caption", f"Sightings by hour of the day ({figures.zone})"),
        element(
            "thead",
            _sky_row(lights) if lights else None,
            element("tr", element("th", "Species", scope="col"), *numbers),
        ),
        element("tbody", *rows),
        class_="hours",
    )


def _row(species: SpeciesSightings, palette: Palette) -> Markup:
    most = max(species.by_hour)
    cells = [
        element(
            "td",
            element("i", class_=f"q{-(-_SHADES * many // most)}"),
            element("b", str(many)) if many else element("b", "0", class_="none"),
        )
        for many in species.by_hour
    ]
    return element(
        "tr",
        element("th", english(species.species), scope="row"),
        *cells,
        class_=palette.of(species.species),
        data_species=species.species,
    )


def _sky_row(lights: Sequence[Light]) -> Markup:
    cells = [element("td", element("i", class_=light), title=light) for light in lights]
    return element("tr", element("th", "Sun", scope="row"), *cells, class_="sunlight")


def _lights(figures: Figures) -> list[Light]:
    """Return the light in the middle of each hour, halfway through the run."""
    first, last = figures.first_at, figures.last_at
    if figures.position is None or first is None or last is None:
        return []
    middle = (first + (last - first) / 2).astimezone(figures.zone)
    midnight = middle.replace(hour=0, minute=30, second=0, microsecond=0)
    return [light_at(midnight + timedelta(hours=hour), *figures.position) for hour in range(HOURS)]


def draw_clocks(figures: Figures, palette: Palette) -> Markup | None:
    """Return a day's clock for each of the most frequent species, noon on top."""
    chosen = [each for each in figures.species if sum(each.by_hour)][:CLOCKS_MAX]
    if not chosen:
        return None
    lights = _lights(figures)
    return element("div", *(_clock(each, lights, palette) for each in chosen), class_="clocks")


def _clock(species: SpeciesSightings, lights: Sequence[Light], palette: Palette) -> Markup:
    most = max(species.by_hour)
    peak = species.by_hour.index(most)
    said = f"Most between {peak:02}:00 and {peak + 1:02}:00."
    drawing = element(
        "svg",
        element("title", f"{english(species.species)} by hour of the day"),
        element("desc", said),
        *_ring(lights),
        element("circle", cx=_MIDDLE, cy=_MIDDLE, r=_HOLE + _LENGTH, class_="rim"),
        element("circle", cx=_MIDDLE, cy=_MIDDLE, r=_HOLE + _LENGTH / 2, class_="rim"),
        *(
            element("path", d=_wedge(hour, _HOLE + _LENGTH * many / most), class_="wedge")
            for hour, many in enumerate(species.by_hour)
            if many
        ),
        element("text", count(sum(species.by_hour)), x=_MIDDLE, y=_MIDDLE + 6, class_="total"),
        *_numerals(),
        viewBox="-10 -6 220 214",
        role="img",
    )
    name = element("strong", english(species.species))
    return element(
        "figure",
        drawing,
        element("figcaption", name, element("span", _habit(species), class_="soft")),
        class_=f"clock {palette.of(species.species)}",
        data_species=species.species,
    )


def _habit(species: SpeciesSightings) -> str:
    """Return when it was mostly seen, in the words of those who know animals."""
    known = sum(species.by_light.values())
    if not known:
        return ""
    light, many = max(species.by_light.items(), key=lambda each: each[1])
    return f"{percent(many / known)} {_WHEN[light]}"


def _turn(hour: float) -> float:
    """Return where an hour stands on the clock: noon is on top, and so is the sun."""
    return (hour / HOURS + 0.5) % 1


def _wedge(hour: int, radius: float) -> str:
    start = _turn(hour) + 0.003
    return slice_path(_MIDDLE, _MIDDLE, radius, start, start + 1 / HOURS - 0.006, _HOLE)


def _ring(lights: Sequence[Light]) -> Iterator[Markup]:
    inner = _HOLE + _LENGTH + 4
    for hour, light in enumerate(lights):
        start = _turn(hour)
        path = slice_path(_MIDDLE, _MIDDLE, inner + _SKY, start, start + 1 / HOURS, inner)
        yield element("path", d=path, class_=f"arc {light}")


def _numerals() -> Iterator[Markup]:
    for hour, x, y in ((12, 100, 6), (18, 201, 104), (0, 100, 203), (6, -1, 104)):
        yield element("text", f"{hour:02}", x=x, y=y, class_="axis")
