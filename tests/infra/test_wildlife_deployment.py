"""The wildlife stack against CloudFormation, and a run of what it has made, on loopback.

moto's CloudFormation knows no bucket policies, topic policies, trails and alarms: it leaves them
out.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.wildlife_package import RUNTIME, STATES, TABLES, source_files, write_zip
from tests.support.cloudformation_gaps import closed_gaps
from tests.support.local_aws import REGION as LOCAL_REGION
from tests.support.local_aws import LocalAws, open_local_aws
from tests.support.local_aws_sandbox import PROJECT, Image
from tests.support.moto_server import MotoServer
from tests.support.soak import SOAKING
from tests.support.stacks import Synthesised, Template

MAIN = PROJECT / ".venv" / "bin" / "python"
"""The environment that has what functions and jobs have."""
IMAGE = f"123456789012.dkr.ecr.{LOCAL_REGION}.amazonaws.com/dev-wildlife-detector@sha256:{64 * '0'}"
PREFIX = "functions/0123456789abcdef"
STACK = "wildlife"
_RUN_SECONDS = 300.0
PICTURES = """
import sys
from pathlib import Path
from tests.support.wildlife_pictures import Animal, Exif, make_picture, make_sidecar
folder = Path(sys.argv[1])
moose = Animal("moose", (40, 30, 100, 90))
for minute in range(3):
    exif = Exif(original=f"2026:06:01 04:{minute:02}:00", position=(59.3, 18.1))
    (folder / f"IMG_{minute}.JPG").write_bytes(make_picture(exif=exif, animals=[moose]))
    (folder / f"IMG_{minute}.JPG.detections.json").write_bytes(make_sidecar([moose]))
(folder / "IMG_9.JPG").write_bytes(b"no picture")
"""


@contextmanager
def _deployed(template: Template, server: MotoServer, folder: Path) -> Iterator[dict[str, str]]:
    """Have the stack, with packages and image, while the block lasts; gives its outputs."""
    session = boto3.Session("testing", "testing", region_name=LOCAL_REGION)
    formation, s3, parameters = (
        session.client(service, endpoint_url=server.url)
        for service in ("cloudformation", "s3", "ssm")
    )
    parameters.put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="21", Type="String")
    place = {"LocationConstraint": LOCAL_REGION}
    s3.create_bucket(Bucket="packages", CreateBucketConfiguration=place)
    package = folder / STATES
    write_zip(package, source_files())
    for name in (STATES, TABLES):
        s3.put_object(Bucket="packages", Key=f"{PREFIX}/{name}", Body=package.read_bytes())
    given = {"PackageBucket": "packages", "PackagePrefix": PREFIX, "ImageUri": IMAGE}
    # Where the services of a local account are; a region stands in ARNs and names of services.
    text = template.path.read_text(encoding="utf-8").replace("eu-north-1", LOCAL_REGION)
    with closed_gaps():
        formation.create_stack(
            StackName=STACK,
            TemplateBody=text,
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value} for name, value in given.items()
            ],
        )
        [stack] = formation.describe_stacks(StackName=STACK)["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        yield {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
        formation.delete_stack(StackName=STACK)


@pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
@pytest.mark.timeout(600)
def test_the_wildlife_stack_is_made_runs_and_goes(
    sample: Synthesised, moto_server: MotoServer, tmp_path: Path
) -> None:
    """CloudFormation takes it, the machine is the pipeline's own, and pictures outlive it.

    In a soak the machine is executed as well, by real functions and a real detection.
    """
    with _deployed(sample.wildlife, moto_server, tmp_path) as outputs:
        session = boto3.Session("testing", "testing", region_name=LOCAL_REGION)
        batch, states, functions, s3 = (
            session.client(service, endpoint_url=moto_server.url)
            for service in ("batch", "stepfunctions", "lambda", "s3")
        )
        machine = states.describe_state_machine(stateMachineArn=outputs["StateMachineArn"])
        queues = {one["jobQueueName"] for one in batch.describe_job_queues()["jobQueues"]}
        made = {one["FunctionName"]: one for one in functions.list_functions()["Functions"]}

        assert "${" not in machine["definition"]
        assert all(one["FunctionArn"] in machine["definition"] for one in made.values())
        assert len(made) == 6
        assert queues == {outputs[f"JobQueue{kind}"] for kind in ("Spot", "Either", "OnDemand")}
        if SOAKING:
            _run(outputs, moto_server, tmp_path)

    assert batch.describe_job_queues()["jobQueues"] == []
    assert states.list_state_machines()["stateMachines"] == []
    assert outputs["BucketName"] in [one["Name"] for one in s3.list_buckets()["Buckets"]]


def _run(outputs: Mapping[str, str], server: MotoServer, folder: Path) -> None:
    """Execute what the stack has made: done, refused by its budget, refused by its mistakes."""
    functions = Image(PROJECT, absent=("boto3", "openpyxl"), python=str(MAIN))
    detection = Image(
        PROJECT, entry=(str(MAIN), "-m", "pipelines.wildlife.detect"), python=str(MAIN)
    )
    images = {RUNTIME: functions, IMAGE: detection}
    _put_pictures(server, outputs["BucketName"], folder)
    made = _read_made(server, outputs)
    told = {
        "input_uri": f"{outputs['InputUri']}cam01/",
        "output_uri": f"{outputs['OutputUri']}run_001/",
        "budget_dkk": 25,
    }
    changes: Mapping[str, Mapping[str, object]] = {
        "done": {},
        "poor": {"budget_dkk": 0.01, "input_uri": f"{outputs['InputUri']}cam02/"},
        "wrong": {"colour": "red"},
    }
    with open_local_aws(server, folder / "aws", images=images) as aws:
        machine = _make_again(aws, made)
        done, poor, wrong = (
            _execute(aws, machine, name, {**told, **change}) for name, change in changes.items()
        )
        jobs = len(aws.jobs.ids)

    assert done["status"] == "SUCCEEDED", done
    assert json.loads(done["output"])["final_results"]["files_created"] == 2
    assert (wrong["error"], "colour" in wrong["cause"]) == ("InvalidInput", True)
    assert poor["error"] == "BudgetExceeded", poor
    assert "Estimated cost exceeds budget: " in poor["cause"]
    assert jobs == 1, "nothing is submitted for a run that is refused"
    report = _report(server, outputs["BucketName"])
    assert report["images"] == {"found": 4, "used": 4, "skipped": 0, "errors": 1}
    assert report["observations"]["species_summary"]["moose"]["count"] == 1


def _read_made(server: MotoServer, outputs: Mapping[str, str]) -> Mapping[str, Any]:
    session = boto3.Session("testing", "testing", region_name=LOCAL_REGION)
    states, functions = (
        session.client(service, endpoint_url=server.url) for service in ("stepfunctions", "lambda")
    )
    return {
        "functions": functions.list_functions()["Functions"],
        "machine": states.describe_state_machine(stateMachineArn=outputs["StateMachineArn"]),
    }


def _make_again(aws: LocalAws, made: Mapping[str, Any]) -> str:
    """Make functions and machine where they can run: moto keeps those apart from what cannot."""
    for one in made["functions"]:
        package = TABLES if one["FunctionName"].endswith("write-parquet") else STATES
        kept = (
            "FunctionName",
            "Runtime",
            "Role",
            "Handler",
            "Timeout",
            "MemorySize",
            "Environment",
        )
        aws.client("lambda").create_function(
            Code={"S3Bucket": "packages", "S3Key": f"{PREFIX}/{package}"},
            **{name: one[name] for name in kept},
        )
    machine: str = aws.client("stepfunctions").create_state_machine(
        **{name: made["machine"][name] for name in ("name", "definition", "roleArn")}
    )["stateMachineArn"]
    return machine


def _execute(aws: LocalAws, machine: str, name: str, document: Mapping[str, object]) -> Any:
    execution = aws.client("stepfunctions").start_execution(
        stateMachineArn=machine, name=name, input=json.dumps(document)
    )["executionArn"]
    return aws.await_execution(execution, _RUN_SECONDS)


def _put_pictures(server: MotoServer, bucket: str, folder: Path) -> None:
    pictures = folder / "pictures"
    pictures.mkdir()
    subprocess.run([MAIN, "-c", PICTURES, pictures], cwd=PROJECT, check=True, timeout=60)
    s3 = boto3.client(
        "s3",
        endpoint_url=server.url,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name=LOCAL_REGION,
    )
    for path in pictures.iterdir():
        s3.put_object(Bucket=bucket, Key=f"raw/cam01/{path.name}", Body=path.read_bytes())
    # More than the least budget pays for; the guard counts them, and nobody looks into them.
    for number in range(100):
        s3.put_object(Bucket=bucket, Key=f"raw/cam02/IMG_{number}.JPG", Body=b"")


def _report(server: MotoServer, bucket: str) -> Any:
    s3 = boto3.Session("testing", "testing", region_name=LOCAL_REGION).client(
        "s3", endpoint_url=server.url
    )
    key = "out/run_001/run_report.json"
    return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
