"""Jobs of local runs: which attempt follows which, what is told of them, their variables."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pipelines.wildlife.detect.command import read_settings
from pipelines.wildlife.machine.environment import detection_variables, setting_variables
from pipelines.wildlife.machine.failures import TaskFailure
from pipelines.wildlife.machine.faults import Faults, parse_fault
from pipelines.wildlife.machine.job_request import (
    AttemptEnd,
    BadRequest,
    is_made_again,
    parse_request,
)
from pipelines.wildlife.machine.local_batch import Output
from pipelines.wildlife.settings import RunSettings
from shared.errors import UsageError
from shared.settings import load_settings

_RULES = [
    {"OnStatusReason": "Host EC2*", "Action": "RETRY"},
    {"OnReason": "CannotPullContainerError*", "Action": "RETRY"},
    {"OnExitCode": "2", "Action": "EXIT"},
    {"OnExitCode": "*", "Action": "RETRY"},
]
_EXITED = "Essential container in task exited"


def _asked(**changes: Any) -> dict[str, Any]:
    return {
        "JobName": "munin-detector-run-1",
        "JobQueue": "forest",
        "JobDefinition": "detector",
        "RetryStrategy": {"Attempts": 2, "EvaluateOnExit": _RULES},
        "Timeout": {"AttemptDurationSeconds": 300},
        **changes,
    }


@pytest.mark.parametrize(
    ("end", "attempt", "again"),
    [
        (AttemptEnd(1, _EXITED), 1, True),
        (AttemptEnd(1, _EXITED), 2, False),
        (AttemptEnd(2, _EXITED), 1, False),
        (AttemptEnd(137, _EXITED), 1, True),
        (AttemptEnd(None, "Host EC2 (instance i-1) terminated."), 1, True),
        (AttemptEnd(None, "x", reason="CannotPullContainerError: no such image"), 1, True),
        (AttemptEnd(None, "Job attempt duration exceeded timeout", final=True), 1, False),
        (AttemptEnd(None, "for another reason"), 1, True),
    ],
)
def test_an_attempt_follows_another_by_the_rules(
    end: AttemptEnd, attempt: int, *, again: bool
) -> None:
    """A mistake is not tried twice, and what took too long would take too long again."""
    assert is_made_again(parse_request(_asked()), end, attempt) is again


@pytest.mark.parametrize(
    "changes",
    [
        {"JobName": "two words"},
        {"JobName": "x" * 129},
        {"RetryStrategy": {"Attempts": 11}},
        {"RetryStrategy": {"Attempts": 2, "EvaluateOnExit": {"Action": "RETRY"}}},
        {"Timeout": {"AttemptDurationSeconds": 59}},
        {"Timeout": {"AttemptDurationSeconds": "300s"}},
        {"ArrayProperties": {}},
    ],
)
def test_what_batch_would_refuse_is_refused(changes: dict[str, Any]) -> None:
    """A local run must not pass where AWS would fail."""
    with pytest.raises(BadRequest):
        parse_request(_asked(**changes))


def test_progress_is_read_out_of_what_is_printed(tmp_path: Path) -> None:
    """Whatever else is printed, whole lines of ours are told once."""
    path = tmp_path / "log"
    output = Output(path)
    first = output.progress()
    path.write_bytes(b'log\n{"event": "progress", "done": 1, "total": 3}\n{"event":"progr')

    second = output.progress()
    with path.open("ab") as stream:
        stream.write(b'ess","done":3,"total":3}\n{"event": "progress"}\n\xff\xfe\nlast words\n\n')
    third = output.progress()

    assert (first, second, third) == ([], [(1, 3)], [(3, 3)])
    assert output.tail() == "last words"


def test_the_same_settings_are_read_from_variables_again() -> None:
    """The detection is another process; what was said on the line must reach it."""
    settings = RunSettings(
        detector="yolo",
        model_uri="file:///models/forest.onnx",
        conf_threshold=0.45,
        include_humans=True,
        weather=("smhi", "static"),
        weather_file=Path("/tmp/weather.json"),
        frost_client_id=SecretStr("an-id"),
        aws_region="eu-west-1",
        endpoint_url="http://localhost:4566",
    )

    again = load_settings(RunSettings, [], setting_variables(settings), service="wildlife")

    assert again.settings == settings


def test_the_detection_takes_nothing_that_was_meant_for_another_program() -> None:
    """`BATCH_SIZE` and the like are in many an environment, and stronger than our own names."""
    settings = RunSettings(conf_threshold=0.45, batch_size=8)
    inherited = {
        "BATCH_SIZE": "64",
        "IMAGE_SIZE": "1280",
        "CONF_THRESHOLD": "0.9",
        "DETECTOR": "yolo",
        "MODEL_URI": "s3://bucket/other.onnx",
        "SPECIES_CFG": "s3://bucket/other.json",
    }
    places = {"INPUT_URI": "s3://bucket/stage0/", "OUTPUT_URI": "s3://bucket/stage1/"}

    read = read_settings({**inherited, **detection_variables(settings), **places})

    found = {name: getattr(read, name) for name in RunSettings.model_fields}
    assert found == dict(settings)


@pytest.mark.parametrize(
    "text",
    ["Nowhere=X", "Stage0Exif", "Stage0Exif=", "Stage0Exif=spot", "Stage0Exif=X*0", "Success=X"],
)
def test_a_fault_names_a_state_and_an_error(text: str) -> None:
    """A drill that never happens would be taken for one that went well."""
    with pytest.raises(UsageError, match="is not valid"):
        parse_fault(text)


def test_a_fault_comes_as_often_as_it_is_asked_for() -> None:
    """Then the state does what it always does."""
    faults = Faults([parse_fault("Stage0Exif=X*2"), parse_fault("SubmitBatchStage1=spot")])

    taken = [faults.take("Stage0Exif") for _ in range(3)]

    assert taken == ["X", "X", ""]
    assert faults.take("SubmitBatchStage1") == ""
    assert [faults.take_spot(), faults.take_spot()] == [True, False]


def test_a_failure_says_what_it_is() -> None:
    """It is read in tracebacks as well."""
    assert str(TaskFailure("BadLine", "line 3")) == "BadLine: line 3"
