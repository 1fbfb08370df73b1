"""Runs on AWS, or at LocalStack, from the command line."""

import argparse
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from pipelines.wildlife.commands.call import say
from pipelines.wildlife.commands.modes import Mode
from pipelines.wildlife.machine.local_runs import execution_name
from pipelines.wildlife.machine.remote import RemoteMachine
from pipelines.wildlife.settings import RunSettings
from shared.aws.calls import AwsCalls
from shared.aws.clients import ClientPool, ClientSettings, open_clients
from shared.errors import CredentialsMissing, SuiteError
from shared.retry import RetryPolicy
from shared.s3.errors import AccessDenied, CredentialsExpired, Unreachable

LOCALSTACK_URL = "http://localhost:4566"
_CONNECTIONS = 4
_ONCE = RetryPolicy(attempts=1)
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@dataclass(frozen=True, slots=True)
class Account:
    """An open account with a state machine in it."""

    machine: RemoteMachine
    probe: AwsCalls
    """Asks once."""

    async def has_batch(self) -> bool:
        """Tell whether jobs are taken there; Unreachable where nobody answers at all."""
        try:
            await self.probe.send("batch", "describe_job_queues", maxResults=1)
        except Unreachable:
            raise
        except SuiteError:
            # LocalStack says of what its plan has not that it failed, and would say so again.
            return False
        return True


def settings_for(mode: Mode, settings: RunSettings) -> RunSettings:
    """Return the settings with which an account is opened."""
    if mode is not Mode.LOCALSTACK or settings.endpoint_url:
        return settings
    for name in _KEYS:
        # LocalStack takes any key, and without one no client can be made.
        os.environ.setdefault(name, "test")
    return settings.model_copy(update={"endpoint_url": LOCALSTACK_URL})


@asynccontextmanager
async def open_account(
    settings: RunSettings, arguments: argparse.Namespace
) -> AsyncIterator[Account]:
    """Open an account; CredentialsMissing where we are nobody there."""
    chosen = ClientSettings(
        aws_region=settings.aws_region,
        profile=settings.profile,
        endpoint_url=settings.endpoint_url,
        connections=_CONNECTIONS,
    )
    async with open_clients(chosen) as clients:
        arn = arguments.state_machine or await _usual_machine(settings, clients)
        machine = RemoteMachine(AwsCalls(clients), arn, poll_seconds=arguments.poll_seconds)
        yield Account(machine, AwsCalls(clients, policy=_ONCE))


async def begin(
    account: Account, document: Mapping[str, object], session_id: str
) -> tuple[str, str]:
    """Start an execution, and return its name and ARN."""
    name = execution_name(session_id, datetime.now(UTC))
    arn = await account.machine.begin(name, document)
    say("run", f"execution {name} begun")
    return name, arn


async def _usual_machine(settings: RunSettings, clients: ClientPool) -> str:
    try:
        account = (await clients.caller_identity())["Account"]
    except (AccessDenied, CredentialsExpired) as error:
        raise CredentialsMissing(f"{error}; set AWS credentials, or give --profile") from error
    name = f"{settings.environment_name}-wildlife-pipeline"
    return f"arn:aws:states:{settings.aws_region}:{account}:stateMachine:{name}"
