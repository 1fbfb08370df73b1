"""What the flags and keys for waiting, stale code and the state machine do to a plan."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.glacier.targets import state_machine_input
from tests.support.glacier_command import AWS_CONFIG, Submit, submit_in
from tests.support.glacier_plans import STATE_MACHINE

_MACHINE = f"[STEPFUNCTIONS]\nstate_machine_arn = {STATE_MACHINE}\n"


@pytest.fixture
def submit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Submit:
    """The command, in a project."""
    return submit_in(tmp_path, monkeypatch, capsys)


def _event(submit: Submit, *argv: str) -> dict[str, Any]:
    _, out, _ = submit("--regions", "134_Arsuk", "--output", "json", *argv)
    event: dict[str, Any] = json.loads(json.loads(out)["jobs"][0]["request"]["Payload"])
    return event


def _environment(submit: Submit, *argv: str) -> dict[str, str]:
    line = ("--regions", "134_Arsuk", "--service", "batch", "--output", "json")
    _, out, _ = submit(*line, *argv)
    overrides = json.loads(out)["jobs"][0]["request"]["containerOverrides"]
    return {each["name"]: each["value"] for each in overrides["environment"]}


def _configure(root: Path, text: str) -> None:
    (root / "aws/config/aws_config.ini").write_text(AWS_CONFIG + text)


def test_jobs_know_the_project_that_they_are_meant_for(submit: Submit, tmp_path: Path) -> None:
    """Else a handler with last month's code would run it in silence."""
    before = _event(submit)
    (tmp_path / "step.py").write_text("changed = True\n")
    after = _event(submit)

    assert len(before["project_digest"]) == len(before["config_sha256"]) == 64
    assert before["project_digest"] != after["project_digest"]
    assert before["config_sha256"] == after["config_sha256"]
    assert _environment(submit)["PROJECT_DIGEST"] == after["project_digest"]
    assert "allow_stale" not in after


def test_a_project_that_cannot_be_synced_is_a_warning(submit: Submit, tmp_path: Path) -> None:
    """Its jobs can run, in an image; nobody can tell whether it is the same code."""
    (tmp_path / "out.py").symlink_to("/etc/hostname")

    _, out, _ = submit("--output", "json")

    document = json.loads(out)
    assert "project_digest" not in document["jobs"][0]["request"]["Payload"]
    assert any("no job can tell" in warning for warning in document["warnings"])


def test_another_project_s_code_can_be_allowed(submit: Submit) -> None:
    """For who knows what they do."""
    assert _event(submit, "--allow-stale")["allow_stale"] is True
    assert _environment(submit, "--allow-stale")["ALLOW_STALE"] == "1"


def test_who_asks_is_told_to_the_job(submit: Submit) -> None:
    """It is in the record afterwards; the old script took the flag and dropped it."""
    assert _event(submit, "--email", "a@example.org")["email"] == "a@example.org"
    assert _environment(submit, "--email", "a@example.org")["EMAIL"] == "a@example.org"
    assert "email" not in _event(submit)


def test_a_function_can_be_called_by_an_alias(submit: Submit, tmp_path: Path) -> None:
    """What was deployed last need not be what works."""
    plain = json.loads(submit("--output", "json")[1])["jobs"][0]["request"]
    changed = AWS_CONFIG.replace("[LAMBDA]", "[LAMBDA]\nalias = live")
    (tmp_path / "aws/config/aws_config.ini").write_text(changed)
    request = json.loads(submit("--output", "json")[1])["jobs"][0]["request"]

    assert "Qualifier" not in plain
    assert (request["FunctionName"], request["Qualifier"]) == ("glacier-processing", "live")


@pytest.mark.parametrize("flag", ["--poll-seconds", "--wait-minutes"])
def test_patience_without_waiting_is_odd(submit: Submit, flag: str) -> None:
    """Somebody has forgotten the main thing."""
    _, _, err = submit(flag, "10")
    _, _, quiet = submit(flag, "10", "--wait")

    assert f"{flag} has no effect without --wait" in err
    assert quiet == ""


def test_a_state_machine_is_given_all_jobs(submit: Submit, tmp_path: Path) -> None:
    """Routed as by `auto`; one document, one execution that is named after the submission."""
    _configure(tmp_path, _MACHINE)
    argv = ("--service", "stepfunctions", "--regions", "134_Arsuk,090_petermann")

    status, out, _ = submit(*argv, "--output", "json")
    _, text, _ = submit(*argv)

    plan = json.loads(out)
    execution, jobs = plan["execution"], plan["jobs"]
    told = json.loads(execution["input"])
    assert status == 0
    assert [job["service"] for job in jobs] == ["lambda", "batch"]
    assert (execution["stateMachineArn"], execution["name"]) == (
        STATE_MACHINE,
        plan["submission_id"],
    )
    assert plan["document"] == f"s3://other-bucket/{told['jobs']['key']}"
    assert told["jobs"]["key"] == (
        f"results/sentinel2/_runs/submissions/{plan['submission_id']}.json"
    )
    assert told["jobs"]["count"] == 2
    assert [job["request"]["job_name"] for job in jobs] == [job["job_name"] for job in jobs]
    assert jobs[1]["request"]["batch"]["timeout"] == {"AttemptDurationSeconds": 4 * 1800}
    assert f"jobs of {STATE_MACHINE} in s3://other-bucket/" in text


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("", "[STEPFUNCTIONS] state_machine_arn is required"),
        ("[STEPFUNCTIONS]\nstate_machine_arn = glacier\n", "'glacier' is not valid"),
        (f"{_MACHINE}[EXPERIMENTAL]\nenable_step_functions = false\n", "is false; write true"),
    ],
)
def test_a_state_machine_must_be_there_and_wanted(
    submit: Submit, tmp_path: Path, config: str, said: str
) -> None:
    """Told before anything is sent."""
    _configure(tmp_path, config)

    status, out, err = submit("--service", "stepfunctions")

    assert (status, out) == (2, "")
    assert said in err


def test_more_jobs_than_a_machine_can_report_on_are_refused(
    submit: Submit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its result holds a quarter of a megabyte; here it holds less."""
    monkeypatch.setattr(state_machine_input, "NAMES_CHARACTERS_MAX", 1000)
    _configure(tmp_path, _MACHINE)

    status, out, err = submit("--service", "stepfunctions", "--start-end-index", "0:30")

    assert (status, out) == (2, "")
    assert "30 jobs are more than one execution can report" in err
