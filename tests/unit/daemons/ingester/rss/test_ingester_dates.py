from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.ingester.rss.dates import parse_date
from daemons.ingester.rss.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("Thu, 25 Jul 2024 22:00:00 -0500", "2024-07-26T03:00:00"),
        ("Thu, 25 Jul 2024 22:00:00 GMT", "2024-07-25T22:00:00"),
        ("Thu, 25 Jul 2024 22:00:00 UTC", "2024-07-25T22:00:00"),
        ("Thu, 25 Jul 2024 22:00:00 Z", "2024-07-25T22:00:00"),
        ("Thu, 25 Jul 2024 22:00:00 EST", "2024-07-26T03:00:00"),
        ("Thu, 25 Jul 2024 22:00:00 PDT", "2024-07-26T05:00:00"),
        ("Thu, 25 Jul 2024 22:00:00 pdt", "2024-07-26T05:00:00"),
        ("Thu, 25 Jul 2024 22:00:00 +0530", "2024-07-25T16:30:00"),
        ("Thu, 25 Jul 2024 22:00:00 +05:30", "2024-07-25T16:30:00"),
        ("Thu, 25 Jul 2024 22:00:00 GMT+2", "2024-07-25T20:00:00"),
        ("Thu, 25 Jul 2024 22:00:00 -0000 (UTC)", "2024-07-25T22:00:00"),
        ("Mon, 25 Jul 2024 22:00:00 GMT", "2024-07-25T22:00:00"),
        ("Thursday, 25 July 2024 22:00:00 GMT", "2024-07-25T22:00:00"),
        ("25 Jul 2024 22:00 GMT", "2024-07-25T22:00:00"),
        ("25-Jul-24 22:00:00 GMT", "2024-07-25T22:00:00"),
        ("25 Sept 99 22:00:00", "1999-09-25T22:00:00"),
        ("25 Jul 124 22:00:00", "2024-07-25T22:00:00"),
        ("  Thu,  25\tJul 2024\n22:00:00 GMT ", "2024-07-25T22:00:00"),
        ("Sat, 31 Dec 2016 23:59:60 GMT", "2016-12-31T23:59:59"),
        ("25 Jul 2024", "2024-07-25T00:00:00"),
        ("2024-07-25T22:00:00Z", "2024-07-25T22:00:00"),
        ("2024-07-25T22:00:00.5+02:00", "2024-07-25T20:00:00.500000"),
        ("2024-07-25 22:00", "2024-07-25T22:00:00"),
        ("2024-07-25 22:00:00 +0000", "2024-07-25T22:00:00"),
        ("2024-07-25", "2024-07-25T00:00:00"),
    ],
)
def test_dates_in_the_wild(text: str, instant: str) -> None:
    """The date becomes part of the key for ever; no zone means UTC, not this machine's."""
    found = parse_date(text)

    assert found.at == datetime.fromisoformat(instant).replace(tzinfo=UTC)
    assert found.at.tzinfo is UTC
    assert found.warning == ""


@pytest.mark.parametrize("zone", ["CEST", "JST", "A", "America/New_York", "EST+1"])
def test_unknown_zone_is_taken_as_utc_with_a_warning(zone: str) -> None:
    """An hour off is better than an episode that is never seen, and is said."""
    found = parse_date(f"Thu, 25 Jul 2024 22:00:00 {zone}")

    assert found.at == datetime(2024, 7, 25, 22, tzinfo=UTC)
    assert zone in found.warning


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "Thu, 32 Jul 2024 22:00:00 GMT",
        "Thu, 25 Foo 2024 22:00:00 GMT",
        "Thu, 25 Jul 2024 25:00:00 GMT",
        "Thu, 25 Jul 2024 22:00:61 GMT",
        "Thu, 25 Jul 2024 22:00:00 +9900",
        "0001-01-01T00:00:00+12:00",
        "2024-02-30",
        "1721921400",
        "\u0662\u0665 Jul 2024",
        "Thu, 25 Jul 2024 22:00:00 GMT and more",
    ],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    """A guessed date would stand in the key for ever."""
    with pytest.raises(ValueError, match="date"):
        parse_date(text)


@given(st.text() | st.from_regex(r"[A-Za-z0-9:,+ -]{0,60}", fullmatch=True))
def test_no_text_breaks_the_reading_of_dates(text: str) -> None:
    """A feed may hold anything: an aware instant or ValueError, nothing else."""
    try:
        found = parse_date(text)
    except ValueError:
        return
    assert found.at.tzinfo is UTC


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001 - the zone is added below
def test_rfc_2822_round_trips(at: datetime) -> None:
    """What a correct publisher writes is read to the second."""
    exact = at.replace(microsecond=0, tzinfo=UTC)

    assert parse_date(exact.strftime("%a, %d %b %Y %H:%M:%S +0000")).at == exact


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("754", 754),
        (" 754\n", 754),
        ("0", 0),
        ("3600.5", 3600),
        ("3600.", 3600),
        ("62:03", 3723),
        ("1:02:03", 3723),
        ("01:02:03.9", 3723),
        ("00:00:00", 0),
        ("", None),
        ("1:75", None),
        ("1:75:00", None),
        ("1:2:3:4", None),
        ("-5", None),
        ("1h 2m", None),
        ("1,5", None),
        (".5", None),
        ("\u0666\u0660", None),
        ("9" * 30, None),
        ("99999999:00", None),
        ("12:", None),
    ],
)
def test_durations(text: str, seconds: int | None) -> None:
    """A fraction once cost a whole feed; here it costs the fraction."""
    assert parse_duration(text) == seconds


@given(st.text() | st.from_regex(r"[0-9:.]{0,20}", fullmatch=True))
def test_no_text_breaks_the_reading_of_durations(text: str) -> None:
    """A whole number that JSON keeps exactly, or nothing."""
    seconds = parse_duration(text)

    assert seconds is None or 0 <= seconds < 10**8
