"""The state machine, interpreted: functions and jobs are real processes, every end is counted."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.targets.state_machine import CONTINUATIONS_MAX, Places, build_definition
from pipelines.glacier.targets.state_machine_input import build_document, build_input, build_item
from pipelines.glacier.targets.target import Arguments, BatchTarget, Task
from tests.support.local_aws import LocalAws, open_local_aws
from tests.support.local_aws_sandbox import Image
from tests.support.moto_server import MotoServer

HANDLER = """
import json
calls = {}
def handler(event, context):
    name = event["region"]
    number = calls[name] = calls.get(name, 0) + 1
    said = event["says"][min(number, len(event["says"])) - 1]
    if said.startswith("!"):
        raise type(said[1:], (Exception,), {})("as told")
    status = 200 if said != "failed" else 500
    body = {"status": said, "files_uploaded": ["a/b.tif"] * 10} if said != "mute" else {}
    return {"statusCode": status, "body": json.dumps(body)}
"""
BUCKET, KEY = "greenland-glacier-data", "base/sentinel2/_runs/submissions/one.json"
IMAGE, FUNCTION, QUEUE = "glacier:1", "glacier-processing", "glacier-processing-queue"
FAMILY = "satellite-processing"


class World:
    """An account with everything that the state machine calls."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        aws.add_function(FUNCTION, IMAGE)
        aws.add_job_queue(QUEUE)
        aws.add_job_definition(f"{FAMILY}-sentinel2", IMAGE)
        aws.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
        )
        self.topic = str(aws.client("sns").create_topic(Name="glacier")["TopicArn"])
        self._mail = str(aws.client("sqs").create_queue(QueueName="mail")["QueueUrl"])
        aws.client("sns").subscribe(
            TopicArn=self.topic,
            Protocol="sqs",
            Endpoint="arn:aws:sqs:us-west-2:123456789012:mail",
        )

    def run(self, name: str, jobs: Sequence[Arguments], *, key: str = KEY) -> Any:
        """Run the jobs to their end; what DescribeExecution says of it."""
        self.aws.client("s3").put_object(Bucket=BUCKET, Key=KEY, Body=build_document(jobs))
        places = Places(function=FUNCTION, job_queue=QUEUE, job_definition=FAMILY, topic=self.topic)
        definition = _hurried(build_definition(places))
        given = build_input(name, bucket=BUCKET, key=key, count=len(jobs))
        return self.aws.execute(definition, given, name)

    def told(self) -> Mapping[str, str]:
        """Return the one message that came since the last look."""
        sqs = self.aws.client("sqs")
        [message] = sqs.receive_message(QueueUrl=self._mail)["Messages"]
        sqs.delete_message(QueueUrl=self._mail, ReceiptHandle=message["ReceiptHandle"])
        return dict(json.loads(message["Body"]))

    def calls(self, region: str) -> int:
        """Return how often the function was called for a region."""
        events = [json.loads(each.payload) for each in self.aws.invoked]
        return sum(event["region"] == region for event in events)


@pytest.fixture(scope="module")
def world(moto_session: MotoServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return an account; one process runs the function, which counts its calls."""
    moto_session.reset()
    folder = tmp_path_factory.mktemp("image")
    (folder / "lambda_handler.py").write_text(HANDLER)
    image = Image(folder, command=("/bin/sh", "-c", 'exit "$STATUS"'))
    place = tmp_path_factory.mktemp("aws")
    with open_local_aws(moto_session, place, images={IMAGE: image}, at_a_time=1) as aws:
        yield World(aws)


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that has ended."""

    said: Mapping[str, Any]
    told: Mapping[str, str]

    @property
    def result(self) -> Mapping[str, Any]:
        """What it returned."""
        return dict(json.loads(self.said["output"]))

    def failed(self) -> set[str]:
        """Return the regions that failed."""
        return {name.rpartition("-")[2] for name in self.result["failed_jobs"]}


@pytest.fixture(scope="module")
def mixed(world: World) -> Ended:
    """Run jobs of every kind, once for all tests: parsing the definition takes a second."""
    said = world.run(
        "mixed",
        [
            _job("good", "success"),
            _job("dark", "no_data"),
            _job("long", "partial", "partial", "success"),
            _job("endless", "partial"),
            _job("bad", "failed"),
            _job("raises", "!MemoryError"),
            _job("mute", "mute"),
            _job("cut", "!Sandbox.Timedout", "success"),
            _job("throttled", "!Lambda.TooManyRequestsException", "success"),
            _job("unclear", "!Lambda.ServiceException", "success"),
            _job("gone", "!Lambda.ServiceException"),
            _job("large", tiles=3),
            _job("broken", tiles=4, status=2),
            _job("image", "success", satellite="landsat", tiles=4),
        ],
    )
    return Ended(said, world.told())


def _job(
    region: str,
    *says: str,
    satellite: SatelliteName = "sentinel2",
    tiles: int = 1,
    status: int = 0,
) -> Arguments:
    event = {
        "satellite": satellite,
        "region": region,
        "regions": region,
        "date1": "2024-08-01",
        "date2": "2024-08-31",
        "s3_bucket": BUCKET,
        "says": says,
    }
    task = Task(
        name=f"aws-{satellite}-20240801-{region}",
        region=region,
        token="token",
        event=event,
        environment={"REGION": region, "STATUS": str(status)},
        tile_months=tiles,
    )
    return build_item(task, tiles=tiles, batch=BatchTarget(QUEUE, "any", 2, 8192, 1800))


def _hurried(value: Any) -> Any:
    """Return a definition that waits a second at most before it tries again."""
    if isinstance(value, Mapping):
        return {
            name: 1 if name in {"IntervalSeconds", "MaxDelaySeconds"} else _hurried(inner)
            for name, inner in value.items()
            # One second is the shortest, and no second delay may be shorter.
            if name != "MaxDelaySeconds"
        }
    return [_hurried(inner) for inner in value] if isinstance(value, list) else value


def test_every_job_is_counted_by_how_it_ended(mixed: Ended) -> None:
    """One region that fails, in whatever way, must neither fail the run nor be lost in it."""
    counts = [mixed.result[name] for name in ("total", "success", "no_data", "failed")]

    assert mixed.said["status"] == "SUCCEEDED"
    assert counts == [14, 7, 1, 6]
    assert mixed.failed() == {"endless", "bad", "raises", "mute", "gone", "broken"}


def test_what_is_not_done_in_time_is_called_again(world: World, mixed: Ended) -> None:
    """A repeated call goes on after what is delivered; one that never ends is given up."""
    assert world.calls("long") == 3
    assert world.calls("cut") == 2
    assert world.calls("endless") == 1 + CONTINUATIONS_MAX
    assert "endless" in mixed.failed()


def test_what_failed_by_itself_is_not_called_again(world: World, mixed: Ended) -> None:
    """It would fail in the same way, and cost the same."""
    assert {"bad", "raises", "mute"} < mixed.failed()
    assert (world.calls("bad"), world.calls("raises"), world.calls("mute")) == (1, 1, 1)


def test_what_was_throttled_or_unclear_is_asked_again(world: World, mixed: Ended) -> None:
    """Neither is a failure of the region, and the record keeps a second call from doing harm."""
    assert {"throttled", "unclear"}.isdisjoint(mixed.failed())
    assert (world.calls("throttled"), world.calls("unclear")) == (2, 2)
    assert world.calls("gone") == 2


def test_many_tiles_go_to_batch_with_what_the_submission_says(world: World, mixed: Ended) -> None:
    """The same job through Batch directly must do the same."""
    batch = world.aws.client("batch")
    [summary] = batch.list_jobs(jobQueue=QUEUE, jobStatus="SUCCEEDED")["jobSummaryList"]
    [job] = batch.describe_jobs(jobs=[summary["jobId"]])["jobs"]
    environment = {one["name"]: one["value"] for one in job["container"]["environment"]}

    assert "large" not in mixed.failed()
    assert (world.calls("large"), world.calls("broken"), world.calls("image")) == (0, 0, 1)
    assert job["jobName"] == "aws-sentinel2-20240801-large"
    assert f"{FAMILY}-sentinel2" in job["jobDefinition"]
    assert environment["REGION"] == "large"
    assert job["timeout"] == {"attemptDurationSeconds": 5400}


def test_somebody_is_told_how_a_run_went(mixed: Ended) -> None:
    """The names are those of the jobs, to look at and to send again."""
    assert mixed.told["Subject"] == "Glacier run mixed: 6 of 14 failed"
    expected = f"14 jobs of s3://{BUCKET}/{KEY}: 7 success, 1 no data, 6 failed. Failed: ["
    assert mixed.told["Message"].startswith(expected)
    assert "aws-sentinel2-20240801-endless" in mixed.told["Message"]


def test_a_run_whose_jobs_cannot_be_read_says_so(world: World) -> None:
    """Else nobody would hear of a run that has not begun."""
    said = world.run("lost", [_job("unread", "success")], key="nowhere.json")

    told = world.told()
    assert said["status"] == "FAILED"
    assert world.calls("unread") == 0
    assert told["Subject"] == "Glacier run lost was broken off"
    assert f"s3://{BUCKET}/nowhere.json" in told["Message"]
