"""The page as a whole: one file, the same each time, bounded, and nobody's but ours."""

import io
import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest
from PIL import Image

from pipelines.wildlife.report_page.counting import FigureCounter, count_rows
from pipelines.wildlife.report_page.figures import CROP_BYTES_MAX, Figures
from pipelines.wildlife.report_page.gallery import TOGETHER_BYTES_MAX, make_thumbnail
from pipelines.wildlife.report_page.render import render_page
from tests.support.wildlife_sightings import START, make_crop, make_report, make_row, make_sightings

_EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
_VOID = frozenset({"meta", "img", "br"})


@pytest.fixture(scope="module")
def fortnight() -> Figures:
    """Count two weeks of sightings."""
    counter = FigureCounter(ZoneInfo("Europe/Stockholm"))
    for row, timeline in make_sightings():
        counter.add(row, timeline)
    return counter.figures()


class _Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _read(page: str) -> list[tuple[str, dict[str, str | None]]]:
    reader = _Balance()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader.seen


def test_the_same_run_has_the_same_page(fortnight: Figures) -> None:
    """Written anew, a result has the bytes it had."""
    crops = {fortnight.samples[0].crop_uri: make_crop("roe_deer", 1)}

    pages = {render_page(make_report(), fortnight, {}, crops) for _ in range(2)}

    assert len(pages) == 1


def test_the_page_asks_for_nothing(fortnight: Figures) -> None:
    """It is opened from a folder, a bucket or a mail, and tells nobody."""
    crops = {fortnight.samples[0].crop_uri: make_crop("roe_deer", 1)}

    page = render_page(make_report(), fortnight, {}, crops)

    tags = _read(page)
    asked = [(tag, name) for tag, has in tags for name in has if name in {"href", "src", "srcset"}]
    assert asked == [("img", "src")]
    assert not re.findall(r"@import|url\((?!#)", page)
    assert not [has for _, has in tags if "style" in has or any(n.startswith("on") for n in has)]
    assert {tag for tag, _ in tags}.isdisjoint({"link", "iframe", "object", "base", "form"})


def test_the_policy_lets_only_our_own_style_and_script_in(fortnight: Figures) -> None:
    """A script that was smuggled in has another digest, and is not run."""
    page = render_page(make_report(), fortnight, {}, {})

    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy
    assert "default-src &#x27;none&#x27;" in policy[1]
    for tag in ("style", "script"):
        bodies = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digests = [b64encode(sha256(body.encode()).digest()).decode() for body in bodies]
        assert [f"{tag}-src &#x27;sha256-{digest}&#x27;" in policy[1] for digest in digests] == [
            True
        ]
    assert "unsafe" not in policy[1]


def test_whatever_comes_from_outside_is_text() -> None:
    """Names of folders, places and species, and what a provider says of itself."""
    row = make_row(
        camera_id=_EVIL,
        species=_EVIL,
        latitude=60.0,
        longitude=13.0,
        cluster_id=_EVIL,
        cluster_name=_EVIL,
        weather_condition_code=_EVIL,
        weather_wind_dir_card=_EVIL,
    )
    report = make_report(
        run_id=_EVIL, warnings=[_EVIL], stages={_EVIL: {"seconds": 1.0, "counts": {_EVIL: 1}}}
    )

    page = render_page(report, count_rows([row]), {"features": [_EVIL]}, {})

    tags = [tag for tag, _ in _read(page)]
    assert tags.count("script") == 1
    assert "img" not in tags


@pytest.mark.parametrize(
    "figures",
    [
        count_rows([]),
        count_rows([make_row()]),
        count_rows([make_row(start_time=datetime(1970, 1, 1, tzinfo=UTC))]),
        count_rows([make_row(latitude=90.0, longitude=180.0, cluster_id="c", cluster_name="Pole")]),
        count_rows(
            make_row(n, start_time=START + timedelta(days=400 * n), species=f"kind{n}")
            for n in range(100)
        ),
    ],
    ids=["nothing", "nowhere", "no-time", "pole", "a-century"],
)
def test_every_run_has_a_page(figures: Figures) -> None:
    """Without sightings, positions, times, weather or crops it is shorter, and whole."""
    page = render_page(make_report(warnings=[]), figures, {}, {})

    assert len(_read(page)) > 50


def test_a_run_with_very_many_places_has_a_page_that_opens() -> None:
    """What is too much to look at is counted, and said."""
    rows = (
        make_row(
            n,
            latitude=55 + n / 1000,
            longitude=13.0 + n / 2000,
            camera_id=f"cam{n % 1500}",
            cluster_id=f"clu-{n}",
            cluster_name=f"Unknown_Cluster_{n}",
        )
        for n in range(2500)
    )

    page = render_page(make_report(), count_rows(rows), {}, {})

    assert len(page) < 200_000
    assert "2\u202f440 places with fewer sightings are not drawn." in page


def test_crops_are_made_small_and_few() -> None:
    """Pictures of ten megapixels would make a page that no mail takes."""
    written = io.BytesIO()
    Image.effect_noise((1600, 1200), 200).save(written, "JPEG", quality=95)
    large = written.getvalue()

    small = make_thumbnail(large)

    assert small is not None
    assert max(small[1]) == 360
    assert len(small[0]) * 4 / 3 * 24 < TOGETHER_BYTES_MAX
    assert len(small[0]) < len(large) / 10


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not a picture",
        make_crop("fox", 1)[:400],
        b"\x89PNG\r\n\x1a\n" + b"\0" * 40,
        b"GIF89a" + b"\0" * 40,
        b"x" * (CROP_BYTES_MAX + 1),
    ],
    ids=["empty", "text", "cut", "broken-png", "gif", "long"],
)
def test_a_crop_that_is_no_picture_is_left_out(fortnight: Figures, body: bytes) -> None:
    """A sample that is missing costs nobody a report."""
    page = render_page(make_report(), fortnight, {}, {fortnight.samples[0].crop_uri: body})

    assert "<img" not in page


def test_a_bomb_is_left_out() -> None:
    """A few kilobytes that would be many megapixels are not unpacked."""
    written = io.BytesIO()
    Image.new("1", (6000, 6000)).save(written, "PNG")

    assert make_thumbnail(written.getvalue()) is None
