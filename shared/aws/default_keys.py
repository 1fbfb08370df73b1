"""The keys that the SDK's default chain finds, for a child that has no SDK to look for them.

Rule: keys that whoever gets them can find and renew by itself are not handed over: a snapshot of
them would run out in the middle of a long job.
"""

from collections.abc import Mapping

from aiobotocore.session import AioSession

from shared.aws.errors import SDK_ERRORS
from shared.errors import CredentialsMissing

_FOUND_BY_ALL = (
    "AWS_ACCESS_KEY_ID",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
"""GDAL and every SDK look these up."""


async def default_keys(variables: Mapping[str, str]) -> Mapping[str, str]:
    """Return what to add to a child's environment, so that it acts as we do; maybe nothing.

    Raises:
        CredentialsMissing: the chain names a source, and that gives nothing.
    """
    if any(variables.get(name) for name in _FOUND_BY_ALL):
        return {}
    try:
        found = await AioSession().get_credentials()
        keys = None if found is None else await found.get_frozen_credentials()
    except SDK_ERRORS as error:
        raise CredentialsMissing(f"no credentials for the step: {error}") from error
    if keys is None:
        return {}
    named = {
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_SESSION_TOKEN": keys.token,
    }
    return {name: str(value) for name, value in named.items() if value}
