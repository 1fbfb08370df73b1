"""An image asked as Lambda asks it: over the runtime interface, good and bad events, and an end."""

import json
from pathlib import Path

import aiohttp
import pytest

from pipelines.glacier.command import main
from pipelines.glacier.deploy.docker.client import DockerFailed
from pipelines.glacier.deploy.probes.empty_services import open_services
from pipelines.glacier.deploy.probes.probes import bad_event, dry_run
from pipelines.glacier.deploy.probes.probing import Container, probe_container
from shared.cli import run_command
from tests.support.glacier_regions import write_project
from tests.support.stand_in_docker import StandInDocker, install_docker

_IMAGE = Container("r:t", "linux/amd64", {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
_PROBES = (dry_run("134_Arsuk", "bucket", "base"), bad_event())
_HANDLER = """
import json, os, urllib.request

api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/"
keys = {keys!r}
while True:
    asked = urllib.request.urlopen(api + "invocation/next", timeout=30)
    event, request_id = json.load(asked), asked.headers["Lambda-Runtime-Aws-Request-Id"]
    body = {{**dict.fromkeys(keys, ""), "status": "success"}}
    code = 200
    if "region" not in event:
        code, body = {code}, {{"status": "invalid", "warnings": []}}
        body["error"] = "sentinel3: regions, date1, date2"
    answer = json.dumps({{"statusCode": code, "body": json.dumps(body)}}).encode()
    place = api + "invocation/" + request_id + "/response"
    urllib.request.urlopen(urllib.request.Request(place, answer, method="POST"), timeout=30)
"""


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandInDocker:
    """The stand-in; whoever is on Linux shares the host's network with a container."""
    monkeypatch.setattr("pipelines.glacier.deploy.probes.probing._ON_LINUX", True)
    return install_docker(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("code", "faults"), [(400, ()), (200, ("statusCode is 200, not 400: ",))], ids=["good", "bad"]
)
@pytest.mark.asyncio
async def test_a_container_is_asked_and_ended(
    docker: StandInDocker, code: int, faults: tuple[str, ...]
) -> None:
    """The test that only printed how one could test found nothing."""
    docker.runs(_HANDLER.format(keys=_PROBES[0].keys, code=code))

    dry, bad = await probe_container(_IMAGE, _PROBES)

    assert dry.faults == ()
    assert len(bad.faults) == len(faults)
    assert all(found.startswith(said) for found, said in zip(bad.faults, faults, strict=True))
    started, ended = docker.lines()
    name = started[started.index("--name") + 1]
    assert ended == ["rm", "--force", name]
    assert "AWS_ENDPOINT_URL=http://127.0.0.1:1" in started
    assert not any("AWS_SESSION_TOKEN" in word for word in started)


@pytest.mark.asyncio
async def test_an_image_that_does_not_start_is_told_at_once(docker: StandInDocker) -> None:
    """Nobody waits two minutes for a handler that has ended already."""
    docker.runs("raise SystemExit('no module named rasterio')")

    with pytest.raises(DockerFailed, match="no module named rasterio"):
        await probe_container(_IMAGE, _PROBES)


@pytest.mark.asyncio
async def test_the_empty_services_do_what_a_run_needs() -> None:
    """A record is made once, changed by whoever has read it, and read back."""
    async with open_services() as services, aiohttp.ClientSession() as session:
        at = f"{services.s3_url('127.0.0.1')}/bucket/base/_runs/a.json"

        async def put(body: bytes, **headers: str) -> tuple[int, str]:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            async with session.put(at, data=body, headers=sent) as answer:
                return answer.status, answer.headers.get("ETag", "")

        async with session.get(at) as missing:
            assert (missing.status, "NoSuchKey" in await missing.text()) == (404, True)
        status, etag = await put(b"one", If_None_Match="*")
        assert status == 200
        assert (await put(b"two", If_None_Match="*"))[0] == 412
        assert (await put(b"two", If_Match='"other"'))[0] == 412
        assert (await put(b"two", If_Match=etag))[0] == 200
        async with session.get(at) as found:
            assert await found.read() == b"two"
        listing = f"{services.s3_url('127.0.0.1')}/bucket?list-type=2&prefix=base/"
        async with session.get(listing) as listed:
            assert "<Key>base/_runs/a.json</Key>" in await listed.text()
        async with session.post(f"{services.stac_url('127.0.0.1')}/search", json={}) as scenes:
            assert json.loads(await scenes.text())["features"] == []


@pytest.mark.soak
def test_the_handler_of_this_checkout_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real handler, AWS's runtime client, the real step: from its event to its record."""
    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[4]))

    status = run_command("glacier", main, ["test-container", "--local"])

    out = capsys.readouterr().out
    assert status == 0, out
    assert [line.split()[0] for line in out.splitlines()] == ["ok", "ok", "ok"]
