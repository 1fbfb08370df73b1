"""The table of species. Pure."""

from datetime import datetime

from pipelines.wildlife.report_page.figures import Figures, SpeciesSightings
from pipelines.wildlife.report_page.markup import Markup, element
from pipelines.wildlife.report_page.species import Palette, english, latin
from pipelines.wildlife.report_page.sun import Light
from pipelines.wildlife.report_page.words import (
    UNKNOWN,
    count,
    decimal,
    minute,
    percent,
    short_minute,
)

_COLUMNS = (
    ("Species", ""),
    ("Sightings", "number"),
    ("Animals", "number"),
    ("Light", ""),
    ("Confidence", "number"),
    ("Review", "number"),
    ("Air", "number"),
    ("First seen", ""),
    ("Last seen", ""),
)


def draw_species(figures: Figures, palette: Palette) -> Markup:
    """Return the table, the most frequent first."""
    most = figures.species[0].sightings if figures.species else 1
    rows = [_row(each, figures, most, palette) for each in figures.species]
    heads = [element("th", name, scope="col", class_=kind) for name, kind in _COLUMNS]
    total = (
        element("th", "All", scope="row"),
        element("td", count(figures.sightings), class_="number"),
        element("td", count(figures.animals), class_="number"),
        element("td"),
        element("td"),
        element("td", count(figures.needs_review), class_="number"),
        *(element("td") for _ in range(3)),
    )
    table = element(
        "table",
        element("thead", element("tr", *heads)),
        element("tbody", *rows),
        element("tfoot", element("tr", *total)),
        class_="species sortable",
    )
    return element("div", table, class_="wide", tabindex=0, role="region", aria_label="Species")


def _row(species: SpeciesSightings, figures: Figures, most: int, palette: Palette) -> Markup:
    name = (
        element("span", english(species.species), class_="key " + palette.of(species.species)),
        element("i", latin(species.species), class_="latin") if latin(species.species) else None,
    )
    air = species.temperature
    return element(
        "tr",
        element("th", *name, scope="row", data_sort=english(species.species)),
        _number(species.sightings, count(species.sightings), _bar(species.sightings / most)),
        _number(species.animals, count(species.animals)),
        element("td", _light(species), data_sort=species.by_light[Light.NIGHT]),
        _number(species.mean_confidence, decimal(species.mean_confidence, 2)),
        _number(species.needs_review, count(species.needs_review)),
        _number(air.mean if air else -999, f"{decimal(air.mean)} °C" if air else UNKNOWN),
        _time(species.first_at, figures),
        _time(species.last_at, figures),
        class_=palette.of(species.species),
        data_species=species.species,
    )


def _number(value: float, text: str, bar: Markup | None = None) -> Markup:
    return element("td", text, bar, class_="number", data_sort=value)


def _time(moment: datetime, figures: Figures) -> Markup:
    first, last = (
        each.astimezone(figures.zone).year if each else 0
        for each in (figures.first_at, figures.last_at)
    )
    write = short_minute if first == last == moment.astimezone(figures.zone).year else minute
    said = write(moment, figures.zone)
    return element("td", said, class_="time", data_sort=moment.isoformat())


def _bar(share: float) -> Markup:
    filled = element("rect", x=100 - 100 * share, width=100 * share, height=4, class_="filled")
    return element(
        "svg",
        filled,
        viewBox="0 0 100 4",
        preserveAspectRatio="none",
        class_="bar",
        aria_hidden="true",
    )


def _light(species: SpeciesSightings) -> Markup | str:
    known = sum(species.by_light.values())
    if not known:
        return UNKNOWN
    said = ", ".join(f"{percent(many / known)} {light}" for light, many in species.by_light.items())
    parts, start = [], 0.0
    for light, many in species.by_light.items():
        wide = 100 * many / known
        parts.append(element("rect", x=start, width=wide, height=10, class_=f"arc {light}"))
        start += wide
    return element(
        "svg",
        element("title", said),
        *parts,
        viewBox="0 0 100 10",
        preserveAspectRatio="none",
        role="img",
        class_="light",
    )
