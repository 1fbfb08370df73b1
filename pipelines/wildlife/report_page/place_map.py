"""The map of places: circles cut by species, a scale, a net of degrees, and no tiles. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence

from pipelines.wildlife.report_page.figures import Figures, PlaceSightings
from pipelines.wildlife.report_page.labelling import Dot, place_labels
from pipelines.wildlife.report_page.markup import Markup, element, join
from pipelines.wildlife.report_page.outlines import Ring
from pipelines.wildlife.report_page.projection import Frame, Projection, fit, scale_bar
from pipelines.wildlife.report_page.species import Palette, english
from pipelines.wildlife.report_page.words import count, distance, position

PLACES_MAX = 60
"""Drawn and listed; the others are counted."""

_FRAME = Frame(960, 560, 84)
_RADIUS_MIN, _RADIUS_MAX = 13.0, 40.0
_NAMED_MAX = 14
_KEYS_MAX = 4
_NORTH = 130.0
"""Units at the upper right corner that belong to the arrow."""
_OUTLINE_MIN = 6.0
"""Units: an outline that is smaller lies below its circle."""


def draw_map(figures: Figures, outlines: Mapping[str, Ring], palette: Palette) -> Markup | None:
    """Return the map and what its numbers mean; None where no place is known."""
    places = figures.places[:PLACES_MAX]
    if not places:
        return None
    projection = fit([(place.latitude, place.longitude) for place in places], _FRAME)
    dots = [_dot(place, projection, places[0].sightings) for place in places]
    drawing = element(
        "svg",
        element("title", "Map of places"),
        element("desc", f"{count(len(places), 'place')}, listed beside this map."),
        element("rect", width=_FRAME.width, height=_FRAME.height, class_="ground"),
        *_net(projection),
        *_outlines(outlines, projection),
        # The smaller ones are drawn on top of the larger.
        *(_circle(*each, palette) for each in zip(range(1, len(places) + 1), places, dots)),  # noqa: B905 - of one length
        *_labels(dots),
        *_scale(projection),
        _north(),
        viewBox=f"0 0 {_FRAME.width} {_FRAME.height}",
        role="img",
        class_="map",
    )
    return element("figure", drawing, _list(figures, places, palette), class_="places")


def _dot(place: PlaceSightings, projection: Projection, most: int) -> Dot:
    x, y = projection.place(place.latitude, place.longitude)
    radius = max(_RADIUS_MIN, _RADIUS_MAX * math.sqrt(place.sightings / most))
    return Dot(x, y, radius, place.name if len(place.name) <= 28 else f"{place.name[:27]}…")  # noqa: PLR2004 - what fits


def _net(projection: Projection) -> Iterator[Markup]:
    parallels, meridians = list(projection.parallels()), list(projection.meridians())
    digits = max((_decimals(degrees) for degrees, _ in (*parallels, *meridians)), default=0)
    for degrees, y in parallels:
        yield element("line", x1=0, x2=_FRAME.width, y1=y, y2=y, class_="net")
        said = f"{abs(degrees):.{digits}f}° {'N' if degrees >= 0 else 'S'}"
        yield element("text", said, x=8, y=y - 5, class_="net")
    for degrees, x in meridians:
        yield element("line", x1=x, x2=x, y1=0, y2=_FRAME.height, class_="net")
        said = f"{abs(degrees):.{digits}f}° {'E' if degrees >= 0 else 'W'}"
        if x < _FRAME.width - _NORTH:
            yield element("text", said, x=x + 5, y=7, dominant_baseline="hanging", class_="net")


def _decimals(degrees: float) -> int:
    return len(f"{degrees:.9f}".rstrip("0").partition(".")[2])


def _outlines(outlines: Mapping[str, Ring], projection: Projection) -> Iterator[Markup]:
    for name in sorted(outlines):
        corners = [projection.place(*corner) for corner in outlines[name]]
        wide = max(x for x, _ in corners) - min(x for x, _ in corners)
        if wide >= _OUTLINE_MIN:
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
            yield element("polygon", points=points, class_="outline")


def _circle(number: int, place: PlaceSightings, dot: Dot, palette: Palette) -> Markup:
    said = ", ".join(f"{english(name)} {many}" for name, many in place.species.items())
    return element(
        "g",
        element("title", f"{number}. {place.name}: {count(place.sightings, 'sighting')} ({said})"),
        element("circle", cx=dot.x, cy=dot.y, r=dot.radius + 2.5, class_="halo"),
        *_slices(place, dot, palette),
        element("circle", cx=dot.x, cy=dot.y, r=9.5, class_="hub"),
        element("text", str(number), x=dot.x, y=dot.y + 4.5, class_="number"),
        class_="place",
        data_has=" ".join(place.species),
    )


def _slices(place: PlaceSightings, dot: Dot, palette: Palette) -> Iterator[Markup]:
    """Yield a slice for each species, clockwise from the top."""
    start = 0.0
    for species, many in place.species.items():
        share = many / place.sightings
        yield element(
            "path",
            d=slice_path(dot.x, dot.y, dot.radius, start, start + share),
            class_=f"slice {palette.of(species)}",
            data_species=species,
        )
        start += share


def slice_path(x: float, y: float, radius: float, start: float, end: float, hole: float = 0) -> str:
    """Return the path of a part of a disc, or of a ring; 0 and 1 are at the top."""
    # A whole turn begins where it ends, which draws nothing.
    end = min(end, start + 0.9999)
    (ax, ay), (bx, by) = _at(x, y, radius, start), _at(x, y, radius, end)
    large = int(end - start > 0.5)  # noqa: PLR2004 - half a turn
    outer = f"{ax:.2f} {ay:.2f}A{radius:.2f} {radius:.2f} 0 {large} 1 {bx:.2f} {by:.2f}"
    if not hole:
        return f"M{x:.2f} {y:.2f}L{outer}Z"
    (cx, cy), (dx, dy) = _at(x, y, hole, end), _at(x, y, hole, start)
    return f"M{outer}L{cx:.2f} {cy:.2f}A{hole:.2f} {hole:.2f} 0 {large} 0 {dx:.2f} {dy:.2f}Z"


def _at(x: float, y: float, radius: float, turn: float) -> tuple[float, float]:
    angle = 2 * math.pi * turn
    return x + radius * math.sin(angle), y - radius * math.cos(angle)


def _labels(dots: Sequence[Dot]) -> Iterator[Markup]:
    for label in place_labels(dots, _FRAME.width, _FRAME.height)[:_NAMED_MAX]:
        yield element(
            "text", label.text, x=label.x, y=label.y, text_anchor=label.anchor, class_="name"
        )


def _scale(projection: Projection) -> Iterator[Markup]:
    meters, length = scale_bar(projection.units_a_meter, 0.22 * _FRAME.width)
    x, y = _FRAME.width - length - 28, _FRAME.height - 26
    yield element("path", d=f"M{x:.1f} {y - 7}v7h{length:.1f}v-7", class_="scale")
    yield element("text", distance(meters), x=x + length / 2, y=y - 9, class_="scale")


def _north() -> Markup:
    x = _FRAME.width - 34
    return element(
        "g",
        element("path", d=f"M{x} 24l9 26l-9 -6l-9 6z", class_="north"),
        element("text", "N", x=x, y=66, class_="scale"),
    )


def _list(figures: Figures, places: Sequence[PlaceSightings], palette: Palette) -> Markup:
    rows = [
        element(
            "li",
            element("strong", place.name),
            element("span", position(place.latitude, place.longitude), class_="soft where"),
            element("span", _summary(place.species, palette), class_="soft"),
        )
        for place in places
    ]
    return element(
        "figcaption",
        element("ol", *rows, class_="numbered"),
        *(element("p", line, class_="soft") for line in _missing(figures, len(places))),
    )


def _summary(species: Mapping[str, int], palette: Palette) -> Markup:
    chips = [
        element("span", f"{english(name)} {many}", class_=f"key {palette.of(name)}")
        for name, many in list(species.items())[:_KEYS_MAX]
    ]
    return join(*chips)


def draw_cameras(figures: Figures, palette: Palette) -> Markup:
    """Return the table of cameras."""
    rows = [
        element(
            "tr",
            element("th", camera.camera_id, scope="row"),
            element("td", count(camera.sightings), class_="number"),
            element("td", _summary(camera.species, palette), class_="keys"),
        )
        for camera in figures.cameras[:PLACES_MAX]
    ]
    heads = (("Camera", ""), ("Sightings", "number"), ("Most often", "keys"))
    head = element("tr", *(element("th", name, scope="col", class_=kind) for name, kind in heads))
    return element("table", element("thead", head), element("tbody", *rows), class_="cameras")


def _missing(figures: Figures, listed: int) -> Iterator[str]:
    rest = len(figures.places) - listed
    if rest > 0:
        yield f"{count(rest, 'place')} with fewer sightings are not drawn."
    if figures.places_left_out:
        yield f"{count(figures.places_left_out, 'sighting')} at further places are not drawn."
    if figures.unplaced:
        yield f"{count(figures.unplaced, 'sighting')} without a position."
