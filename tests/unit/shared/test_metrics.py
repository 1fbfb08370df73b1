import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from shared.metrics import (
    MOST_DATA,
    Datum,
    Metric,
    Report,
    age_metric,
    counters_of,
    plan_data,
)

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOW = AT + timedelta(minutes=10)
SUCCESS = AT - timedelta(minutes=1)


def report(*metrics: Metric, last_success_at: datetime | None = SUCCESS) -> Report:
    """Return what a daemon said ten minutes ago."""
    return Report("carrier", AT, last_success_at, metrics)


def sent(*metrics: Metric, before: Report | None = None) -> dict[str, float]:
    """Return what is sent of these metrics for the service, whatever the host."""
    counters = {} if before is None else counters_of(before)
    data = plan_data(report(*metrics), counters, now=NOW, host="h")
    return {one.name: one.value for one in data if "Host" not in dict(one.dimensions)}


def test_ages_are_those_of_the_moment_of_sending() -> None:
    """The loop hangs since ten minutes: what it said then must not look fresh now."""
    pending = age_metric("oldest_pending_age_seconds", "Age", AT - timedelta(seconds=5), AT)

    assert pending.value == 5
    assert sent(pending) == {
        "last_report_age_seconds": 600,
        "last_success_age_seconds": 660,
        "oldest_pending_age_seconds": 605,
    }


def test_what_never_happened_has_no_age() -> None:
    """Missing data is an alarm; 0 seconds would say that all is well."""
    data = plan_data(report(last_success_at=None), {}, now=NOW, host="h")

    assert {one.name for one in data} == {"last_report_age_seconds"}


def test_nothing_that_waits_is_0_seconds_old_for_ever() -> None:
    """An uploader without files is in order."""
    assert sent(age_metric("oldest_pending_age_seconds", "Age", None, AT))[
        "oldest_pending_age_seconds"
    ] == pytest.approx(0)


def test_a_clock_that_was_set_back_makes_no_negative_age() -> None:
    """Below every threshold, for as long as the clock is behind."""
    ahead = age_metric("oldest_pending_age_seconds", "Age", NOW + timedelta(hours=1), AT)

    assert sent(ahead)["oldest_pending_age_seconds"] == 0


def counter(value: float) -> Metric:
    """Return a counter."""
    return Metric("files_uploaded_total", "counter", "Files", value, {"state": "x"})


@pytest.mark.parametrize(
    ("before", "now", "increase"), [(None, 7, 7), (7, 7, 0), (7, 10, 3), (7, 2, 2)]
)
def test_a_counter_is_sent_as_its_increase(
    before: float | None, now: float, increase: float
) -> None:
    """CloudWatch adds up; a restart begins at nought again."""
    former = None if before is None else report(counter(before))

    assert sent(counter(now), before=former)["files_uploaded"] == increase


@pytest.mark.parametrize(
    ("name", "kind", "unit"),
    [
        ("files_uploaded_total", "counter", "Count"),
        ("sent_bytes_total", "counter", "Bytes"),
        ("oldest_pending_age_seconds", "gauge", "Seconds"),
        ("parked_files", "gauge", "None"),
    ],
)
def test_the_unit_is_what_the_name_ends_in(name: str, kind: str, unit: str) -> None:
    """A graph labelled in bytes that shows seconds misleads."""
    metric = Metric(name, "counter" if kind == "counter" else "gauge", "", 1)

    [found] = [
        one
        for one in plan_data(report(metric), {}, now=NOW, host="h")
        if one.name == name.removesuffix("_total") and len(one.dimensions) == 1
    ]

    assert found.unit == unit


def test_each_number_goes_out_for_the_service_and_for_this_host_of_it() -> None:
    """An alarm knows the service; only a person who looks closer knows the host."""
    parked = Metric("cids", "gauge", "CIDs", 3, {"state": "quarantined"})

    data = [one for one in plan_data(report(parked), {}, now=NOW, host="h") if one.name == "cids"]

    assert data == [
        Datum("cids", "None", 3, (("Service", "carrier"), ("State", "quarantined"))),
        Datum("cids", "None", 3, (("Service", "carrier"), ("Host", "h"), ("State", "quarantined"))),
    ]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_not_sent(value: float) -> None:
    """One of them, and the service refuses the whole call."""
    assert "odd" not in sent(Metric("odd", "gauge", "", value))


@pytest.mark.parametrize(
    ("value", "sent_value"), [(1e200, 2.0**360), (-1e200, -(2.0**360)), (1e-200, 0), (0, 0)]
)
def test_numbers_stay_within_what_the_service_takes(value: float, sent_value: float) -> None:
    """The same: one out of bounds, and nothing is taken."""
    assert sent(Metric("odd", "gauge", "", value))["odd"] == sent_value


def test_a_point_in_time_is_not_sent() -> None:
    """Nobody can set a threshold for seconds since 1970; its age is sent instead."""
    assert "start_timestamp_seconds" not in sent(Metric("start_timestamp_seconds", "gauge", "", 1))


@pytest.mark.parametrize(
    ("host", "shown"),
    [("", "unknown"), ("h\n\x00", "h\\n\\x00"), ("prod-ü", "prod-\\xfc"), ("x" * 300, "x" * 255)],
)
def test_a_dimension_is_printable_ascii_and_short(host: str, shown: str) -> None:
    """Everything else is refused, and with it the whole call."""
    data = plan_data(report(), {}, now=NOW, host=host)

    assert data[-1].dimensions[1] == ("Host", shown)


def test_one_call_takes_so_much_and_no_more() -> None:
    """A call that is too large would never be taken, and the ages with it."""
    many = [Metric("cids", "gauge", "", 1, {"state": str(number)}) for number in range(2000)]

    data: Sequence[Datum] = plan_data(report(*many), {}, now=NOW, host="h")

    assert len(data) == MOST_DATA
    assert data[0].name == "last_report_age_seconds"
