"""The user data of the synthesised template, run on a machine as an instance would run it."""

import hashlib
import io
import json
import os
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from infra.rendered import user_data_of
from tests.support import aws_command
from tests.support.daemon import PROJECT
from tests.support.imds import Imds, Instance
from tests.support.machine import Finished, Network, open_machine, require_machine
from tests.support.machine_program import WHEELS, require_wheels
from tests.support.machine_towpath import Cloud, TowpathMachine, open_cloud
from tests.support.namespaces import add_loopback_address
from tests.support.serving import ServerThread
from tests.support.strict_s3.access import KeyState

pytestmark = pytest.mark.timeout(600)

ACCOUNT = "123456789012"
BUCKET = "distributed-colony"
ASSETS = f"cdk-hnb659fds-assets-{ACCOUNT}-eu-west-1"
ROOT = "/data/distributed-colony/output/s3"
UNIT = "towpath-uploader.service"
ROLE_KEY = "role-of-the-stack"
SETTINGS = f"""\
wheels = {json.dumps(str(WHEELS))}

[coordinator]
region = "eu-west-1"
directory = {json.dumps(ROOT)}

[[coordinator.buckets]]
name = "{BUCKET}"
"""
_SYNTHESIS_SECONDS = 300.0
_INSTALL_SECONDS = 240.0
_INFRA = PROJECT / ".venv-infra" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class Deployment:
    """What `cdk deploy` would have sent to AWS."""

    user_data: str
    assets: dict[str, bytes]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Synthesise the stack and read what an instance gets out of the template."""
    require_machine()
    require_wheels()
    if not _INFRA.exists():
        pytest.skip("there is no .venv-infra; `make synth` makes it")
    folder = tmp_path_factory.mktemp("synthesis")
    settings, output = folder / "settings.toml", folder / "cdk.out"
    settings.write_text(SETTINGS)
    command = [str(_INFRA), "-m", "infra", f"--settings={settings}", f"--output={output}"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    done = subprocess.run(
        command,
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        check=False,
        text=True,
        timeout=_SYNTHESIS_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    template = json.loads((output / "towpath-coordinator.template.json").read_text())
    assets = {path.name.removeprefix("asset."): path for path in output.glob("asset.*.zip")}
    return Deployment(
        user_data_of(template, {"AWS::AccountId": ACCOUNT}),
        {name: path.read_bytes() for name, path in assets.items()},
    )


@pytest.fixture(scope="module")
def site(deployment: Deployment) -> Iterator[TowpathMachine]:
    """Have a machine that takes itself for an instance with a role, and nothing installed."""
    with open_cloud([BUCKET, ASSETS]) as cloud:
        cloud.s3.access.keys[ROLE_KEY] = KeyState.VALID
        imds = _imds(cloud.network)
        try:
            with open_machine(cloud.network) as machine:
                made = TowpathMachine(machine, cloud.s3)
                _furnish(made, cloud)
                yield made
        finally:
            imds.stop()


def _imds(network: Network) -> Imds:
    """Run the metadata service where every instance finds it."""
    address = "169.254.169.254"
    network.call(add_loopback_address, 1, address)
    imds = Imds(Instance(access_key=ROLE_KEY))
    imds._thread = ServerThread(imds._answer, name="imds", host=address, port=80)
    network.call(imds.start)
    return imds


def _furnish(site: TowpathMachine, cloud: Cloud) -> None:
    """Give the machine what an Amazon machine image has, and a way to this S3 instead of AWS."""
    command = f"#!/usr/bin/python3\n{Path(aws_command.__file__).read_text()}"
    site.machine.write("/usr/local/bin/aws", command, mode=0o755)
    site.machine.write("/etc/aws-stand-in", cloud.s3.url)
    # Compiling what is started three times takes longer than the rest of the installation.
    site.machine.write("/etc/pip.conf", "[install]\nno-compile = true\n")
    variables = [f"AWS_ENDPOINT_URL_{name}={cloud.s3.url}" for name in ("S3", "STS")]
    endpoint = f"[Service]\nEnvironment={' '.join(variables)}\n"
    site.machine.write("/etc/systemd/system/towpath-.service.d/endpoint.conf", endpoint)


def _run(site: TowpathMachine, deployment: Deployment) -> Finished:
    """Run the script as cloud-init does."""
    script = "/var/lib/cloud/instance/user-data.txt"
    site.machine.write(script, deployment.user_data, mode=0o700)
    return site.machine.run("bash", script, limit=_INSTALL_SECONDS, check=False)


def _with_newer_asset(deployment: Deployment) -> tuple[Deployment, str]:
    """Return what the deployment of a changed tree would send, and the new asset's checksum."""
    told = dict(
        line.removeprefix("readonly asset_").split("=", 1)
        for line in deployment.user_data.splitlines()
        if line.startswith("readonly asset_")
    )
    buffer = io.BytesIO(deployment.assets[told["key"]])
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("note.txt", "newer")
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    script = deployment.user_data.replace(told["sha256"], digest)
    return Deployment(script, {told["key"]: buffer.getvalue()}), digest


def _told(site: TowpathMachine) -> list[str]:
    """Return what was sent to CloudWatch, by the script."""
    return site.machine.run("cat", "/var/log/aws-stand-in").stdout.splitlines()


def test_an_asset_that_was_changed_is_not_installed(
    site: TowpathMachine, deployment: Deployment
) -> None:
    """Whoever can write to the asset bucket must not get to run programs on instances."""
    site.s3.seed(ASSETS, {name: body + b"!" for name, body in deployment.assets.items()})

    ended = _run(site, deployment)

    assert ended.status != 0
    assert "FAILED at 'asset'" in ended.stdout
    assert "checksum did NOT match" in ended.stderr
    assert _told(site)[-1].endswith("--value 1")
    site.machine.run("test", "!", "-e", "/opt/towpath")


def test_user_data_makes_an_instance_that_uploads(
    site: TowpathMachine, deployment: Deployment
) -> None:
    """From an empty machine to a file in S3, by nothing but what the template says."""
    site.s3.seed(ASSETS, deployment.assets)

    ended = _run(site, deployment)

    assert ended.status == 0, ended.stdout + ended.stderr + site.machine.journal.tail()
    assert "DONE: uploader is installed and runs" in ended.stdout.splitlines()[-1]
    assert _told(site)[-1].endswith("--value 0")
    assert site.systemctl("is-active", UNIT, "towpath.target").stdout == "active\nactive\n"
    assert site.systemctl("is-enabled", UNIT, "towpath.target").stdout == "enabled\nenabled\n"
    path = site.put(f"{ROOT}/{BUCKET}/generation-7/colony.png", b"colony")
    site.wait_for("file_uploaded", BUCKET=BUCKET, KEY="generation-7/colony.png")
    assert site.s3.objects(BUCKET) == {"generation-7/colony.png": b"colony"}
    assert not path.exists()
    assert {each.access_key for each in site.s3.requests()} == {ROLE_KEY}, "by the role alone"


def test_user_data_can_be_run_again(site: TowpathMachine, deployment: Deployment) -> None:
    """The first thing to try on an instance that does not work."""
    before = site.main_pid(UNIT)

    ended = _run(site, deployment)

    assert ended.status == 0, ended.stdout + ended.stderr
    assert site.main_pid(UNIT) == before, "nothing has changed, so nothing is restarted"


def test_other_settings_reach_the_daemon_that_runs(
    site: TowpathMachine, deployment: Deployment
) -> None:
    """Its unit stays the same, and a file alone tells a running daemon nothing."""
    before = site.main_pid(UNIT)
    setting = 'metrics = "cloudwatch"\n'
    script = deployment.user_data.replace(setting, f'{setting}log_level = "debug"\n')
    assert script != deployment.user_data

    ended = _run(site, replace(deployment, user_data=script))

    assert ended.status == 0, ended.stdout + ended.stderr
    site.wait_for("reload_done")
    assert site.main_pid(UNIT) == before


def test_an_instance_that_boots_again_goes_on(site: TowpathMachine) -> None:
    """User data runs once; after that the units are on their own."""
    site.machine.reboot()

    site.wait_for("ready")
    site.put(f"{ROOT}/{BUCKET}/generation-8/colony.png", b"colony")
    site.wait_for("file_uploaded", KEY="generation-8/colony.png")


def test_a_newer_asset_replaces_the_program_and_restarts_it(
    site: TowpathMachine, deployment: Deployment
) -> None:
    """An upgrade is the same script with another asset."""
    before = site.main_pid(UNIT)
    newer, digest = _with_newer_asset(deployment)
    site.s3.seed(ASSETS, newer.assets)

    ended = _run(site, newer)

    assert ended.status == 0, ended.stdout + ended.stderr + site.machine.journal.tail()
    assert site.main_pid(UNIT) != before
    assert site.machine.run("ls", "/opt/towpath/releases").stdout.split() == [digest[:16]]
    site.put(f"{ROOT}/{BUCKET}/generation-9/colony.png", b"colony")
    site.wait_for("file_uploaded", BUCKET=BUCKET, KEY="generation-9/colony.png")
