"""From nothing to a function and back, on moto, with a stand-in for docker."""

import json
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pipelines.glacier.command import main
from pipelines.glacier.deploy.probes.probes import Probe, bad_event, dry_run
from shared.cli import run_command
from tests.support.glacier_regions import write_project
from tests.support.local_aws import _client
from tests.support.moto_server import MotoServer
from tests.support.stand_in_docker import BASE_DIGEST, StandInDocker, install_docker

Towpath: TypeAlias = Callable[..., tuple[int, str, str]]

_FUNCTION = "glacier-processing"
_CONFIG = f"""\
[STORAGE]
s3_bucket = glacier-results
[LAMBDA]
function_name = {_FUNCTION}
"""
_IMAGE = "pipelines/glacier/image"
_SOURCE_FILES = (
    "requirements/glacier.txt",
    "pipelines/__init__.py",
    "shared/errors.py",
    "shared/secret.toml",
    f"{_IMAGE}/requirements.txt",
    f"{_IMAGE}/lambda_handler.py",
    f"{_IMAGE}/entry.sh",
    f"{_IMAGE}/Dockerfile",
    f"{_IMAGE}/.dockerignore",
)
_PLACE = ("001_alison", "glacier-results", "1_download_merge_and_clip")


@pytest.fixture
def aws(moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[MotoServer]:
    """An account; its functions answer what they are told to."""
    for name, value in moto_server.environment("us-west-2").items():
        monkeypatch.setenv(name, value)
    _post(moto_server, "config", {"lambda": {"use_docker": False}})
    yield moto_server
    _post(moto_server, "config", {"lambda": {"use_docker": True}})


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandInDocker:
    """The stand-in, first on PATH."""
    return install_docker(tmp_path, monkeypatch)


@pytest.fixture
def towpath(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    aws: MotoServer,
    docker: StandInDocker,
) -> Towpath:
    """Run a command in a project; returns status, stdout and stderr."""
    project, source = tmp_path / "project", tmp_path / "source"
    project.mkdir()
    for name in _SOURCE_FILES:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    write_project(project, aws_config=_CONFIG)
    monkeypatch.chdir(project)

    def call(*argv: str) -> tuple[int, str, str]:
        # A checkout that stands still, of which the real one is tested with the image.
        more = ("--source", str(source)) if argv[0] == "deploy" else ()
        status = run_command("glacier", main, (*argv, *more))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_a_deployment_from_nothing_and_again(
    towpath: Towpath, aws: MotoServer, docker: StandInDocker
) -> None:
    """The second one has nothing to do: what is deployed is what was asked for."""
    _will_answer(aws, dry_run(*_PLACE), bad_event())
    status, out, err = towpath("deploy", "--apply")

    assert status == 0, err
    assert "the image has 574 MB\n" in err
    assert "smoke test passed" in err
    assert "6 steps done" in out
    [function] = _functions(aws)
    assert (function["MemorySize"], function["Timeout"]) == (10_240, 900)
    assert function["EphemeralStorage"] == {"Size": 10_240}
    _built_and_pushed(docker)
    assert towpath("deploy", "--plan")[1].endswith("nothing to do\n")

    _a_clean_up_leaves_nothing(towpath, aws)


def _built_and_pushed(docker: StandInDocker) -> None:
    """Look at what docker was asked: by digest, without attestations, no secret on the line."""
    pull, inspect, build, _size, push = docker.notes()
    assert pull["argv"][-1] == inspect["argv"][-1] == "python:3.11-slim-bookworm"
    assert f"BASE_IMAGE={BASE_DIGEST}" in build["argv"]
    assert build["attestations"] == "1"
    assert "app/shared/errors.py" in build["context"]
    assert not any("secret" in name for name in build["context"])
    name = build["argv"][build["argv"].index("--tag") + 1]
    assert push["argv"][2:] == ["push", "--quiet", name]
    assert push["mode"] == "0o600"
    assert name.partition("/")[0] in push["settings"]["auths"]
    assert not Path(push["argv"][1]).exists()


def _a_clean_up_leaves_nothing(towpath: Towpath, aws: MotoServer) -> None:
    """What a deployment made is gone, and said before it goes."""
    status, out, err = towpath("cleanup", "--yes")

    assert status == 0, err
    assert "remove repository glacier-lambda with 1 image" in out
    assert _functions(aws) == []


def _functions(aws: MotoServer) -> list[Any]:
    found: list[Any] = _client(aws.url, "lambda").list_functions()["Functions"]
    return found


def _will_answer(aws: MotoServer, *probes: Probe) -> None:
    """Lay out what the function answers, in turn."""
    results = []
    for probe in probes:
        body = {**dict.fromkeys(probe.keys, ""), "status": min(probe.statuses)}
        body["error"] = " ".join(probe.said)
        results.append(json.dumps({"statusCode": probe.status_code, "body": json.dumps(body)}))
    _post(
        aws,
        "static/lambda-simple/response",
        {"results": results, "account_id": "123456789012", "region": "us-west-2"},
    )


def _post(server: MotoServer, path: str, body: Mapping[str, object]) -> None:
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        f"{server.url}/moto-api/{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310 - the same
        pass
