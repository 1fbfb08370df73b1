"""The client id of frost may lie in a secret, which is read by those who have a question."""

import json
from datetime import UTC, datetime

import pytest
from aiohttp.web import BaseRequest, StreamResponse, json_response

from pipelines.wildlife.document.places import parse_place
from pipelines.wildlife.settings import RunSettings
from pipelines.wildlife.storage.bucket import BucketStorage
from pipelines.wildlife.weather.chain import Ground, open_chain
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets
from tests.support.podcast_web import PodcastWeb
from tests.support.wildlife_weather import AT_ONCE, CONTACT

_SECRETS = {"full": '{"frost_client_id": "abc"}', "empty": "{}"}


async def _secrets_manager(request: BaseRequest) -> StreamResponse:
    asked = json.loads(await request.read())["SecretId"]
    if asked not in _SECRETS:
        return json_response({"__type": "ResourceNotFoundException"}, status=400)
    return json_response({"Name": asked, "SecretString": _SECRETS[asked]})


@pytest.mark.asyncio
async def test_who_is_asked_depends_on_what_the_secret_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that cannot be read fails no run, and the rows say that a key was missing."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with PodcastWeb() as web:
        monkeypatch.setenv("AWS_ENDPOINT_URL", web.put("/", _secrets_manager))

        found = [
            await _opened("auto", "full"),
            await _opened("auto", "empty"),
            await _opened("frost", "empty"),
            await _opened("auto", "none"),
        ]

    assert found == [
        (["frost", "smhi"], False),
        (["smhi"], False),
        ([], True),
        (["smhi"], True),
    ]


async def _opened(chain: str, secret: str) -> tuple[list[str], bool]:
    settings = RunSettings.model_validate(
        {"weather": [chain], "weather_contact": CONTACT, "api_keys_secret": secret}
    )
    storage = BucketStorage(MemoryStore(MemoryBuckets("bucket")))
    ground = Ground(storage, parse_place("s3://bucket/out/"), datetime(2025, 6, 11, tzinfo=UTC))
    async with open_chain(settings, ground, AT_ONCE) as opened:
        return [link.provider.name for link in opened.links], opened.locked_out
