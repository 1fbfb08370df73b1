"""`make deploy-local`: made, made again, and removed; moto stands in for LocalStack."""

import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pipelines.wildlife.states.index import FUNCTIONS
from scripts.wildlife.local_account import BUCKET, LocalAccount
from shared.aws.calls import AwsCalls
from shared.aws.clients import ClientSettings, open_clients
from tests.support.moto_server import MotoServer
from tests.support.soak import SOAKING


@asynccontextmanager
async def _account(server: MotoServer) -> AsyncIterator[tuple[LocalAccount, AwsCalls]]:
    settings = ClientSettings(aws_region="eu-north-1", endpoint_url=server.url)
    async with open_clients(settings) as clients:
        calls = AwsCalls(clients)
        yield LocalAccount(calls, "eu-north-1", "detector:local"), calls


@pytest.mark.skipif(not SOAKING, reason="five seconds of imports for a script: make soak runs it")
@pytest.mark.asyncio
async def test_it_can_be_made_again_and_goes(
    moto_server: MotoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first try is never the last; and whoever removes it keeps pictures and results."""
    for name, value in moto_server.environment("eu-north-1").items():
        monkeypatch.setenv(name, value)
    for name in ("states.zip", "tables.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("index.py", "handler = print\n")
    async with _account(moto_server) as (account, calls):
        first = await account.deploy(tmp_path)
        second = await account.deploy(tmp_path)
        found = await account.list_all()

        assert first == second
        assert found["state machines"] == ["dev-wildlife-pipeline"]
        assert len(found["functions"]) == len(FUNCTIONS)
        assert found["queues"] == ["dev-wildlife-queue"]
        made = await calls.send(
            "stepfunctions", "describe_state_machine", stateMachineArn=first["machine"]
        )
        assert "${" not in made["definition"]

        await account.destroy()
        left = await account.list_all()
        buckets = await calls.send("s3", "list_buckets")

    assert (left["state machines"], left["functions"]) == ([], [])
    assert [one["Name"] for one in buckets["Buckets"]] == [BUCKET]
