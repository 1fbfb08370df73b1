"""What the drawings of the report are made of: markup, projection, labels, outlines, words."""

import itertools
import json
import math
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.wildlife.report_page import words
from pipelines.wildlife.report_page.labelling import Dot, Label, place_labels
from pipelines.wildlife.report_page.markup import TEXT_MAX, element
from pipelines.wildlife.report_page.outlines import read_outlines
from pipelines.wildlife.report_page.projection import Frame, fit, round_steps, scale_bar
from tests.support.soak import repetitions

_FRAME = Frame(960, 560, 84)
_FEW = settings(max_examples=repetitions(25, 2000), deadline=None)
_PLACES = st.lists(st.tuples(st.floats(-89, 89), st.floats(-180, 180)), min_size=1, max_size=5)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.attributes: dict[str, str | None] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= dict(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


@_FEW
@given(said=st.text(max_size=60))
@example(said='" onload="x')
@example(said="</p><b>&lt;")
def test_text_and_attributes_stay_what_they_are(said: str) -> None:
    """No name, however it is written, becomes an element, an attribute or an end of one."""
    page = element("p", said, title=said)

    page.encode()
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.tags == ["p"]
    assert list(reader.attributes) == ["title"]
    assert len(reader.text) == len(said)


def test_direction_marks_and_long_texts_are_not_shown() -> None:
    """A name cannot turn the words behind it around, nor fill the page."""
    page = element("p", "\u202egpj.exe\ud800" + "x" * 2000)

    assert "\u202e" not in page
    assert len(page) < TEXT_MAX + 20


def test_distances_on_the_map_are_true() -> None:
    """A scale bar is only worth something where a kilometre is one, in both directions."""
    projection = fit([(59.94, 13.40), (59.95, 13.43)], _FRAME)

    (ax, ay), (bx, by) = projection.place(59.94, 13.40), projection.place(59.95, 13.43)
    meters = math.hypot(bx - ax, by - ay) / projection.units_a_meter

    assert meters == pytest.approx(2009, rel=0.005), "the great circle"
    assert by < ay, "north is up"


@_FEW
@given(places=_PLACES)
def test_every_place_lies_on_the_map(places: list[tuple[float, float]]) -> None:
    """Within the margin, wherever on earth; the date line divides nothing."""
    projection = fit(places, _FRAME)

    for x, y in itertools.starmap(projection.place, places):
        assert _FRAME.margin - 1 <= y <= _FRAME.height - _FRAME.margin + 1
        assert 0 <= x <= _FRAME.width or _spread(places) > 180


def _spread(places: list[tuple[float, float]]) -> float:
    longitudes = [longitude for _, longitude in places]
    return max(longitudes) - min(longitudes)


def test_neighbours_across_the_date_line_are_neighbours() -> None:
    """Fiji has forests, too."""
    projection = fit([(-16.8, 179.999), (-16.8, -179.999)], _FRAME)

    (ax, _), (bx, _) = projection.place(-16.8, 179.999), projection.place(-16.8, -179.999)

    assert 0 < bx - ax < _FRAME.width


@_FEW
@given(scale=st.floats(1e-6, 100))
def test_the_scale_bar_is_round_and_fits(scale: float) -> None:
    """1, 2 or 5 with zeros, and no shorter than half of what would fit."""
    meters, length = scale_bar(scale, 200)

    assert f"{meters:e}"[0] in "125"
    assert f"{meters:.6e}"[1:8] == ".000000"
    assert 79 < length <= 200 + 1e-6


@_FEW
@given(low=st.floats(-180, 180), span=st.floats(1e-4, 300))
def test_a_net_has_few_round_lines(low: float, span: float) -> None:
    """Enough to read a position, too few to hide the map."""
    steps = list(round_steps(low, low + span))

    assert 1 <= len(steps) <= 6
    assert all(low - 1e-6 <= step <= low + span + 1e-6 for step in steps)


@_FEW
@given(
    dots=st.lists(
        st.builds(
            Dot, st.floats(0, 960), st.floats(0, 560), st.floats(13, 40), st.text("abc", min_size=1)
        ),
        max_size=12,
    )
)
def test_names_cover_no_other_name(dots: list[Dot]) -> None:
    """A name that has no room is left to the list below."""
    labels = place_labels(dots, 960, 560)

    assert len(labels) <= len(dots)
    for one, other in itertools.combinations(labels, 2):
        assert not _meet(one, other)


def _meet(one: Label, other: Label) -> bool:
    (a, b), (c, d) = _reach(one), _reach(other)
    return abs(one.y - other.y) < 14.9 and a < d and c < b


def _reach(label: Label) -> tuple[float, float]:
    wide = 6.9 * len(label.text)
    left = label.x - {"start": 0.0, "middle": wide / 2, "end": wide}[label.anchor]
    return left + 0.01, left + wide - 0.01


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["features", "properties", "geometry", "coordinates", "type"]), inner
        )
    ),
    max_leaves=12,
)


@_FEW
@given(nonsense=_JSON)
def test_outlines_that_are_none_are_passed_over(nonsense: object) -> None:
    """A map without outlines is still a map."""
    assert read_outlines({"features": nonsense}, frozenset({""})) in ({}, {"": []})


def test_an_outline_has_latitude_first() -> None:
    """GeoJSON has it the other way round."""
    ring = [[13.4, 59.9], [13.5, 59.9], [13.5, 60.0], [13.4, 59.9]]
    feature = {
        "type": "Feature",
        "properties": {"cluster_id": "clu-1"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    places = json.loads(json.dumps({"features": [feature, {**feature, "properties": {}}]}))

    assert read_outlines(places, frozenset({"clu-1"}))["clu-1"][0] == (59.9, 13.4)
    assert read_outlines(places, frozenset({"clu-2"})) == {}


@pytest.mark.parametrize(
    ("said", "written"),
    [
        (words.count(1200), "1\u202f200"),
        (words.count(1, "place"), "1 place"),
        (words.decimal(-0.04), "0.0"),
        (words.decimal(-3.25, 2), "\u22123.25"),
        (words.money(0.142875), "0.1429\u202fDKK"),
        (words.money(25), "25.00\u202fDKK"),
        (words.percent(0.0057), "0.6\u202f%"),
        (words.percent(1), "100\u202f%"),
        (words.duration(75), "1.2\u202fmin"),
        (words.position(-59.33, 18.07, 2), "59.33°\u202fS, 18.07°\u202fE"),
        (words.distance(2000), "2\u202fkm"),
    ],
)
def test_figures_are_written_as_people_read_them(said: str, written: str) -> None:
    """Thousands apart, a sign that is seen, no minus before nothing."""
    assert said == written


@pytest.mark.parametrize(
    ("first", "last", "written"),
    [
        ((2026, 10, 3), (2026, 10, 3), "3 October 2026"),
        ((2026, 10, 3), (2026, 10, 16), "3\u201316 October 2026"),
        ((2026, 9, 30), (2026, 10, 2), "30 September \u2013 2 October 2026"),
        ((2025, 12, 30), (2026, 1, 2), "30 December 2025 \u2013 2 January 2026"),
    ],
)
def test_two_dates_say_once_what_they_share(
    first: tuple[int, int, int], last: tuple[int, int, int], written: str
) -> None:
    """It is the page's title."""
    said = words.days(datetime(*first, tzinfo=UTC), datetime(*last, tzinfo=UTC), UTC)

    assert said == written
