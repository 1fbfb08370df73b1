"""Sightings by day, week, month or year, whichever is read at a glance. Pure."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta

from pipelines.wildlife.report_page.figures import Figures
from pipelines.wildlife.report_page.markup import Markup, element
from pipelines.wildlife.report_page.projection import round_steps
from pipelines.wildlife.report_page.species import Palette, english
from pipelines.wildlife.report_page.words import count

_BARS_MAX = 64
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 960.0, 240.0, 44.0, 12.0, 28.0
_MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


def _day(day: date) -> date:
    return day


def _week(day: date) -> date:
    return day - timedelta(days=min(day.weekday(), (day - date.min).days))


def _month(day: date) -> date:
    return day.replace(day=1)


def _year(day: date) -> date:
    return day.replace(day=1, month=1)


# The name, the first day of what a day belongs to, and the fewest days from one to the next.
_STEPS: tuple[tuple[str, Callable[[date], date], int], ...] = (
    ("day", _day, 1),
    ("week", _week, 7),
    ("month", _month, 28),
    ("year", _year, 365),
)


def draw_timeline(figures: Figures, palette: Palette) -> Markup | None:
    """Return the bars; None where no day is known."""
    if not figures.by_day:
        return None
    word, bars = _grouped(figures.by_day)
    highest = max(sum(bar.values()) for bar in bars.values())
    ranks = {each.species: rank for rank, each in enumerate(figures.species)}
    drawing = element(
        "svg",
        element("title", f"Sightings by {word}"),
        *_levels(highest),
        *(
            each
            for number, (first, bar) in enumerate(bars.items())
            for each in _bar(number, len(bars), first, bar, highest, ranks, palette)
        ),
        *_dates(word, list(bars)),
        viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
        role="img",
        class_="timeline",
    )
    caption = f"Sightings by {word}, {count(len(figures.by_day), 'day')} with any."
    return element("figure", drawing, element("figcaption", caption))


def _grouped(days: Mapping[date, Mapping[str, int]]) -> tuple[str, dict[date, Counter[str]]]:
    """Return what a bar stands for, and the bars, with empty ones where nothing was seen."""
    first, last = min(days), max(days)
    word, start, apart = next(
        (step for step in _STEPS if (last - first).days / step[2] < _BARS_MAX), _STEPS[-1]
    )
    bars: dict[date, Counter[str]] = {}
    for offset in range(0, (last - first).days + 1, apart):
        bars[start(first + timedelta(days=offset))] = Counter()
    for day, species in days.items():
        bars.setdefault(start(day), Counter()).update(species)
    return word, dict(sorted(bars.items()))


def _levels(highest: int) -> Iterator[Markup]:
    for level in round_steps(0, highest * 1.02):
        y = _y(level / highest)
        if level != int(level):
            continue
        yield element("line", x1=_LEFT, x2=_WIDTH, y1=y, y2=y, class_="net")
        yield element("text", str(int(level)), x=_LEFT - 8, y=y + 4, class_="axis end")


def _bar(
    number: int,
    bars: int,
    first: date,
    bar: Mapping[str, int],
    highest: int,
    ranks: Mapping[str, int],
    palette: Palette,
) -> Iterator[Markup]:
    step = (_WIDTH - _LEFT) / bars
    wide = min(34.0, step * 0.78)
    x, below = _LEFT + step * (number + 0.5) - wide / 2, 0
    for species in sorted(bar, key=lambda name: ranks.get(name, len(ranks))):
        above = below + bar[species]
        top, foot = _y(above / highest), _y(below / highest)
        yield element(
            "rect",
            element("title", f"{_said(first)}: {english(species)} {bar[species]}"),
            x=x,
            y=top,
            width=wide,
            height=foot - top,
            class_=f"slice {palette.of(species)}",
            data_species=species,
        )
        below = above


def _dates(word: str, firsts: list[date]) -> Iterator[Markup]:
    step = (_WIDTH - _LEFT) / len(firsts)
    every = -(-len(firsts) * 62 // int(_WIDTH - _LEFT)) or 1
    for number in range(0, len(firsts), every):
        first = firsts[number]
        said = str(first.year) if word == "year" else _said(first)
        if word == "month":
            said = f"{_MONTHS[first.month - 1]} {first.year}"
        x = _LEFT + step * (number + 0.5)
        kind = "axis" if number % (3 * every) == 0 else "axis minor"
        yield element("text", said, x=x, y=_HEIGHT - 8, class_=kind)


def _said(day: date) -> str:
    return f"{day.day} {_MONTHS[day.month - 1]}"


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * share
