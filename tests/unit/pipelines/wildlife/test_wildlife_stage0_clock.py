"""From what a camera's clock showed to when it was: signs, zones, changes of the hour, drift."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.wildlife.stage0.clock.repair import Repaired, repair
from pipelines.wildlife.stage0.clock.rules import ClockError, Clocks, Correction, newest_first
from pipelines.wildlife.stage0.clock.timestamps import Shown, find_time, parse_offset, parse_time
from pipelines.wildlife.stage0.clock.zones import Zone, localise
from pipelines.wildlife.stage0.exif.notes import Notes
from tests.support.soak import repetitions

_STOCKHOLM = Zone("Europe/Stockholm", ZoneInfo("Europe/Stockholm"))
_STANDARD = Zone("Europe/Stockholm", ZoneInfo("Europe/Stockholm"), standard_time=True)
_UTC = Zone("UTC", ZoneInfo("UTC"))
_NOTHING = Clocks(default_zone=_STOCKHOLM)


def _naive(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _repaired(text: str, clocks: Clocks, *, offset: str = "") -> Repaired:
    return repair(Shown(_naive(text), "exif_original", parse_offset(offset)), "cam01", clocks)


def _row(**said: object) -> ClockError:
    return replace(ClockError(rule_id="csv:cam01", offset_seconds=0.0), **said)  # type: ignore[arg-type]  # a table's cells


def _correction(name: str, delta: float, **said: object) -> Correction:
    plain = Correction(
        correction_id=name,
        camera_id="cam01",
        delta_seconds=delta,
        begin=None,
        end=None,
        rule_id=f"rule-{name}",
        created_at=_utc("2026-01-01"),
    )
    return replace(plain, **said)  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize(
    ("shown", "zone", "expected", "flag"),
    [
        ("2026-01-15T12:00", _STOCKHOLM, "2026-01-15T11:00", None),
        ("2026-07-15T12:00", _STOCKHOLM, "2026-07-15T10:00", None),
        ("2026-07-15T12:00", _STANDARD, "2026-07-15T11:00", None),
        ("2026-07-15T12:00", _UTC, "2026-07-15T12:00", None),
        ("2026-10-25T02:30", _STOCKHOLM, "2026-10-25T00:30", "ambiguous_local_time"),
        ("2026-10-25T03:00", _STOCKHOLM, "2026-10-25T02:00", None),
        ("2026-10-25T02:30", _STANDARD, "2026-10-25T01:30", None),
        ("2026-03-29T02:30", _STOCKHOLM, "2026-03-29T01:30", "nonexistent_local_time"),
        ("2026-03-29T01:59:59", _STOCKHOLM, "2026-03-29T00:59:59", None),
        ("2026-03-29T03:00", _STOCKHOLM, "2026-03-29T01:00", None),
        ("2026-03-29T02:30", _STANDARD, "2026-03-29T01:30", None),
    ],
)
def test_a_clock_on_the_wall_becomes_utc(
    shown: str, zone: Zone, expected: str, flag: str | None
) -> None:
    """Twice a year an hour is there twice or not at all, and a clock may not know of it."""
    found = localise(_naive(shown), zone)

    assert (found.moment, found.flag) == (_utc(expected), flag)


def test_a_clock_that_is_ahead_is_put_back() -> None:
    """Two minutes fast is an error of 120 seconds, which is subtracted."""
    clocks = replace(_NOTHING, rows={"cam01": _row(offset_seconds=120.0)})

    assert _repaired("2026-07-15T12:00", clocks) == Repaired(
        original=_utc("2026-07-15T10:00"),
        corrected=_utc("2026-07-15T09:58"),
        zone="Europe/Stockholm",
        seconds=-120.0,
        rule_id="csv:cam01",
    )


def test_the_offset_is_taken_off_before_the_zone_is_applied() -> None:
    """Else a clock that is wrong across a change of the hour is off by an hour."""
    clocks = replace(_NOTHING, rows={"cam01": _row(offset_seconds=3600.0)})

    found = _repaired("2026-03-29T02:30", clocks)

    assert (found.corrected, found.flags) == (_utc("2026-03-29T00:30"), ())


def test_an_offset_that_the_camera_noted_wins_over_the_zone() -> None:
    """The camera knew; and its hour is there once."""
    clocks = replace(_NOTHING, rows={"cam01": _row(offset_seconds=60.0, zone=_STANDARD)})

    found = _repaired("2026-10-25T02:30", clocks, offset="+02:00")

    assert (found.corrected, found.zone) == (_utc("2026-10-25T00:29"), "+02:00")
    assert found.flags == ()


@pytest.mark.parametrize(
    ("known", "rule_id", "seconds"),
    [
        ("1234", "rule-new", 7.0),
        ("234", "csv:cam01", -2.0),
        ("34", "camera:cam01", -3.0),
        ("4", "system:legacy_system", 3600.0),
        ("", None, 0.0),
    ],
)
def test_the_first_rule_counts_alone(known: str, rule_id: str | None, seconds: float) -> None:
    """Corrections that are summed are worse than none."""
    old = _correction("old", 6.0)
    new = _correction("new", 7.0, created_at=_utc("2026-02-01"))
    entry = ClockError(rule_id="camera:cam01", offset_seconds=3.0)
    system = ClockError(rule_id="system:legacy_system", offset_seconds=-3600.0, zone=_STANDARD)
    clocks = Clocks(
        default_zone=_STOCKHOLM,
        corrections=newest_first([new, old]) if "1" in known else {},
        rows={"cam01": _row(offset_seconds=2.0)} if "2" in known else {},
        entries={"cam01": entry} if "3" in known else {},
        systems={"legacy_system": system} if "4" in known else {},
        types={"cam01": "legacy_system"},
    )

    found = _repaired("2026-07-15T12:00", clocks)

    assert (found.rule_id, found.seconds) == (rule_id, seconds)
    assert ("no_correction_rule" in found.flags) == (rule_id is None)


@pytest.mark.parametrize(
    ("shown", "rule_id"),
    [
        ("2026-06-01T01:59:59", None),
        ("2026-06-01T02:00:00", "rule-june"),
        ("2026-07-01T01:59:59", "rule-june"),
        ("2026-07-01T02:00:00", None),
    ],
)
def test_a_correction_holds_up_to_its_end_and_no_longer(shown: str, rule_id: str | None) -> None:
    """Two that follow one another must not both hold in the second between them."""
    june = _correction("june", 1.0, begin=_utc("2026-06-01"), end=_utc("2026-07-01"))
    clocks = replace(_NOTHING, corrections=newest_first([june]))

    assert _repaired(shown, clocks).rule_id == rule_id


def test_the_zone_comes_from_the_camera_also_under_a_correction() -> None:
    """A correction says seconds, and nothing of where the camera hangs."""
    clocks = replace(
        _NOTHING,
        corrections=newest_first([_correction("x", 10.0)]),
        entries={"cam01": ClockError(rule_id="camera:cam01", offset_seconds=99.0, zone=_UTC)},
    )

    found = _repaired("2026-07-15T12:00", clocks)

    assert (found.corrected, found.zone) == (_utc("2026-07-15T12:00:10"), "UTC")


def test_a_drift_grows_from_when_the_clock_was_set() -> None:
    """Five millionths are half a second a day, not hours since 1970."""
    synced = _row(drift_ppm=5.0, last_sync=_utc("2026-07-05T10:00"))
    clocks = replace(_NOTHING, rows={"cam01": synced})

    found = _repaired("2026-07-15T12:00", clocks)

    assert found.seconds == -4.32
    assert found.corrected == _utc("2026-07-15T10:00") - timedelta(seconds=4.32)


def test_a_drift_since_nobody_knows_when_is_left_alone() -> None:
    """The row's offset counts all the same."""
    clocks = replace(_NOTHING, rows={"cam01": _row(drift_ppm=5.0, offset_seconds=1.0)})

    found = _repaired("2026-07-15T12:00", clocks)

    assert (found.seconds, found.flags) == (-1.0, ("drift_without_anchor",))


@pytest.mark.parametrize(
    ("notes", "at", "source"),
    [
        (Notes(original="2026:06:01 04:30:00"), "2026-06-01T04:30", "exif_original"),
        (
            Notes(original="0000:00:00 00:00:00", digitized="2026:06:01 04:30:00"),
            "2026-06-01T04:30",
            "exif_digitized",
        ),
        (
            Notes(original="2026:02:30 04:30:00", changed="2026:06:01 04:30:00", subsec="5"),
            "2026-06-01T04:30",
            "exif_datetime",
        ),
        (Notes(original="2026:06:01 04:30:00", subsec="25"), "2026-06-01T04:30:00.25", None),
        (Notes(original="2026:06:01 04:30:00", subsec="-1"), "2026-06-01T04:30", None),
    ],
)
def test_the_first_time_that_is_one_counts(notes: Notes, at: str, source: str | None) -> None:
    """A camera without a battery writes zeros."""
    found = find_time(notes)

    assert found is not None
    assert (found.at, found.source) == (_naive(at), source or "exif_original")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "2026-06-01 04:30:00",
            "2026:06:01 24:00:00",
            "2026:06:01 04:30",
            "0001:01:01 00:00:00",
        ),
        *(
            "٢٠٢٦:06:01 04:30:00",
            "9999:12:31 23:59:59",
            " 2026:06:01 04:30:00",
            "2026:06:01 04:30:60",
        ),
    ],
)
def test_what_is_no_time_is_none(text: str) -> None:
    """The storage's time is better than a guess."""
    assert parse_time(text) is None


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("+02:00", 120), ("-03:30", -210), ("+00:00", 0), ("+15:00", None), ("+02:60", None)],
)
def test_an_offset_is_read_with_its_sign(text: str, minutes: int | None) -> None:
    """Newfoundland is half an hour off."""
    found = parse_offset(text)

    away = None if found is None else found.utcoffset(None) / timedelta(minutes=1)
    assert away == minutes


_MOMENTS = st.datetimes(datetime(200, 1, 1), datetime(9799, 12, 31))  # noqa: DTZ001 - of clocks


@settings(max_examples=repetitions(40, 5000), deadline=None)
@given(
    at=_MOMENTS,
    offset=st.floats(-86_400, 86_400),
    drift=st.floats(-1000, 1000),
    synced=_MOMENTS,
    zone=st.sampled_from([_STOCKHOLM, _STANDARD, _UTC]),
    order=st.permutations([_correction("a", 1.0), _correction("b", 2.0), _correction("c", 3.0)]),
)
def test_every_clock_can_be_repaired_whatever_it_says(
    at: datetime,
    offset: float,
    drift: float,
    synced: datetime,
    zone: Zone,
    order: Sequence[Correction],
) -> None:
    """No date overflows, and corrections of the same age count in the order of their names."""
    row = _row(
        offset_seconds=offset, drift_ppm=drift, last_sync=synced.replace(tzinfo=UTC), zone=zone
    )
    clocks = Clocks(default_zone=_STOCKHOLM, rows={"cam01": row})

    found = repair(Shown(at, "exif_original"), "cam01", clocks)

    assert found.corrected.tzinfo is UTC
    assert newest_first(order)["cam01"][0].correction_id == "c"


@pytest.mark.parametrize(
    ("shown", "edge", "direction"),
    [
        ("9799:12:31 23:59:59", "9800:01:01 00:00:00", 1),
        ("0200:01:01 00:00:00", "0199:12:31 00:00:00", -1),
    ],
)
def test_no_correction_leads_out_of_the_calendar(shown: str, edge: str, direction: int) -> None:
    """A camera's nonsense must not end the run in which the longest correction is given."""
    longest = _correction("longest", direction * 100 * 366 * 86_400.0)
    at = parse_time(shown)

    assert at is not None
    assert parse_time(edge) is None
    found = repair(
        Shown(at, "exif_original"), "cam01", replace(_NOTHING, corrections=newest_first([longest]))
    )
    assert found.rule_id == "rule-longest"
