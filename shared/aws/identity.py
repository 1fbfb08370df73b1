"""Where this process runs and as whom it acts: answered once, at start.

| where                | --profile or AWS_PROFILE | acts as                                 |
|----------------------|--------------------------|-----------------------------------------|
| EC2 with a role      | unset                    | the instance's role                     |
| EC2 with a role      | set                      | the instance's role; a warning is given |
| EC2 without a role   | any                      | what the usual AWS chain finds          |
| elsewhere            | any                      | what the usual AWS chain finds          |

| STS answers          | EC2 with a role          | elsewhere                               |
|----------------------|--------------------------|-----------------------------------------|
| who we are           | logged                   | logged                                  |
| no, bad, old keys    | error logged, go on      | CredentialsMissing                      |
| nothing              | warning logged, go on    | warning logged, go on                   |
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

import structlog
from structlog.typing import FilteringBoundLogger

from shared.aws.imds import Imds, MetadataUnavailable
from shared.errors import CredentialsMissing, SuiteError
from shared.s3.errors import AccessDenied, CredentialsExpired

log: FilteringBoundLogger = structlog.get_logger()

_INSTANCE = re.compile(r"i-[0-9a-f]{8,17}")

CallerIdentity = Callable[[], Awaitable[Mapping[str, str]]]
"""Ask STS GetCallerIdentity: returns `Arn` and `Account`, raises the suite's errors."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What is known of the machine and of whom it acts as; empty fields are not known."""

    on_ec2: bool
    aws_region: str = ""
    """The region the instance runs in."""
    instance_id: str = ""
    has_role: bool = False
    arn: str = ""
    account: str = ""


@dataclass(frozen=True, slots=True)
class CredentialPlan:
    """Whose credentials to use."""

    instance_role: bool
    """The instance's role and nothing else."""
    profile: str | None = None
    """The profile to look up in the usual chain."""
    ignored_profile: str | None = None
    """A profile that somebody asked for in vain; worth a warning."""


async def find_place(imds: Imds | None) -> Identity:
    """Ask the metadata service whether this is EC2; None, or no answer, means that it is not.

    An answer counts only with an instance id in it: some networks answer every address.
    """
    if imds is None:
        return Identity(on_ec2=False)
    try:
        instance_id = await imds.instance_id()
    except MetadataUnavailable as error:
        log.debug("metadata_absent", error=str(error))
        return Identity(on_ec2=False)
    if not _INSTANCE.fullmatch(instance_id):
        return Identity(on_ec2=False)
    return Identity(
        on_ec2=True,
        aws_region=await _known(imds.aws_region),
        instance_id=instance_id,
        has_role=bool(await _known(imds.role_name)),
    )


def plan_credentials(place: Identity, profile: str | None) -> CredentialPlan:
    """Decide whose credentials to use; the table is in the module's docstring."""
    wanted = profile or None
    if place.on_ec2 and place.has_role:
        return CredentialPlan(instance_role=True, ignored_profile=wanted)
    return CredentialPlan(instance_role=False, profile=wanted)


async def describe_identity(
    place: Identity, plan: CredentialPlan, get_caller_identity: CallerIdentity
) -> Identity:
    """Find out as whom we act, and log it; returns `place` with the ARN and the account.

    Raises:
        CredentialsMissing: there are no usable credentials, and none will come by themselves.
    """
    try:
        answer = await get_caller_identity()
    except (AccessDenied, CredentialsExpired, CredentialsMissing) as error:
        if not plan.instance_role:
            raise CredentialsMissing(_advice(place, plan, error)) from error
        log.error("identity_refused", error=str(error), instance_id=place.instance_id)  # noqa: TRY400 - the traceback says nothing more
        return place
    except SuiteError as error:
        log.warning("identity_unknown", error=str(error))
        return place
    known = replace(place, arn=answer.get("Arn", ""), account=answer.get("Account", ""))
    log.info("identity_found", arn=known.arn, account=known.account, on_ec2=known.on_ec2)
    return known


async def _known(ask: Callable[[], Awaitable[str]]) -> str:
    """Return the answer, empty when it did not come: what is known already is worth keeping."""
    try:
        return await ask()
    except MetadataUnavailable as error:
        log.warning("metadata_incomplete", error=str(error))
        return ""


def _advice(place: Identity, plan: CredentialPlan, error: SuiteError) -> str:
    """Say what failed and which command mends it."""
    code = error.code if isinstance(error, AccessDenied | CredentialsExpired) else str(error)
    chosen = f" --profile {plan.profile}" if plan.profile else ""
    whose = f" of profile {plan.profile!r}" if plan.profile else ""
    role = "attach a role to this instance, or " if place.on_ec2 else ""
    return (
        f"no usable AWS credentials{whose} ({code}); "
        f"{role}run `aws configure{chosen}` or `aws sso login{chosen}`"
    )
