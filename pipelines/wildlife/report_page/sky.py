"""The head of the page: all sightings by the hour, as a ridge under that day's sky. Pure."""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from pipelines.wildlife.report_page.figures import HOURS, Figures
from pipelines.wildlife.report_page.markup import Markup, element, join
from pipelines.wildlife.report_page.sun import elevation
from pipelines.wildlife.report_page.words import count, day, position

_WIDTH = 1200
_GROUND, _RIDGE_MAX = 262, 168
_STEPS = 4 * HOURS
_LAYERS = (("far", 1.9, 1.12), ("near", 0.7, 1.0))
"""Layers of the ridge: class, hours over which a sighting is spread, and height."""
_COLOURS = (
    (-18.0, (10, 18, 42)),
    (-10.0, (24, 34, 74)),
    (-5.0, (72, 70, 116)),
    (-1.5, (188, 116, 110)),
    (1.5, (236, 168, 112)),
    (6.0, (240, 206, 160)),
    (13.0, (190, 219, 230)),
    (35.0, (142, 194, 226)),
)
"""Of the sky, red, green and blue by degrees of the sun."""
_STARS, _TREES = 60, 66


def draw_sky(figures: Figures) -> Markup | None:
    """Return the picture with its caption; None where no time of day is known."""
    if not sum(figures.by_hour):
        return None
    midnight = _middle(figures)
    heights = _elevations(midnight, figures.position)
    peak = figures.by_hour.index(max(figures.by_hour))
    said = f"Most sightings between {peak:02}:00 and {peak + 1:02}:00 ({figures.zone})."
    drawing = element(
        "svg",
        element("title", "Sightings by hour of the day"),
        element("desc", said),
        _gradients(heights),
        element("rect", width=_WIDTH, height=_GROUND, fill="url(#sky)"),
        element("rect", width=_WIDTH, height=_GROUND, fill="url(#haze)"),
        *(_stars(heights) if heights else ()),
        _sun(heights) if heights else None,
        *_ridges(figures.by_hour),
        viewBox=f"0 0 {_WIDTH} {_GROUND}",
        role="img",
        class_="sky",
    )
    under = f", under the sky of {day(midnight, figures.zone)}" if heights else ""
    where = f" at {position(*figures.position, 2)}" if figures.position and heights else ""
    caption = f"The ridge is {count(sum(figures.by_hour), 'sighting')} by local hour{under}{where}."
    return element(
        "figure", drawing, _hours(), element("figcaption", caption, " ", said), class_="hero"
    )


def _middle(figures: Figures) -> datetime:
    """Return the midnight before the middle of what was seen."""
    first, last = figures.first_at, figures.last_at
    if first is None or last is None:
        raise ValueError("hours without times")
    middle = (first + (last - first) / 2).astimezone(figures.zone)
    return middle.replace(hour=0, minute=0, second=0, microsecond=0)


def _elevations(midnight: datetime, where: tuple[float, float] | None) -> Sequence[float]:
    """Return where the sun stands at each step of the day; nothing where the place is not known."""
    if where is None:
        return ()
    steps = (midnight + timedelta(hours=HOURS * step / _STEPS) for step in range(_STEPS + 1))
    return [elevation(moment, *where) for moment in steps]


def _gradients(heights: Sequence[float]) -> Markup:
    colours = [_colour(height) for height in heights[:: _STEPS // 48]] or ["#c3d2ca"]
    last = max(1, len(colours) - 1)
    stops = [
        element("stop", offset=f"{100 * number / last:.2f}%", stop_color=colour)
        for number, colour in enumerate(colours)
    ]
    haze = (
        element("stop", offset="35%", stop_color="#fff", stop_opacity="0"),
        element("stop", offset="100%", stop_color="#fff", stop_opacity="0.3"),
    )
    return element(
        "defs",
        element("linearGradient", *stops, id="sky"),
        element("linearGradient", *haze, id="haze", x2="0", y2="1"),
    )


def _colour(height: float) -> str:
    below, above = _COLOURS[0], _COLOURS[-1]
    for one, other in pairwise(_COLOURS):
        if one[0] <= height <= other[0]:
            below, above = one, other
    share = min(1.0, max(0.0, (height - below[0]) / (above[0] - below[0])))
    mixed = (round(a + share * (b - a)) for a, b in zip(below[1], above[1], strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _stars(heights: Sequence[float]) -> Iterator[Markup]:
    """Yield stars where it is dark; where they stand follows from their number alone."""
    for number in range(_STARS):
        across, up = number * 0.618034 % 1, number * 0.754878 % 1
        height = heights[int(across * _STEPS)]
        if height < -8:  # noqa: PLR2004 - degrees at which stars come out
            yield element(
                "circle",
                cx=across * _WIDTH,
                cy=12 + up * 130,
                r=0.7 + (number % 3) * 0.4,
                fill="#fff",
                opacity=min(0.9, -height / 20),
            )


def _sun(heights: Sequence[float]) -> Markup | None:
    highest = max(heights)
    if highest < 0:
        return None
    across = heights.index(highest) / _STEPS * _WIDTH
    return join(
        element("circle", cx=across, cy=150 - 1.9 * highest, r=44, fill="#fff", opacity="0.22"),
        element("circle", cx=across, cy=150 - 1.9 * highest, r=22, fill="#fffaf0"),
    )


def _ridges(hours: Sequence[int]) -> Iterator[Markup]:
    for layer, bandwidth, height in _LAYERS:
        tops = _tops(hours, bandwidth, height)
        points = " ".join(
            f"{_WIDTH * step / _STEPS:.1f},{top:.1f}" for step, top in enumerate(tops)
        )
        yield element(
            "polygon", points=f"0,{_GROUND} {points} {_WIDTH},{_GROUND}", class_=f"ridge {layer}"
        )
        if layer == "near":
            yield _trees(tops)


def _tops(hours: Sequence[int], bandwidth: float, height: float) -> list[float]:
    density = _density(hours, bandwidth)
    scale = height * _RIDGE_MAX / max(density)
    return [_GROUND - 8 - scale * value for value in density]


def _density(hours: Sequence[int], bandwidth: float) -> list[float]:
    """Spread each hour's sightings around its middle, over midnight as well."""
    found = []
    for step in range(_STEPS + 1):
        at = HOURS * step / _STEPS
        apart = ((abs(at - hour - 0.5), many) for hour, many in enumerate(hours))
        shares = (
            many * math.exp(-((min(gap, HOURS - gap) / bandwidth) ** 2) / 2) for gap, many in apart
        )
        found.append(sum(shares))
    return found


def _trees(tops: Sequence[float]) -> Markup:
    """Plant the near ridge: spruces, which have no meaning but are where animals live."""
    drawn = []
    for number in range(_TREES):
        across = (number + 0.5 + 0.35 * math.sin(number * 12.9898)) / _TREES
        foot = tops[round(across * _STEPS)] + 4
        high, x = 13 + 9 * (number * 0.618034 % 1), across * _WIDTH
        wide = high * 0.27
        drawn.append(
            f"M{x - wide:.1f} {foot:.1f}L{x:.1f} {foot - high:.1f}L{x + wide:.1f} {foot:.1f}Z"
        )
    return element("path", d="".join(drawn), class_="ridge near")


def _hours() -> Markup:
    labels = (
        element("span", f"{hour:02}:00", class_="" if hour % 6 == 0 else "minor")
        for hour in range(0, HOURS + 1, 3)
    )
    return element("div", *labels, class_="scale-hours", aria_hidden="true")
