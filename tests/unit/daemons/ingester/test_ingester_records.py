import io
import json
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from daemons.ingester.records import Records
from daemons.ingester.runs.interval import Interval, load_interval, save_interval
from daemons.ingester.settings import Settings
from daemons.ingester.status import render_status
from shared.errors import UsageError
from shared.metrics import Board
from shared.status import read_status
from tests.support.run_results import AT, failed_run, good_run, partial_run

NOTE = (
    "import os, sys; from pathlib import Path; "
    "Path(sys.argv[1]).open('a').write(' '.join([*sys.argv[2:], os.environ['TOWPATH_REASON']]))"
)


def records(state: Path, **given: object) -> tuple[Records, io.StringIO]:
    """Make the records of a project; what they print is returned beside them."""
    out = io.StringIO()
    settings = Settings(root=state, **given)  # type: ignore[arg-type]  # a table of options
    return Records(settings, state, Board(), out), out


def hook(target: Path) -> tuple[str, ...]:
    """Return a hook that writes down what it is told."""
    return sys.executable, "-c", NOTE, str(target)


@pytest.mark.asyncio
async def test_a_run_leaves_summary_history_interval_and_status(tmp_path: Path) -> None:
    """Each is looked for by somebody else."""
    summary = tmp_path / "out.json"
    kept, out = records(tmp_path, json_summary=summary)

    await kept.ended(good_run())

    assert out.getvalue().startswith("run finished: 1 site")
    assert json.loads(summary.read_text())["sitesProcessed"] == 1
    assert (tmp_path / "runs.md").read_text().count("\n## ") == 1
    assert load_interval(tmp_path).last_success_at == AT
    status = read_status(tmp_path)
    assert status is not None
    assert status.last_success_at == AT


@pytest.mark.asyncio
async def test_a_run_that_left_phases_out_is_no_success(tmp_path: Path) -> None:
    """The next one must not end at once, and monitors must not believe that S3 has everything."""
    kept, _ = records(tmp_path, skip_pre_sync=True, skip_s3_sync=True)

    await kept.ended(good_run())

    interval, status = load_interval(tmp_path), read_status(tmp_path)
    assert interval.due_at(["hardfork"], timedelta(hours=24), AT) == AT
    assert status is not None
    assert status.last_success_at is None


@pytest.mark.asyncio
async def test_the_hook_is_called_for_a_run_with_errors(tmp_path: Path) -> None:
    """It gets the summary's path and how many have failed in a row."""
    said = tmp_path / "said"
    save_interval(tmp_path, Interval(failures=3))
    kept, _ = records(tmp_path, failure_hook=hook(said))

    result = failed_run()
    await kept.ended(result)
    await kept.call_hook(result)

    assert said.read_text() == (
        f"{tmp_path}/runs/2026-11-21T080003.412Z.json 4 "
        "run finished with errors: 2 sites in 1 min 15 s, 1 error"
    )


@pytest.mark.asyncio
@pytest.mark.parametrize("result", [good_run(), replace(failed_run(), interrupted=True)])
async def test_the_hook_is_not_called_for_nothing(tmp_path: Path, result: object) -> None:
    """A good run needs nobody, and who interrupts one knows."""
    said = tmp_path / "said"
    kept, _ = records(tmp_path, failure_hook=hook(said))

    await kept.ended(result)  # type: ignore[arg-type]  # a table
    await kept.call_hook(result)  # type: ignore[arg-type]  # the same

    assert not said.exists()


@pytest.mark.asyncio
async def test_a_run_that_could_not_begin_is_kept_and_told(tmp_path: Path) -> None:
    """A drive that is not mounted for weeks must not stay a secret."""
    said = tmp_path / "said"
    kept, _ = records(tmp_path, failure_hook=hook(said))

    await kept.refused(UsageError("'/mnt/x' is not a folder; mount it"))

    assert said.read_text() == " 1 '/mnt/x' is not a folder; mount it"
    assert load_interval(tmp_path).failures == 1
    status = read_status(tmp_path)
    assert status is not None
    assert "mount it" in render_status(status, AT)


@pytest.mark.asyncio
async def test_a_disk_that_takes_no_records_changes_nothing_about_the_run(tmp_path: Path) -> None:
    """The work is done by then; the summary is still printed."""
    state = tmp_path / "state"
    state.write_text("a file")
    kept, out = records(state, json_summary=state / "a.json")

    with capture_logs() as logs:
        await kept.ended(good_run())

    assert out.getvalue().startswith("run finished")
    assert {one["event"] for one in logs} == {"record_not_written", "status_not_written"}


@pytest.mark.asyncio
async def test_while_a_run_is_under_way_the_last_one_is_still_told(tmp_path: Path) -> None:
    """A run takes hours; whoever asks meanwhile wants to know about the night before."""
    kept, _ = records(tmp_path)
    await kept.ended(partial_run())

    await kept.begun()

    status = read_status(tmp_path)
    assert status is not None
    assert status.details["run_under_way"] is True
    text = render_status(replace(status, running=True), AT + timedelta(hours=1))
    assert "is under way" in text
    assert "rss-retrieval: hard-fork/a: HTTP 404" in text


@pytest.mark.asyncio
async def test_one_error_is_one_error(tmp_path: Path) -> None:
    """`1 errors` reads like a program that was not looked at."""
    kept, _ = records(tmp_path)
    await kept.ended(partial_run())

    status = read_status(tmp_path)
    assert status is not None
    lines = render_status(status, AT).splitlines()
    assert "  hardfork    1 error" in lines
    assert [line for line in lines if line.endswith(", 1 error")]


@pytest.mark.asyncio
async def test_a_run_on_a_project_whose_reader_left_is_kept(tmp_path: Path) -> None:
    """`towpath ingester | head -1` must not cost the history."""
    kept, out = records(tmp_path)
    out.close()

    await kept.ended(good_run())

    assert (tmp_path / "runs.md").exists()


@pytest.mark.asyncio
async def test_monitors_are_told_of_each_site(tmp_path: Path) -> None:
    """An alarm on one site's errors is what an operator of twenty sites wants."""
    kept, _ = records(tmp_path)

    await kept.ended(failed_run())

    text = (tmp_path / "metrics.prom").read_text()
    assert 'towpath_last_run_errors{service="ingester",site="hardfork"} 1.0' in text
    assert 'towpath_last_run_errors{service="ingester",site="naddpod"} 0.0' in text
    assert 'towpath_failed_runs{service="ingester"} 1' in text
    assert "last_success_timestamp_seconds" not in text
