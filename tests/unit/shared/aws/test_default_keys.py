"""What a child without an SDK is given to act as we do."""

from pathlib import Path

import pytest

from shared.aws.default_keys import default_keys
from shared.errors import CredentialsMissing


@pytest.mark.asyncio
async def test_keys_of_a_profile_are_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GDAL knows fewer sources than the SDK."""
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = id\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))

    assert await default_keys({}) == {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.mark.asyncio
async def test_keys_that_the_child_finds_itself_are_not() -> None:
    """A snapshot of a role's keys would run out in the middle of a long job."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        assert await default_keys({name: "there"}) == {}


@pytest.mark.asyncio
async def test_where_there_are_none_there_are_none_to_hand_over() -> None:
    """Sentinel-2's archive asks for none."""
    assert await default_keys({}) == {}


@pytest.mark.asyncio
async def test_a_source_that_gives_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A profile that does not exist is a mistake, and no wish to be nobody."""
    monkeypatch.setenv("AWS_PROFILE", "gone")

    with pytest.raises(CredentialsMissing, match="gone"):
        await default_keys({})
