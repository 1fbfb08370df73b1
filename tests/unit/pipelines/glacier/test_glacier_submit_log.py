"""The log of a project: what it says of submissions, and that it stops none."""

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.glacier.submit.plan import Outcome
from pipelines.glacier.submit.result import Result
from pipelines.glacier.submit.submission_log import LOG_PATH, append_entries, begun, ended
from tests.support.glacier_command import Submit, submit_in
from tests.support.glacier_plans import plan_of
from tests.support.made_up_secrets import secret_key

_NOW = datetime(2024, 8, 1, 12, 30, 5, 7000, tzinfo=UTC)


@pytest.fixture
def submit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Submit:
    """The command, in a project."""
    return submit_in(tmp_path, monkeypatch, capsys)


def test_a_submission_is_told_with_all_its_jobs(tmp_path: Path) -> None:
    """Months later it is the only trace of which request a result came from."""
    plan = plan_of(regions=3)
    first, second, _ = (job.name for job in plan.jobs)
    outcomes = {
        first: Outcome(accepted=True, id="request-1"),
        second: Outcome(accepted=False, error="no such\nfunction"),
    }

    append_entries(tmp_path, begun(plan), _NOW)
    append_entries(tmp_path, [*ended(plan, outcomes)], _NOW)

    lines = (tmp_path / LOG_PATH).read_text().splitlines()
    assert all(re.match(r"2024-08-01 12:30:05,007:(?:INFO|ERROR):\S", line) for line in lines)
    asked = "2024-08-01 to 2024-08-02, 3 jobs, service lambda in us-west-2"
    assert [line.partition(",007:")[2] for line in lines] == [
        f"INFO:submission s1: landsat {asked}, results s3://bucket/base/landsat/",
        f"INFO:{first}: accepted by lambda as request-1",
        f"ERROR:{second}: not accepted by lambda: no such function",
        "INFO:submission s1 ended",
        "INFO:3 jobs: 1 accepted, 2 failed",
        "ERROR:failed: --regions 001_x,002_x",
    ]


@pytest.mark.parametrize(("status", "level"), [("success", "INFO"), ("failed", "ERROR")])
def test_how_a_job_ended_is_told_where_it_was_waited_for(status: str, level: str) -> None:
    """That it was accepted is no longer news."""
    plan = plan_of()
    [job] = plan.jobs
    result = Result("success") if status == "success" else Result("failed", "out of memory")

    told = [*ended(plan, {job.name: Outcome(accepted=True, id="r")}, {job.name: result})]

    assert told[0][0] == {"INFO": 20, "ERROR": 40}[level]
    assert told[0][1].startswith(f"{job.name}: {status} on lambda as r")


def test_lines_are_added_to_what_is_there(tmp_path: Path) -> None:
    """The project's own scripts write to the same file."""
    (tmp_path / LOG_PATH).parent.mkdir(parents=True)
    (tmp_path / LOG_PATH).write_text("before\n")

    append_entries(tmp_path, begun(plan_of()), _NOW)

    assert (tmp_path / LOG_PATH).read_text().startswith("before\n2024-08-01 ")


def test_what_an_answer_says_stays_one_harmless_line(tmp_path: Path) -> None:
    """Errors come from outside, and may hold what a terminal obeys, or a key."""
    secret = f"aws_secret_access_key={secret_key().decode()}"

    append_entries(tmp_path, [(40, f"a\nb\x1b[2J {secret}"), (20, "c")], _NOW)

    first, second = (tmp_path / LOG_PATH).read_text().splitlines()
    assert first.startswith("2024-08-01 12:30:05,007:ERROR:a b?[2J ")
    assert "wJalr" not in first
    assert second.endswith(":INFO:c")


def test_a_log_that_cannot_be_written_stops_nothing(submit: Submit, tmp_path: Path) -> None:
    """Not even one that would never answer."""
    (tmp_path / LOG_PATH).parent.mkdir()
    os.mkfifo(tmp_path / LOG_PATH)

    status, out, err = submit()

    assert status == 0
    assert out
    assert f"warning: nothing is noted in '{LOG_PATH}'" in err
