"""Dates of a run: the calendar, windows of days, how they are cut, and when there is light. Pure.

A window has a first and a last day, both inclusive; a window of one day is legal, and the last day
may lie in the future.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SEASON_MONTHS = range(5, 10)
"""May to September: the snow is wet or gone, and there is light enough."""


class BadWindow(ValueError):
    """The first day lies behind the last."""


@dataclass(frozen=True, slots=True)
class Window:
    """The days from `first` to `last`, both included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise BadWindow(
                f"date1 {self.first.isoformat()!r} is after date2 {self.last.isoformat()!r}"
            )

    @property
    def days(self) -> int:
        """Number of days, at least one."""
        return (self.last - self.first).days + 1

    def chunks(self, days: int) -> Iterator["Window"]:
        """Cut it into consecutive windows of so many days, the last one shorter; 0 cuts nothing."""
        if days <= 0:
            yield self
            return
        for start in range(0, self.days, days):
            first = self.first + timedelta(days=start)
            # Added to the first day it may leave the calendar: 9999-12-31 has no day after it.
            length = min(days, self.days - start)
            yield Window(first, first + timedelta(days=length - 1))

    def chunk_count(self, days: int) -> int:
        """Return how many windows `chunks` yields, without making them."""
        return 1 if days <= 0 else -(-self.days // days)

    def started_months(self) -> int:
        """Count the months begun since the first day: 15 January to 14 February is one."""
        months = (self.last.year - self.first.year) * 12 + self.last.month - self.first.month
        return max(1, months + (self.last.day >= self.first.day))

    def has_season(self) -> bool:
        """Tell whether any of its days lies in May to September."""
        # Between two Septembers there is always a May.
        if self.last.year - self.first.year > 1:
            return True
        return any(
            Window(first, last).overlaps(self)
            for year in {self.first.year, self.last.year}
            for first, last in [
                (date(year, _SEASON_MONTHS[0], 1), date(year, _SEASON_MONTHS[-1], 30))
            ]
        )

    def overlaps(self, other: "Window") -> bool:
        """Tell whether they have a day in common."""
        return self.first <= other.last and other.first <= self.last


def parse_date(text: str) -> date:
    """Return the day that `YYYY-MM-DD` means; ValueError where the calendar has none such."""
    # Without the pattern 20240801, 2024-W31-4 and digits of other scripts would pass, too.
    if not _DATE.fullmatch(text):
        raise ValueError(f"{text!r} is not written YYYY-MM-DD")
    return date.fromisoformat(text)
