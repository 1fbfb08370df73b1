"""Credentials that somebody else provides: fixed keys, or keys of a role that are fetched again.

Rule: keys are renewed when less than five minutes of them remain, also in the middle of a transfer,
and nothing secret is in a `repr`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from aiobotocore.credentials import AioRefreshableCredentials
from botocore.exceptions import CredentialRetrievalError

from shared.errors import SuiteError

RENEW_SECONDS = 300
"""Keys with less time left than this are not used any more."""
_METHOD = "towpath-source"
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Keys:
    """An access key with its secret, and for how long they are good."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    token: str = field(default="", repr=False)
    expires_at: datetime | None = None
    """None: never."""


class CredentialSource(Protocol):
    """Who has keys to give; asked by any number of sessions, so it remembers what it has."""

    async def fetch(self, *, refused: str) -> Keys:
        """Return keys that are good for `RENEW_SECONDS`, and not those with the id `refused`.

        `refused` is empty, or an access key id that a service has called expired or unknown.

        Raises:
            SuiteError: there are none to be had; transient or permanent as it may be.
        """


@dataclass(frozen=True, slots=True)
class FixedKeys:
    """Keys that do not change."""

    keys: Keys

    async def fetch(self, *, refused: str) -> Keys:
        """Return them; there are no others."""
        del refused
        return self.keys


class SourceProvider:
    """Hands what a source gives to a session of the SDK; one for each session."""

    METHOD = _METHOD
    CANONICAL_NAME = "custom-towpath-source"

    def __init__(self, source: CredentialSource, *, refused: str) -> None:
        self._source = source
        self._refused = refused
        self.in_use = ""
        """The access key id that was handed out last."""

    async def load(self) -> AioRefreshableCredentials:
        """Return credentials as the SDK wants them; CredentialRetrievalError if there are none."""
        return AioRefreshableCredentials.create_from_metadata(
            await self._fetch(),
            refresh_using=self._fetch,
            method=_METHOD,
            advisory_timeout=RENEW_SECONDS,
            mandatory_timeout=RENEW_SECONDS,
        )

    async def _fetch(self) -> Mapping[str, str]:
        try:
            keys = await self._source.fetch(refused=self._refused)
        except SuiteError as error:
            raise CredentialRetrievalError(provider=_METHOD, error_msg=str(error)) from error
        self.in_use = keys.access_key_id
        return {
            "access_key": keys.access_key_id,
            "secret_key": keys.secret_access_key,
            "token": keys.token,
            "expiry_time": (keys.expires_at or _NEVER).isoformat(),
        }
