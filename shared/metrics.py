"""What a daemon tells monitors: numbers with names, and what CloudWatch is sent of them. Pure.

Rule: an age is sent as it is at that moment, from the point in time that the working loop left
behind, so that a loop that hangs cannot keep it fresh. What never happened has no age: a monitor
counts missing data as a failure, and is right to.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

NAMESPACE = "Towpath"
MOST_DATA = 1000
"""So much CloudWatch takes in one call."""
SINCE_REPORT = "last_report_age_seconds"
"""Age of the last report of the working loop: it grows when the loop hangs, whatever it does."""
SINCE_SUCCESS = "last_success_age_seconds"

_LARGEST = 2.0**360
_SMALLEST = 2.0**-360
_LONGEST_TEXT = 255
_POINT_IN_TIME = "_timestamp_seconds"
_COUNTER = "_total"

Unit = Literal["Seconds", "Bytes", "Count", "None"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One number for a monitor."""

    name: str
    """Without the prefix; a counter ends in `_total`, a unit comes last."""
    kind: Literal["gauge", "counter"]
    meaning: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None
    """The value is the age of this moment, and grows."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a daemon last told of itself."""

    service: str
    at: datetime
    last_success_at: datetime | None
    metrics: tuple[Metric, ...]


@dataclass(slots=True)
class Board:
    """Holds the newest report. A thread may replace it while another reads: it is one reference."""

    report: Report | None = None


@dataclass(frozen=True, slots=True)
class Datum:
    """One number as CloudWatch takes it."""

    name: str
    unit: Unit
    value: float
    dimensions: tuple[tuple[str, str], ...]


Counters = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]
"""What counters stood at when they were last sent, by name and labels."""


def age_metric(name: str, meaning: str, since: datetime | None, now: datetime) -> Metric:
    """Return the age of a moment; 0 when there is nothing that could have one."""
    age = 0.0 if since is None else (now - since).total_seconds()
    return Metric(name, "gauge", meaning, age, since=since)


def counters_of(report: Report) -> Counters:
    """Return what the report's counters stand at."""
    return {_key(one): one.value for one in report.metrics if one.kind == "counter"}


def plan_data(report: Report, sent: Counters, *, now: datetime, host: str) -> Sequence[Datum]:
    """Return what to send now, each number once for the service and once for this host of it.

    | metric                     | what is sent                                                   |
    |----------------------------|----------------------------------------------------------------|
    | an age                     | the age as of now, never negative                              |
    | another gauge              | its value                                                      |
    | a counter, `..._total`     | its increase since it was last sent, without `_total`          |
    | a point in time            | nothing: its age is what can be compared with a threshold      |
    | no number, or an infinity  | nothing: the service takes none                                |

    More than one call takes is cut off at the end.
    """
    service = (("Service", _text(report.service)),)
    places = (service, (*service, ("Host", _text(host))))
    numbers = list(_numbers(report, sent, now))
    data = (
        Datum(name, _unit(name, labels_kind), value, (*place, *labels))
        for place in places
        for name, labels_kind, value, labels in numbers
    )
    return [one for _, one in zip(range(MOST_DATA), data, strict=False)]


def _numbers(
    report: Report, sent: Counters, now: datetime
) -> Iterator[tuple[str, str, float, tuple[tuple[str, str], ...]]]:
    """Yield name, kind, value and labels of each number that is sent."""
    for metric in (*_ages(report, now), *report.metrics):
        if metric.name.endswith(_POINT_IN_TIME):
            continue
        name, value = metric.name, metric.value
        if metric.since is not None:
            value = max(0.0, (now - metric.since).total_seconds())
        elif metric.kind == "counter":
            before = sent.get(_key(metric), 0.0)
            # A counter that is smaller than before has begun anew.
            value = value - before if value >= before else value
            name = name.removesuffix(_COUNTER)
        if math.isfinite(value):
            labels = ((_word(label), _text(text)) for label, text in metric.labels.items())
            yield name, metric.kind, _within_limits(value), tuple(labels)


def _ages(report: Report, now: datetime) -> Iterable[Metric]:
    """Yield the two ages that every daemon is watched by."""
    yield age_metric(SINCE_REPORT, "Since the working loop last reported", report.at, now)
    if report.last_success_at is not None:
        yield age_metric(
            SINCE_SUCCESS, "Since something last went well", report.last_success_at, now
        )


def _key(metric: Metric) -> tuple[str, tuple[tuple[str, str], ...]]:
    return metric.name, tuple(sorted(metric.labels.items()))


def _unit(name: str, kind: str) -> Unit:
    """Return the unit that the name ends in."""
    if name.endswith("_seconds"):
        return "Seconds"
    if name.endswith("_bytes"):
        return "Bytes"
    return "Count" if kind == "counter" else "None"


def _within_limits(value: float) -> float:
    if 0 < abs(value) < _SMALLEST:
        return 0.0
    return max(-_LARGEST, min(_LARGEST, value))


def _word(label: str) -> str:
    """Return a label as CloudWatch's users write dimensions."""
    return label[:1].upper() + label[1:]


def _text(value: str) -> str:
    """Return a dimension's value as the service takes it: printable ASCII, not empty, not long."""
    plain = value.encode("ascii", "backslashreplace").decode("ascii")
    printable = "".join(c if c.isprintable() else repr(c)[1:-1] for c in plain)
    return printable.strip()[:_LONGEST_TEXT] or "unknown"
