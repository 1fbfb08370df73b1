import aiohttp
import pytest

from shared.aws.clients import ClientSettings, open_clients
from shared.errors import PermanentError


@pytest.mark.asyncio
async def test_aiohttp_that_cannot_be_told_not_to_resend_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The switch is private; if it goes away, lost answers would be misread without a word."""
    monkeypatch.setattr(aiohttp.ClientSession, "ATTRS", frozenset())

    with pytest.raises(PermanentError, match=r"aiohttp .* would repeat writes by itself; install"):
        async with open_clients(ClientSettings("eu-west-1")):
            pass
