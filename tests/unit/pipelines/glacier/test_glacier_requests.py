"""The request of each service, as its API has it."""

import json
from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator

from pipelines.glacier.dates import Window
from pipelines.glacier.lines.storage import Storage
from pipelines.glacier.regions import Bounds, Region, Selection
from pipelines.glacier.submit.plan import build_plan
from pipelines.glacier.submit.submission import (
    Digests,
    Processing,
    RoutingRules,
    Submission,
)
from pipelines.glacier.targets.fargate_sizes import MEMORY_OF_CPU, check_size
from pipelines.glacier.targets.target import (
    BatchTarget,
    EcsTarget,
    FargateTarget,
    LambdaTarget,
    ServiceName,
    Target,
)

_TARGETS: dict[ServiceName, Target] = {
    "lambda": LambdaTarget("glacier-processing"),
    "batch": BatchTarget("queue", "satellite-processing-sentinel2", 2, 8192, 1800),
    "ecs": EcsTarget("cluster", "task", "glacier"),
    "fargate": FargateTarget("cluster", "task", "glacier", 4096, 16384, ("subnet-1",), (), False),  # noqa: FBT003 - a table
}
_OPERATIONS = {"lambda": "Invoke", "batch": "SubmitJob", "ecs": "RunTask", "fargate": "RunTask"}
_REGION = Region("134_Arsuk", 86.4, ("22VFP", "22VEP"), Bounds(0, 0, 3000, 3000))
_ENVIRONMENT = {
    "SATELLITE": "sentinel2",
    "REGION": "134_Arsuk",
    "DATE1": "2024-08-01",
    "DATE2": "2024-09-02",
    "S3_BUCKET": "greenland-glacier-data",
    "S3_BASE_PATH": "1_download_merge_and_clip",
    "JOB_NAME": "aws-sentinel2-20240801-134_Arsuk",
    "SUBMISSION_ID": "s1",
}


def _request(service: ServiceName, **changes: Any) -> dict[str, Any]:
    target = changes.pop("target", _TARGETS[service])
    submission = Submission(
        submission_id=changes.pop("submission_id", "s1"),
        satellite="sentinel2",
        service=service,
        window=Window(date(2024, 8, 1), date(2024, 9, 2)),
        selection=Selection(),
        storage=Storage("us-west-2", "greenland-glacier-data", "1_download_merge_and_clip"),
        targets={service: target},
        routing=RoutingRules(),
        **changes,
    )
    (job,) = build_plan(submission, [_REGION]).jobs
    return dict(job.request)


@cache
def _input_of(service: str) -> Any:
    name = "ecs" if service == "fargate" else service
    model = Session().get_service_model(name)
    return model.operation_model(_OPERATIONS[service]).input_shape


@pytest.mark.parametrize("service", list(_TARGETS))
def test_a_request_is_valid_by_the_api_s_own_model(service: ServiceName) -> None:
    """What the service would refuse is found here, without a network."""
    report = ParamValidator().validate(_request(service), _input_of(service))

    assert not report.has_errors(), report.generate_report()


def test_a_function_is_invoked_without_waiting() -> None:
    """A held connection times out, and the SDK of old sent the job again."""
    request = _request("lambda")

    assert set(request) == {"FunctionName", "InvocationType", "Payload"}
    assert request["FunctionName"] == "glacier-processing"
    assert request["InvocationType"] == "Event"


def test_an_event_is_readable_by_both_generations_of_handlers() -> None:
    """One reads `region`, the other `regions`."""
    event = json.loads(_request("lambda")["Payload"])

    assert event == {
        "satellite": "sentinel2",
        "region": "134_Arsuk",
        "regions": "134_Arsuk",
        "date1": "2024-08-01",
        "date2": "2024-09-02",
        "s3_bucket": "greenland-glacier-data",
        "s3_base_path": "1_download_merge_and_clip",
        "download_flag": 1,
        "post_processing_flag": 1,
        "clear_downloads": 0,
        "cores": 1,
        "layout": "old",
        "force_reprocess": False,
        "job_name": "aws-sentinel2-20240801-134_Arsuk",
        "submission_id": "s1",
    }


def test_digests_are_sent_where_they_are_known() -> None:
    """An empty one would be a project that nobody has."""
    event = json.loads(_request("lambda", digests=Digests("abc", ""))["Payload"])

    assert event["project_digest"] == "abc"
    assert "config_sha256" not in event


def test_a_batch_job_is_complete() -> None:
    """Two tiles and two started months make four times the time limit."""
    request = _request("batch")

    assert request["jobName"] == "aws-sentinel2-20240801-134_Arsuk"
    assert request["jobQueue"] == "queue"
    assert request["jobDefinition"] == "satellite-processing-sentinel2"
    assert request["parameters"] == {
        "satellite": "sentinel2",
        "regions": "134_Arsuk",
        "startDate": "2024-08-01",
        "endDate": "2024-09-02",
        "s3Bucket": "greenland-glacier-data",
    }
    assert _environment(request["containerOverrides"]) == _ENVIRONMENT
    assert request["containerOverrides"]["resourceRequirements"] == [
        {"type": "VCPU", "value": "2"},
        {"type": "MEMORY", "value": "8192"},
    ]
    assert request["retryStrategy"]["attempts"] == 3
    assert request["timeout"] == {"attemptDurationSeconds": 4 * 1800}


def test_a_batch_job_is_repeated_for_a_lost_host_alone() -> None:
    """One that ended by itself would end in the same way again; without a rule Batch repeats it."""
    rules = _request("batch")["retryStrategy"]["evaluateOnExit"]

    assert [rule["action"] for rule in rules] == ["RETRY", "EXIT"]
    assert rules[0]["onStatusReason"] == "Host EC2*"
    assert rules[-1]["onReason"] == "*"


def test_a_task_on_instances_is_one_container_with_the_same_environment() -> None:
    """All services do the same work."""
    request = _request("ecs")

    assert (request["launchType"], request["count"]) == ("EC2", 1)
    (container,) = request["overrides"]["containerOverrides"]
    assert container["name"] == "glacier"
    assert _environment(container) == _ENVIRONMENT


def test_a_fargate_task_has_network_and_size() -> None:
    """It has no instance to take them from."""
    request = _request("fargate")

    assert request["launchType"] == "FARGATE"
    assert request["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"] == "ENABLED"
    assert (request["overrides"]["cpu"], request["overrides"]["memory"]) == ("4096", "16384")
    assert _environment(request["overrides"]["containerOverrides"][0]) == _ENVIRONMENT


def test_spare_capacity_is_asked_for_in_place_of_the_launch_type() -> None:
    """The service refuses a request that has both."""
    spot = FargateTarget("cluster", "task", "glacier", 4096, 16384, ("subnet-1",), ("sg-1",), True)  # noqa: FBT003 - a table

    request = _request("fargate", target=spot)

    assert "launchType" not in request
    assert request["capacityProviderStrategy"][0]["capacityProvider"] == "FARGATE_SPOT"


def test_a_token_belongs_to_one_job_of_one_submission() -> None:
    """The same token twice is one task; that of another submission must start another one."""
    tokens = {_request("ecs", submission_id=each)["clientToken"] for each in ("s1", "s1", "s2")}

    assert len(tokens) == 2
    assert all(len(token) <= 64 for token in tokens)


def test_a_container_is_told_what_is_not_the_default() -> None:
    """The same inputs must give the same objects on every service."""
    processing = Processing("new", 4, clear_downloads=True, force_reprocess=True)

    request = _request("batch", processing=processing)

    assert _environment(request["containerOverrides"]) == {
        **_ENVIRONMENT,
        "LAYOUT": "new",
        "CORES": "4",
        "CLEAR_DOWNLOADS": "1",
        "FORCE_REPROCESS": "1",
    }


@pytest.mark.parametrize(
    ("cpu", "memory_mb", "good"),
    [
        (256, 512, True),
        (256, 2048, True),
        (256, 1536, False),
        (512, 4096, True),
        (512, 5120, False),
        (1024, 1024, False),
        (1024, 8192, True),
        (2048, 16384, True),
        (4096, 30720, True),
        (4096, 31744, False),
        (4096, 16000, False),
        (8192, 16384, True),
        (8192, 18432, False),
        (8192, 61440, True),
        (16384, 32768, True),
        (16384, 36864, False),
        (16384, 122880, True),
        (3000, 8192, False),
    ],
)
def test_fargate_has_certain_sizes(cpu: int, memory_mb: int, good: bool) -> None:  # noqa: FBT001 - a table
    """Others are refused by RunTask, when half of the jobs may be on their way."""
    assert (check_size(cpu, memory_mb) == "") is good


def test_a_wrong_size_says_what_is_allowed() -> None:
    """Nobody knows the table by heart."""
    assert check_size(8192, 18432).endswith("allowed: 16384 to 61440 in steps of 4096")
    assert check_size(256, 4096).endswith("allowed: 512, 1024, 2048")
    assert check_size(3, 4096).endswith(", ".join(map(str, MEMORY_OF_CPU)))


def _environment(container: Mapping[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["environment"]}
