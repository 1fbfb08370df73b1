"""Waiting for jobs, the state machine and the status of jobs, against moto's control planes."""

import io
import json
import urllib.request
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import pytest

from pipelines.glacier.command import main
from pipelines.glacier.job_record import JobRecord, RunEntry, RunStatus
from shared.aws.clients import ClientSettings, ServiceClient, open_clients
from shared.cli import run_command
from shared.lifecycle import run
from tests.support.glacier_regions import write_project
from tests.support.moto_server import MotoServer

Glacier: TypeAlias = Callable[..., tuple[int, str, str]]
Client: TypeAlias = Callable[[str], Awaitable[ServiceClient]]

_REGION = "us-west-2"
_SUBMISSION = "5ub"
_MACHINE = f"arn:aws:states:{_REGION}:123456789012:stateMachine:glacier"
_AWS_CONFIG = f"""\
[STORAGE]
s3_bucket = results-here
s3_base_path = base
[STEPFUNCTIONS]
state_machine_arn = {_MACHINE}
"""
_WHAT = ("--satellite", "sentinel2", "--date1", "2024-08-01", "--date2", "2024-08-03")


@pytest.fixture
def glacier(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    moto_server: MotoServer,
) -> Iterator[Glacier]:
    """Run a command in a project, in an account with a bucket; functions are taken and not run."""
    for name, value in moto_server.environment(_REGION).items():
        monkeypatch.setenv(name, value)
    # Nothing is waited for: whatever the jobs have to say, they have said already.
    monkeypatch.setattr("pipelines.glacier.submit.command._POLL_SECONDS", 0)
    named = SimpleNamespace(hex=_SUBMISSION)
    monkeypatch.setattr("pipelines.glacier.submit.command.uuid4", lambda: named)
    write_project(tmp_path, aws_config=_AWS_CONFIG)
    monkeypatch.chdir(tmp_path)
    _configure(moto_server, use_docker=False)
    _ask(_make_bucket)

    def call(*argv: str) -> tuple[int, str, str]:
        status = run_command("glacier", main, argv)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    yield call
    _configure(moto_server, use_docker=True)


def test_jobs_are_waited_for_by_their_records(glacier: Glacier) -> None:
    """What failed can be sent again by pasting a line; where nothing did, the exit status is 0."""
    _ask(_make_function)
    _store("134_Arsuk", "no_data")
    _store("049_jakobshavn", "failed", error="no disk")

    status, out, _ = glacier("submit", *_WHAT, "--regions", "134_Arsuk,049_jakobshavn", "--wait")
    good, document, _ = glacier(
        "submit", *_WHAT, "--region", "134_Arsuk", "--wait", "--output", "json"
    )

    assert (status, good) == (1, 0)
    first, second, *rest = out.splitlines()
    assert first == "  aws-sentinel2-20240801-134_Arsuk  lambda  no_data"
    assert second.startswith("  aws-sentinel2-20240801-049_jakobshavn  lambda  failed: no disk; ")
    assert second.endswith("$252Faws$252Flambda$252Fglacier-sentinel2-processor")
    assert rest == [
        "2 jobs: 2 accepted, 0 failed",
        "finished: 1 failed, 1 no_data",
        "1 of 2 regions succeeded (50.0%)",
        "failed: --regions 049_jakobshavn",
    ]
    told = json.loads(document)
    assert (told["jobs"][0]["accepted"], told["jobs"][0]["status"]) == (True, "no_data")
    assert told["summary"]["share"] == 1.0


def test_a_state_machine_finds_its_jobs_in_the_bucket(glacier: Glacier) -> None:
    """Once, however often the same submission is sent."""
    _ask(_make_machine)
    argv = (*_WHAT, "--regions", "134_Arsuk,090_petermann", "--service", "stepfunctions")

    status, out, _ = glacier("submit", *argv, "--output", "json")
    again, _, _ = glacier("submit", *argv)

    assert status == again == 0
    jobs = json.loads(out)["jobs"]
    arn = f"{_MACHINE.replace(':stateMachine:', ':execution:')}:{_SUBMISSION}"
    assert [(job["accepted"], job["id"]) for job in jobs] == [(True, arn), (True, arn)]
    executions, told, items = _ask(_execution)
    assert executions == 1
    assert (told["jobs"]["count"], told["submission_id"]) == (2, _SUBMISSION)
    assert [item["region"] for item in items] == ["134_Arsuk", "090_petermann"]


def test_the_status_of_jobs_is_read_from_the_bucket(glacier: Glacier) -> None:
    """By anybody who may read there; a failed job is seen in the exit status."""
    _store("134_Arsuk", "success")
    _store("049_jakobshavn", "failed", error="no disk")

    status, failed, _ = glacier("status", "--failed")
    good, document, _ = glacier("status", "--region", "134_Arsuk", "--output", "json")

    assert (status, good) == (1, 0)
    assert failed.splitlines()[-1] == (
        "towpath glacier submit --satellite sentinel2 --date1 2024-08-01 --date2 2024-08-03 "
        "--regions 049_jakobshavn"
    )
    assert "134_Arsuk" not in failed
    assert json.loads(document)["counts"] == {"success": 1}


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ((), "no job that is asked about has a record below 's3://results-here/base/'"),
        (("--s3-bucket", "not-there"), "the bucket does not exist"),
        (("--since", "yesterday"), "--since 'yesterday' is not valid"),
    ],
)
def test_a_status_of_nothing_is_no_pass(glacier: Glacier, argv: tuple[str, ...], said: str) -> None:
    """A typing mistake in the bucket's name must not look like a good night."""
    status, out, err = glacier("status", *argv)

    assert (status, out) == (2, "")
    assert said in err


def _store(region: str, status: RunStatus, error: str = "") -> None:
    name = f"aws-sentinel2-20240801-{region}"
    event = {"region": region, "date1": "2024-08-01", "date2": "2024-08-03"}
    began, answer = "2024-09-01T00:00:00+00:00", {"statusCode": 500 if error else 200}
    entry = RunEntry(_SUBMISSION, status, began, event=event, error=error, response=answer)
    record = JobRecord(name, "sentinel2").with_entry(entry)

    async def put(client: Client) -> None:
        key = f"base/sentinel2/_runs/{name}.json"
        await (await client("s3")).put_object(
            Bucket="results-here", Key=key, Body=record.to_bytes()
        )

    _ask(put)


def _ask(question: Callable[[Client], Awaitable[Any]]) -> Any:
    async def inside() -> Any:
        async with open_clients(ClientSettings(_REGION)) as clients:
            return await question(clients.client)

    return run(inside)


async def _make_bucket(client: Client) -> None:
    place = {"LocationConstraint": _REGION}
    await (await client("s3")).create_bucket(Bucket="results-here", CreateBucketConfiguration=place)


async def _make_role(client: Client) -> str:
    made = await (await client("iam")).create_role(RoleName="r", AssumeRolePolicyDocument="{}")
    return str(made["Role"]["Arn"])


async def _make_function(client: Client) -> None:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("h.py", "def h(event, context): return 1")
    await (await client("lambda")).create_function(
        FunctionName="glacier-sentinel2-processor",
        Runtime="python3.12",
        Role=await _make_role(client),
        Handler="h.h",
        Code={"ZipFile": code.getvalue()},
    )


async def _make_machine(client: Client) -> None:
    definition = {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}
    await (await client("stepfunctions")).create_state_machine(
        name="glacier", definition=json.dumps(definition), roleArn=await _make_role(client)
    )


async def _execution(client: Client) -> tuple[int, Any, Any]:
    machine = await client("stepfunctions")
    listed = (await machine.list_executions(stateMachineArn=_MACHINE))["executions"]
    arn = listed[0]["executionArn"]
    told = json.loads((await machine.describe_execution(executionArn=arn))["input"])
    place = {"Bucket": told["jobs"]["bucket"], "Key": told["jobs"]["key"]}
    found = await (await client("s3")).get_object(**place)
    async with found["Body"] as body:
        return len(listed), told, json.loads(await body.read())


def _configure(server: MotoServer, *, use_docker: bool) -> None:
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        f"{server.url}/moto-api/config",
        data=json.dumps({"lambda": {"use_docker": use_docker}}).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310 - the same
        pass
