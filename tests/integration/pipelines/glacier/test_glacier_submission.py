"""Submissions and the set-up of the bucket, against moto's control planes."""

import io
import json
import urllib.request
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pipelines.glacier.command import main
from shared.aws.clients import ClientSettings, ServiceClient, open_clients
from shared.cli import run_command
from shared.lifecycle import run
from tests.support.glacier_regions import write_project
from tests.support.moto_server import MotoServer

Submit: TypeAlias = Callable[..., tuple[int, str, str]]

_REGION = "us-west-2"
_AWS_CONFIG = """\
[COMPUTE]
ecs_subnets = subnet-12345
[NOTIFICATIONS]
sns_topic_arn = arn:aws:sns:us-west-2:123456789012:glacier
"""


@pytest.fixture
def aws(moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[MotoServer]:
    """An account; its functions and jobs are taken and not run, since there is no Docker."""
    for name, value in moto_server.environment(_REGION).items():
        monkeypatch.setenv(name, value)
    _configure(moto_server, use_docker=False)
    yield moto_server
    _configure(moto_server, use_docker=True)


@pytest.fixture
def submit(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    aws: MotoServer,
) -> Submit:
    """Run the command in a project; returns status, stdout and stderr."""
    write_project(tmp_path, aws_config=_AWS_CONFIG)
    monkeypatch.chdir(tmp_path)

    def call(*argv: str) -> tuple[int, str, str]:
        status = run_command("glacier", main, ["submit", *argv])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


_WHAT = ("--satellite", "sentinel2", "--date1", "2024-08-01", "--date2", "2024-08-03")


def test_jobs_are_accepted_by_the_services(submit: Submit, tmp_path: Path) -> None:
    """The requests are what the services take, and every job has an id to ask for."""
    config = _AWS_CONFIG.replace("subnet-12345", _ask(_make))
    (tmp_path / "aws/config/aws_config.ini").write_text(config)
    for service in ("lambda", "batch", "fargate"):
        names = "134_Arsuk,101_sermiligarssuk"
        argv = ("--regions", names, "--service", service, "--output", "json")

        status, out, err = submit(*_WHAT, *argv)

        jobs = json.loads(out)["jobs"]
        assert [job["accepted"] for job in jobs] == [True, True], err
        assert all(job["id"] for job in jobs)
        assert status == 0
        if service == "batch":
            job = _ask(partial(_describe, job_id=jobs[0]["id"]))
            told = {each["name"]: each["value"] for each in job["container"]["environment"]}
            assert job["jobName"] == "aws-sentinel2-20240801-134_Arsuk"
            assert (told["REGION"], told["DATE2"]) == ("134_Arsuk", "2024-08-03")


def test_a_service_that_refuses_makes_1_and_a_line_to_paste(submit: Submit) -> None:
    """Every path of the old script ended with 0."""
    argv = ("--regions", "134_Arsuk,049_jakobshavn", "--service", "batch")

    status, out, _ = submit(*_WHAT, *argv)

    assert status == 1
    assert "ClientException" in out
    assert out.splitlines()[-2:] == [
        "2 jobs: 0 accepted, 2 failed",
        "failed: --regions 134_Arsuk,049_jakobshavn",
    ]


def test_without_credentials_nothing_is_sent(
    submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old script said so and ended with 0."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    status, out, err = submit(*_WHAT, "--regions", "134_Arsuk")

    assert (status, out) == (2, "")
    assert "--dry-run" in err


def test_the_set_up_can_be_repeated(submit: Submit) -> None:
    """A bucket that is ours already is what was wanted."""
    argv = ("--setup", "--s3-bucket", "glacier-results", "--email", "ops@example.org")

    _ask(_make_topic)

    first, again = submit(*argv), submit(*argv)

    assert first == again
    assert first[0] == 0
    state = _ask(partial(_bucket, name="glacier-results"))
    assert state == {"location": _REGION, "versions": "Enabled", "closed": True, "keys": "AES256"}


def test_a_dry_set_up_makes_nothing(submit: Submit) -> None:
    """Nor does it ask anybody."""
    status, out, _ = submit("--setup", "--s3-bucket", "glacier-results", "--dry-run")

    assert status == 0
    assert "glacier-results" in out
    assert _ask(_buckets) == []


def test_the_first_region_takes_no_location(submit: Submit) -> None:
    """S3 refuses its name there."""
    status, _, err = submit("--setup", "--s3-bucket", "glacier-east", "--aws-region", "us-east-1")

    assert status == 0, err


Client: TypeAlias = Callable[[str], Awaitable[ServiceClient]]


def _ask(question: Callable[[Client], Awaitable[Any]]) -> Any:
    async def inside() -> Any:
        async with open_clients(ClientSettings(_REGION)) as clients:
            return await question(clients.client)

    return run(inside)


async def _make_topic(client: Client) -> None:
    await (await client("sns")).create_topic(Name="glacier")


async def _make(client: Client) -> str:
    """Make what the stack would; returns a subnet."""
    role = (await (await client("iam")).create_role(RoleName="r", AssumeRolePolicyDocument="{}"))[
        "Role"
    ]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("h.py", "def h(event, context): return 1")
    await (await client("lambda")).create_function(
        FunctionName="glacier-sentinel2-processor",
        Runtime="python3.12",
        Role=role,
        Handler="h.h",
        Code={"ZipFile": code.getvalue()},
    )
    await _make_batch(await client("batch"), role)
    await _make_ecs(await client("ecs"))
    found = await (await client("ec2")).describe_subnets()
    return str(found["Subnets"][0]["SubnetId"])


async def _make_batch(batch: ServiceClient, role: str) -> None:
    made = await batch.create_compute_environment(
        computeEnvironmentName="glacier", type="UNMANAGED", state="ENABLED", serviceRole=role
    )
    await batch.create_job_queue(
        jobQueueName="glacier-processing-queue",
        state="ENABLED",
        priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": made["computeEnvironmentArn"]}],
    )
    await batch.register_job_definition(
        jobDefinitionName="satellite-processing-sentinel2",
        type="container",
        containerProperties={"image": "x", "vcpus": 1, "memory": 512},
    )


async def _make_ecs(ecs: ServiceClient) -> None:
    await ecs.create_cluster(clusterName="glacier-processing-cluster")
    await ecs.register_task_definition(
        family="glacier-task",
        networkMode="awsvpc",
        cpu="4096",
        memory="16384",
        requiresCompatibilities=["FARGATE"],
        containerDefinitions=[{"name": "glacier-processing", "image": "x", "memory": 512}],
    )


async def _describe(client: Client, job_id: str) -> Any:
    return (await (await client("batch")).describe_jobs(jobs=[job_id]))["jobs"][0]


async def _buckets(client: Client) -> list[str]:
    return [each["Name"] for each in (await (await client("s3")).list_buckets())["Buckets"]]


async def _bucket(client: Client, name: str) -> dict[str, Any]:
    s3 = await client("s3")
    closed = await s3.get_public_access_block(Bucket=name)
    rules = await s3.get_bucket_encryption(Bucket=name)
    rule = rules["ServerSideEncryptionConfiguration"]["Rules"][0]
    return {
        "location": (await s3.get_bucket_location(Bucket=name))["LocationConstraint"],
        "versions": (await s3.get_bucket_versioning(Bucket=name))["Status"],
        "closed": all(closed["PublicAccessBlockConfiguration"].values()),
        "keys": rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"],
    }


def _configure(server: MotoServer, *, use_docker: bool) -> None:
    body = {name: {"use_docker": use_docker} for name in ("batch", "lambda")}
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        f"{server.url}/moto-api/config",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310 - the same
        pass
