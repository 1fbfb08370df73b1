"""Secrets of Secrets Manager: read when something needs one, never written anywhere."""

from collections.abc import Mapping

from pydantic import TypeAdapter, ValidationError

from shared.aws.clients import ClientPool, ClientSettings, open_clients
from shared.aws.errors import SDK_ERRORS, translate
from shared.aws.identity import find_place, plan_credentials
from shared.aws.imds import open_imds
from shared.errors import PermanentError
from shared.retry import RetryBudget, RetryPolicy, retrying
from shared.s3.errors import ObjectError
from shared.s3.uri import S3Uri

_CONNECTIONS = 1
_POLICY = RetryPolicy(attempts=3)
_FIELDS: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])


class SecretUnusable(PermanentError):
    """A secret cannot be read, or is not what it should be."""


async def read_secret(
    name: str, *, aws_region: str, profile: str | None = None, endpoint_url: str | None = None
) -> Mapping[str, str]:
    """Return the fields of a secret, which is a JSON object of texts; SecretUnusable."""
    async with open_imds() as imds:
        plan = plan_credentials(await find_place(imds), profile)
    chosen = ClientSettings(
        aws_region=aws_region,
        profile=plan.profile,
        endpoint_url=endpoint_url,
        instance_role=plan.instance_role,
        connections=_CONNECTIONS,
    )
    async with open_clients(chosen) as clients:
        try:
            text = await retrying(
                lambda _attempt: _ask(clients, name), policy=_POLICY, budget=RetryBudget()
            )
        except ObjectError as error:
            said = error.code or type(error).__name__
            raise SecretUnusable(f"secret {name!r} cannot be read: {said}") from error
    try:
        return _FIELDS.validate_json(text)
    except ValidationError:
        # Without the error: it would quote the secret.
        raise SecretUnusable(f"secret {name!r} is no JSON object of texts; put one there") from None


async def _ask(clients: ClientPool, name: str) -> str:
    try:
        # A profile that there is not shows itself here.
        service = await clients.client("secretsmanager")
        answer = await service.get_secret_value(SecretId=name)
    except SDK_ERRORS as error:
        raise translate(error, S3Uri(name), writing=False) from error
    return str(answer.get("SecretString") or "")
