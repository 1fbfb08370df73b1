"""Windows of days."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.glacier.dates import BadWindow, Window, parse_date

_SEASON = {5, 6, 7, 8, 9}


def _window(first: str, last: str) -> Window:
    return Window(date.fromisoformat(first), date.fromisoformat(last))


@st.composite
def _windows(draw: st.DrawFn) -> Window:
    first = draw(st.dates(min_value=date(1970, 1, 1), max_value=date(2090, 1, 1)))
    return Window(first, first + timedelta(days=draw(st.integers(0, 1500))))


@pytest.mark.parametrize(
    "text",
    ["2024-99-99", "2024-02-30", "2024-8-1", "20240801", "2024-W31-4", "2024-08-01T00", "", " ",
     "२०२४-०८-०१", "2024-08-01\n", "0000-01-01", "-2024-01-01"],
)  # fmt: skip
def test_a_date_is_one_of_the_calendar(text: str) -> None:
    """A wrong date sent to two hundred jobs is two hundred wrong jobs."""
    with pytest.raises(ValueError, match=r".+"):
        parse_date(text)


def test_a_day_that_only_leap_years_have() -> None:
    """The calendar decides, not a list of lengths."""
    assert parse_date("2024-02-29") == date(2024, 2, 29)


def test_a_window_of_one_day_is_legal() -> None:
    """Both ends are included."""
    assert _window("2024-08-01", "2024-08-01").days == 1


def test_a_window_does_not_end_before_it_begins() -> None:
    """Swapped dates would find nothing, and look like success."""
    with pytest.raises(BadWindow, match="2024-08-02"):
        _window("2024-08-02", "2024-08-01")


@given(_windows(), st.integers(0, 400))
def test_chunks_cover_each_day_once(window: Window, days: int) -> None:
    """A gap loses scenes, an overlap pays for them twice."""
    chunks = list(window.chunks(days))

    assert chunks[0].first == window.first
    assert chunks[-1].last == window.last
    assert len(chunks) == window.chunk_count(days)
    for before, after in pairwise(chunks):
        assert after.first == before.last + timedelta(days=1)
    if days:
        assert all(chunk.days == days for chunk in chunks[:-1])
        assert chunks[-1].days <= days


def test_chunks_reach_the_end_of_the_calendar() -> None:
    """There is no day after the last one to stop at."""
    chunks = list(_window("9999-12-01", "9999-12-31").chunks(31))

    assert [chunk.last for chunk in chunks] == [date.max]


@pytest.mark.parametrize(
    ("first", "last", "months"),
    [
        ("2024-08-01", "2024-08-01", 1),
        ("2024-08-01", "2024-08-31", 1),
        ("2024-08-01", "2024-09-01", 2),
        ("2024-07-31", "2024-08-01", 1),
        ("2024-01-15", "2024-02-14", 1),
        ("2024-01-15", "2024-02-15", 2),
        ("2023-12-01", "2024-12-01", 13),
    ],
)
def test_a_month_counts_as_soon_as_it_has_begun(first: str, last: str, months: int) -> None:
    """Time limits grow with the months; a job that is cut off loses its work."""
    assert _window(first, last).started_months() == months


@pytest.mark.parametrize(
    ("first", "last", "season"),
    [
        ("2024-04-20", "2024-05-10", True),
        ("2024-04-30", "2024-05-01", True),
        ("2024-09-30", "2024-10-31", True),
        ("2024-10-01", "2025-04-30", False),
        ("2024-01-31", "2024-04-30", False),
        ("2024-10-01", "2026-01-01", True),
    ],
)
def test_the_season_is_found_wherever_it_lies(first: str, last: str, season: bool) -> None:  # noqa: FBT001 - a table
    """Stepping by months breaks on day 31 and misses the last month."""
    assert _window(first, last).has_season() is season


@given(_windows())
def test_the_season_is_what_a_look_at_each_day_finds(window: Window) -> None:
    """The shortcut over whole years changes nothing."""
    days = (window.first + timedelta(days=day) for day in range(window.days))

    assert window.has_season() is any(day.month in _SEASON for day in days)
