"""The AWS on loopback: what it claims to have run has run."""

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.local_aws import LocalAws, open_local_aws
from tests.support.local_aws_batch import wants_retry
from tests.support.local_aws_lambda import FunctionSettings, LambdaEnvironment, Outcome
from tests.support.local_aws_sandbox import Image
from tests.support.local_aws_seams import SEAMS, Seam, moved
from tests.support.moto_server import MotoServer

HANDLER = """
import os, subprocess, sys
calls = 0
def handler(event, context):
    global calls
    calls += 1
    if event.get("sleeps"):
        subprocess.run(["sh", "-c", "exec sleep 600 > " + event["sleeps"]])
    if event.get("exits"):
        os._exit(9)
    if event.get("fails"):
        raise ValueError(event["fails"])
    print("handled", event)
    return {
        "calls": calls, "event": event, "says": os.environ.get("SAYS"),
        "milliseconds": context.get_remaining_time_in_millis(), "tmp": os.environ["TMPDIR"],
        "name": context.function_name, "status": event.get("statuses", ["success"])[0],
    }
"""
JOB = """
import os, sys, pathlib
place = pathlib.Path(os.environ["PLACE"])
attempt = os.environ["AWS_BATCH_JOB_ATTEMPT"]
print("attempt", attempt, sys.argv[1:])
if os.environ.get("WAITS") and attempt == "1":
    (place / "waiting").open("w").close()
    import signal
    signal.pause()
(place / "done").write_text(attempt + " ".join(sys.argv[1:]))
sys.exit(int(os.environ.get("STATUS", "0")))
"""
IMAGE = "towpath:1"


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """Return an image with a handler and a job."""
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "lambda_handler.py").write_text(HANDLER)
    (folder / "job.py").write_text(JOB)
    return Image(folder, command=(sys.executable, "job.py", "own"))


@pytest.fixture
def aws(moto_server: MotoServer, image: Image, tmp_path: Path) -> Iterator[LocalAws]:
    """Return an account that has the image."""
    with open_local_aws(moto_server, tmp_path / "aws", images={IMAGE: image}) as account:
        yield account


def _invoke(environment: LambdaEnvironment, **event: object) -> Any:
    return environment.invoke(json.dumps(event).encode())


def _until_the_limit(environment: LambdaEnvironment, held: Path) -> Outcome:
    """Have a handler start a process that outlasts it; returns once both have ended."""
    os.mkfifo(held)
    payload = json.dumps({"sleeps": str(held)}).encode()
    with ThreadPoolExecutor(1) as pool:
        invoked = pool.submit(environment.invoke, payload, seconds=0.5)
        # Read to its end when nobody has it open for writing any more.
        held.read_bytes()
        return invoked.result(10)


def test_an_environment_runs_a_handler_until_it_is_spoilt(image: Image, tmp_path: Path) -> None:
    """Warm processes, deadlines, errors and time limits are what a handler has to live with."""
    settings = FunctionSettings(name="glacier", timeout_seconds=30, variables={"SAYS": "hello"})
    with LambdaEnvironment(image, settings, {}, folder=tmp_path / "one") as environment:
        first, failed = _invoke(environment, a=1), _invoke(environment, fails="no")
        second = _invoke(environment).document()
        timed_out = _until_the_limit(environment, tmp_path / "held")

        assert first.document()["event"] == {"a": 1}
        assert 25_000 < first.document()["milliseconds"] <= 30_000
        assert (failed.failed, failed.document()["errorType"]) == (True, "ValueError")
        assert (second["calls"], second["says"], second["name"]) == (3, "hello", "glacier")
        assert "Task timed out after 0.50 seconds" in timed_out.document()["errorMessage"]
        assert not environment.usable
        assert _invoke(environment).document()["errorType"] == "Runtime.ExitError"
        assert "handled {'a': 1}" in environment.log.read_text()


def test_an_environment_says_why_it_does_not_start(image: Image, tmp_path: Path) -> None:
    """A handler that cannot be loaded fails every event, and none of them waits in vain."""
    settings = FunctionSettings(name="glacier", handler="nowhere.handler")
    with LambdaEnvironment(image, settings, {}, folder=tmp_path / "one") as environment:
        assert _invoke(environment).document()["errorType"] == "Runtime.ImportModuleError"


def test_a_function_that_is_invoked_runs(aws: LocalAws) -> None:
    """Who waits gets the handler's answer; who does not, three attempts where it fails."""
    aws.add_function("glacier", IMAGE, variables={"SAYS": "hello"})
    client = aws.client("lambda")

    answer = client.invoke(FunctionName="glacier", Payload=b'{"a": 1}')
    exited = client.invoke(FunctionName="glacier", Payload=b'{"exits": 1}')
    accepted = client.invoke(
        FunctionName="glacier", Payload=b'{"fails": "no"}', InvocationType="Event"
    )
    aws.wait()

    assert json.load(answer["Payload"])["says"] == "hello"
    assert exited["FunctionError"] == "Unhandled"
    assert json.load(exited["Payload"])["errorMessage"].endswith("exit status 9")
    assert accepted["StatusCode"] == 202
    assert [one.attempt for one in aws.invoked if one.asynchronous] == [1, 2, 3]


def test_what_is_under_way_ends_with_the_account(
    moto_server: MotoServer, image: Image, tmp_path: Path
) -> None:
    """A test that fails in the middle leaves no process, and begins none."""
    held = tmp_path / "held"
    os.mkfifo(held)
    with open_local_aws(moto_server, tmp_path / "aws", images={IMAGE: image}) as aws:
        aws.add_function("glacier", IMAGE)
        payload = json.dumps({"sleeps": str(held)}).encode()
        aws.client("lambda").invoke(FunctionName="glacier", Payload=payload, InvocationType="Event")
        reading = held.open("rb")

    with reading:
        assert reading.read() == b""
    assert [one.attempt for one in aws.invoked] == [1]


def _submit(aws: LocalAws, place: Path, variables: dict[str, str], **more: Any) -> str:
    environment = [
        {"name": name, "value": value}
        for name, value in ({"PLACE": str(place)} | variables).items()
    ]
    submitted = aws.client("batch").submit_job(
        jobName="job",
        jobQueue="queue",
        jobDefinition="definition",
        containerOverrides={"environment": environment},
        **more,
    )
    return str(submitted["jobId"])


def _described(aws: LocalAws, job_id: str) -> Any:
    [job] = aws.client("batch").describe_jobs(jobs=[job_id])["jobs"]
    return job


def test_a_job_that_is_submitted_runs(aws: LocalAws, tmp_path: Path) -> None:
    """Its command, environment, exit status and log are those of a real process."""
    aws.add_job_queue("queue")
    aws.add_job_definition("definition", IMAGE, variables={"STATUS": "3"})
    job_id = _submit(aws, tmp_path, {})
    aws.wait()
    job = _described(aws, job_id)
    events = aws.client("logs").get_log_events(
        logGroupName="/aws/batch/job", logStreamName=job["container"]["logStreamName"]
    )["events"]

    assert (tmp_path / "done").read_text() == "1own"
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 3)
    assert job["statusReason"] == "Essential container in task exited"
    assert [event["message"] for event in events] == ["attempt 1 ['own']"]


def test_a_job_whose_host_is_reclaimed_is_tried_again(aws: LocalAws, tmp_path: Path) -> None:
    """Spot interruptions are why jobs have a retry strategy."""
    aws.add_job_queue("queue")
    aws.add_job_definition("definition", IMAGE, command=["python3", "job.py", "Ref::satellite"])
    strategy = {
        "attempts": 3,
        "evaluateOnExit": [
            {"onStatusReason": "Host EC2*", "action": "RETRY"},
            {"onReason": "*", "action": "EXIT"},
        ],
    }
    waiting = tmp_path / "waiting"
    os.mkfifo(waiting)
    job_id = _submit(
        aws, tmp_path, {"WAITS": "1"}, retryStrategy=strategy, parameters={"satellite": "landsat"}
    )
    # Opened as soon as the job opens the other end.
    waiting.read_bytes()
    aws.jobs.reclaim(job_id)
    aws.wait()
    job = _described(aws, job_id)

    assert job["status"] == "SUCCEEDED"
    assert [one["container"]["exitCode"] for one in job["attempts"]] == [143, 0]
    assert (tmp_path / "done").read_text() == "2landsat"


@pytest.mark.parametrize(
    ("rules", "reason", "status", "expected"),
    [
        ([], "Essential container in task exited", 1, True),
        ([{"onStatusReason": "Host EC2*", "action": "RETRY"}], "Host EC2 (i) gone", 1, True),
        ([{"onReason": "*", "action": "EXIT"}], "Essential container in task exited", 1, False),
        ([{"onExitCode": "2", "action": "EXIT"}], "Essential container in task exited", 2, False),
        ([{"onExitCode": "2", "action": "EXIT"}], "Essential container in task exited", 1, True),
    ],
)
def test_the_first_rule_that_fits_decides(
    rules: list[dict[str, str]], reason: str, status: int, *, expected: bool
) -> None:
    """The double decides as Batch does, or retries would be proved against something else."""
    assert wants_retry({"evaluateOnExit": rules}, status, reason) is expected


DEFINITION = {
    "StartAt": "Ask",
    "States": {
        "Ask": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": "glacier", "Payload.$": "$"},
            "ResultPath": "$.answer",
            "Next": "Which",
        },
        "Which": {
            "Type": "Choice",
            "Choices": [
                {
                    "Variable": "$.answer.Payload.status",
                    "StringEquals": "success",
                    "Next": "Job",
                }
            ],
        },
        "Job": {
            "Type": "Task",
            "Resource": "arn:aws:states:::batch:submitJob.sync",
            "Parameters": {
                "JobName": "job",
                "JobQueue": "queue",
                "JobDefinition": "definition",
                "ContainerOverrides": {"Environment": [{"Name": "PLACE", "Value.$": "$.place"}]},
            },
            "End": True,
        },
    },
}


def test_a_state_machine_calls_both(aws: LocalAws, tmp_path: Path) -> None:
    """The definitions that are deployed are walked by an interpreter, not by eye."""
    aws.add_function("glacier", IMAGE)
    aws.add_job_queue("queue")
    aws.add_job_definition("definition", IMAGE)
    done = aws.execute(DEFINITION, {"place": str(tmp_path)})

    assert done["status"] == "SUCCEEDED", done
    assert json.loads(done["output"])["Container"]["ExitCode"] == 0
    assert (tmp_path / "done").exists()


def test_moto_is_what_it_was() -> None:
    """What takes the place of private names does nothing once these have moved."""
    assert moved() == []


@pytest.mark.parametrize(
    ("seam", "said"),
    [
        (Seam("moto.nowhere", "X"), "is gone"),
        (Seam("moto.batch.models", "Job.nothing"), "is gone"),
        (Seam("moto.core.config", "default_user_config", ()), "no function"),
        (Seam("moto.batch.models", "Job.terminate", ("self",)), "not ('self',)"),
    ],
)
def test_a_name_that_has_moved_is_told(seam: Seam, said: str) -> None:
    """The guard itself must not be blind."""
    [told] = moved([seam])

    assert said in told
    assert seam not in SEAMS
