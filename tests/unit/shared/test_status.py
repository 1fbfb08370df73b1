import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from shared.errors import PermanentError, UsageError
from shared.lock import hold_lock
from shared.metrics import Metric
from shared.status import (
    StatusFile,
    ago,
    default_state_folder,
    per_hour,
    read_status,
    render_head,
    render_metrics,
)

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOW = START + timedelta(minutes=2)
LAST = START + timedelta(minutes=1)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """`towpath status` works from this file alone."""
    writer = StatusFile(tmp_path / "new" / "folder", "carrier", started_at=START)

    writer.write({"pending": 3, "parked": ["a\udcff"]}, [], now=NOW, last_success_at=LAST)
    status = read_status(tmp_path / "new" / "folder")

    assert status is not None
    assert (status.service, status.pid, status.started_at) == ("carrier", os.getpid(), START)
    assert status.details == {"pending": 3, "parked": ["a\udcff"]}
    assert status.age(NOW + timedelta(seconds=5)) == timedelta(seconds=5)
    assert status.since_success(NOW) == timedelta(minutes=1)


def test_a_daemon_that_never_succeeded_says_so(tmp_path: Path) -> None:
    """Nothing must look like a success of 1970."""
    StatusFile(tmp_path, "carrier", started_at=START).write({}, [], now=NOW, last_success_at=None)

    status = read_status(tmp_path)

    assert status is not None
    assert status.since_success(NOW) is None
    assert "last_success" not in (tmp_path / "metrics.prom").read_text()


def test_no_secret_gets_into_a_status(tmp_path: Path) -> None:
    """The file is readable for everybody on the machine."""
    writer = StatusFile(tmp_path, "carrier", started_at=START)

    writer.write({"session_token": "hunter2"}, [], now=NOW, last_success_at=None)

    assert "hunter2" not in (tmp_path / "status.json").read_text()


def test_no_file_is_no_status(tmp_path: Path) -> None:
    """A daemon that was never started is not an error."""
    assert read_status(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 2}', '{"schema": 1}'])
def test_a_file_that_is_not_ours_is_named(tmp_path: Path, text: str) -> None:
    """An older version reading a newer file must not show nonsense."""
    (tmp_path / "status.json").write_text(text)

    with pytest.raises(PermanentError, match=r"status\.json"):
        read_status(tmp_path)


def test_metrics_are_what_node_exporter_reads() -> None:
    """It drops the whole file for one line that it does not understand."""
    metrics = [
        Metric("files_total", "counter", "Files\nby bucket", 3, {"bucket": 'a"b\\c\nd'}),
        Metric("rate", "gauge", "A rate", float("inf")),
        Metric("files_total", "counter", "Files", 1.5, {"bucket": "x"}),
        Metric("odd", "gauge", "Odd", float("nan")),
        Metric("low", "gauge", "Low", float("-inf")),
    ]

    assert render_metrics(metrics, "carrier").splitlines() == [
        "# HELP towpath_files_total Files\\nby bucket",
        "# TYPE towpath_files_total counter",
        'towpath_files_total{service="carrier",bucket="a\\"b\\\\c\\nd"} 3',
        'towpath_files_total{service="carrier",bucket="x"} 1.5',
        "# HELP towpath_low Low",
        "# TYPE towpath_low gauge",
        'towpath_low{service="carrier"} -Inf',
        "# HELP towpath_odd Odd",
        "# TYPE towpath_odd gauge",
        'towpath_odd{service="carrier"} NaN',
        "# HELP towpath_rate A rate",
        "# TYPE towpath_rate gauge",
        'towpath_rate{service="carrier"} +Inf',
    ]


def test_the_age_of_the_last_success_is_a_metric(tmp_path: Path) -> None:
    """Silence is an alarm."""
    StatusFile(tmp_path, "carrier", started_at=START).write({}, [], now=NOW, last_success_at=LAST)

    text = (tmp_path / "metrics.prom").read_text()

    assert f'towpath_last_success_timestamp_seconds{{service="carrier"}} {LAST.timestamp()}' in text
    assert 'towpath_last_success_age_seconds{service="carrier"} 60.0' in text
    assert json.loads((tmp_path / "status.json").read_text())["schema"] == 1


@pytest.mark.parametrize(
    ("environ", "user", "folder"),
    [
        ({"STATE_DIRECTORY": "/var/lib/towpath/x:/other", "HOME": "/h"}, 0, "/var/lib/towpath/x"),
        ({"XDG_STATE_HOME": "/s", "HOME": "/h"}, 0, "/var/lib/towpath/carrier"),
        ({"XDG_STATE_HOME": "/s", "HOME": "/h"}, 1000, "/s/towpath/carrier"),
        ({"XDG_STATE_HOME": "s", "HOME": "/h"}, 1000, "/h/.local/state/towpath/carrier"),
    ],
)
def test_the_state_folder_follows_who_runs_it(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], user: int, folder: str
) -> None:
    """A unit, root and a person each have their own place, without being asked."""
    monkeypatch.setattr(os, "geteuid", lambda: user)

    assert default_state_folder("carrier", environ) == Path(folder)


def test_without_any_place_for_state_it_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing into the current folder would be a surprise."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(UsageError, match="HOME"):
        default_state_folder("carrier", {})


def test_long_list_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """A text "and 7 more" among the items would end whoever shows them."""
    parked = [{"path": str(number), "reason": "bad"} for number in range(1000)]

    writer = StatusFile(tmp_path, "carrier", started_at=START)
    writer.write({"parked": parked}, [], now=NOW, last_success_at=None)

    status = read_status(tmp_path)
    assert status is not None
    assert status.details["parked"] == parked


def test_state_folder_out_of_order_stops_no_work(tmp_path: Path) -> None:
    """A full disk must not end a daemon."""
    (tmp_path / "state").write_bytes(b"a file")
    writer = StatusFile(tmp_path / "state", "carrier", started_at=START)

    with structlog.testing.capture_logs() as logs:
        writer.write_or_warn({}, [], now=NOW, last_success_at=None)

    assert [line["event"] for line in logs] == ["status_not_written"]


def test_head_says_who_wrote_and_when_something_last_went_well(tmp_path: Path) -> None:
    """Silence is an alarm, so both ages come first."""
    writer = StatusFile(tmp_path, "carrier", started_at=START)
    writer.write_or_warn({}, [], now=NOW, last_success_at=LAST)
    status = read_status(tmp_path)
    assert status is not None

    lines = render_head(status, "/data", NOW + timedelta(seconds=5), success="last sent")

    assert lines[0].startswith("carrier of /data (process ")
    assert lines[1:] == [
        "  state       not running; this is what it said last",
        "  written     5 s ago",
        "  last sent   65 s ago",
    ]


def test_head_says_whether_it_runs(tmp_path: Path) -> None:
    """What a dead daemon said last reads like what a living one says."""
    StatusFile(tmp_path, "carrier", started_at=START).write({}, [], now=NOW, last_success_at=None)

    with hold_lock(tmp_path):
        alive = read_status(tmp_path)
    dead = read_status(tmp_path)

    assert alive is not None
    assert dead is not None
    assert (alive.running, dead.running) == (True, False)
    assert render_head(alive, "/data", NOW, success="last sent")[1] == "  state       running"


def test_ages_and_rates_of_clocks_that_were_set_back() -> None:
    """A clock that was corrected must not show what cannot be."""
    assert ago(-3) == "0 s ago"
    assert per_hour(5, NOW, NOW) == 0.0
    assert per_hour(5, NOW, START) == 0.0
    assert per_hour(5, START, NOW) == 150.0


@pytest.mark.parametrize(("value", "written"), [(True, "1"), (False, "0"), (2, "2"), (0.5, "0.5")])
def test_a_truth_value_is_a_number_to_monitors(value: float, written: str) -> None:
    """Prometheus drops the whole file for one word that is no number."""
    text = render_metrics([Metric("in_trouble", "gauge", "1: yes", value)], "carrier")

    assert text.splitlines()[-1] == f'towpath_in_trouble{{service="carrier"}} {written}'
