"""Reading a secret: its fields, or a reason without a word of what is in it."""

import pytest

from shared.aws.clients import ClientSettings, open_clients
from shared.aws.secrets import SecretUnusable, read_secret
from tests.support.moto_server import MotoServer

REGION = "eu-north-1"


@pytest.mark.asyncio
async def test_a_secret_gives_its_fields_or_a_reason_that_does_not_quote_it(
    moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One secret holds the keys of several services; a message ends up in logs, without any key."""
    for name, value in moto_server.environment(REGION).items():
        monkeypatch.setenv(name, value)
    good = '{"frost_client_id": "abc", "detector_key": "def"}'
    async with open_clients(ClientSettings(REGION)) as clients:
        service = await clients.client("secretsmanager")
        for name, text in (("good", good), ("plain", "hush-hush"), ("deep", '{"a": ["hush"]}')):
            await service.create_secret(Name=name, SecretString=text)

    fields = await read_secret("good", aws_region=REGION)

    assert fields == {"frost_client_id": "abc", "detector_key": "def"}
    with pytest.raises(SecretUnusable, match="'none' cannot be read: ResourceNotFoundException"):
        await read_secret("none", aws_region=REGION)
    with pytest.raises(SecretUnusable, match="'good' cannot be read: ProfileNotFound"):
        await read_secret("good", aws_region=REGION, profile="nobody")
    for name in ("plain", "deep"):
        with pytest.raises(SecretUnusable, match="no JSON object of texts") as caught:
            await read_secret(name, aws_region=REGION)
        assert "hush" not in repr(caught.value) + repr(caught.value.__cause__)
