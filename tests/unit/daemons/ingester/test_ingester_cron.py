from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from daemons.ingester.cron import Schedule, Timetable

BERLIN = ZoneInfo("Europe/Berlin")
DAILY = Schedule("30 2 * * *")


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("0 8 * * *", "2026-11-22T08:00:00"),
        ("*/15 * * * *", "2026-11-21T12:15:00"),
        ("0 8,20 * * *", "2026-11-21T20:00:00"),
        ("0 6 * * MON", "2026-11-23T06:00:00"),
        ("0 0 L * *", "2026-11-30T00:00:00"),
    ],
)
def test_a_schedule_is_what_cron_makes_of_it(text: str, due: str) -> None:
    """People bring their crontab's line."""
    noon = datetime(2026, 11, 21, 12, 0, tzinfo=BERLIN)

    assert Schedule(text).next_after(noon) == datetime.fromisoformat(due).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "daily",
        "61 * * * *",
        "* * * *",
        "0 0 * * * *",
        "0 0 30 2 *",
        "0 0 31 2 MON-",
        "é * * * *",
        "0 0 * * " + "1," * 200 + "1",
    ],
)
def test_what_is_no_schedule_or_never_due_is_refused(text: str) -> None:
    """A daemon that waits for the thirtieth of February would say that all is well."""
    with pytest.raises(ValueError, match=r"allowed|no cron expression|fifty years"):
        Schedule(text)


def test_the_hour_that_summer_time_leaves_out_costs_no_run() -> None:
    """The clock goes from 2 to 3; a run at half past two is due all the same, once."""
    before = datetime(2026, 3, 28, 12, 0, tzinfo=BERLIN)

    first = DAILY.next_after(before)
    second = DAILY.next_after(first)

    assert first.astimezone(UTC) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert second.astimezone(UTC) == datetime(2026, 3, 30, 0, 30, tzinfo=UTC)


def test_the_hour_that_comes_twice_has_one_run() -> None:
    """The clock goes from 3 back to 2."""
    first = DAILY.next_after(datetime(2026, 10, 24, 12, 0, tzinfo=BERLIN))

    second = DAILY.next_after(first)

    assert second.astimezone(UTC) - first.astimezone(UTC) > timedelta(hours=20)


def test_a_run_that_was_missed_is_made_up_for_once() -> None:
    """A laptop that slept at half past two does the run when it wakes, and then goes on."""
    now = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    timetable = Timetable(DAILY, UTC, now - timedelta(days=3))

    first, second = timetable.next_run(now), timetable.next_run(now)

    assert first == now
    assert second == datetime(2026, 11, 22, 2, 30, tzinfo=UTC)


@pytest.mark.parametrize("hours", [None, 1, -48])
def test_nothing_is_due_at_once_where_nothing_was_missed(hours: int | None) -> None:
    """The first start is no run, and a clock that was set back puts none off for days."""
    now = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    last = None if hours is None else now - timedelta(hours=hours)

    due = Timetable(DAILY, UTC, last).next_run(now)

    assert due == datetime(2026, 11, 22, 2, 30, tzinfo=UTC)
