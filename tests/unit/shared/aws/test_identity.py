from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from shared.aws.identity import (
    CredentialPlan,
    Identity,
    describe_identity,
    find_place,
    plan_credentials,
)
from shared.aws.imds import Imds, MetadataUnavailable, open_imds, watch_spot_notice
from shared.errors import CredentialsMissing, ExitStatus, SuiteError
from shared.s3.errors import AccessDenied, Answer, CredentialsExpired, Throttled, Unreachable
from shared.s3.uri import S3Uri
from tests.support.imds import Imds as MetadataService

STS = S3Uri("sts")
EC2 = Identity(on_ec2=True, aws_region="eu-west-1", instance_id="i-0123456789", has_role=True)
BARE_EC2 = Identity(on_ec2=True, instance_id="i-0123456789")
LAPTOP = Identity(on_ec2=False)
AS_ROLE = CredentialPlan(instance_role=True)
AS_CHAIN = CredentialPlan(instance_role=False)

BAD_CREDENTIALS = [
    CredentialsExpired(STS, Answer("NoCredentialsError")),
    CredentialsExpired(STS, Answer("ExpiredToken", status=403)),
    AccessDenied(STS, Answer("InvalidClientTokenId", status=403)),
    CredentialsMissing("the profile 'lab' is not there"),
]


@dataclass
class Facts(Imds):
    """A metadata service with fixed answers; None is no answer."""

    instance: str | None = "i-0123456789"
    where: str | None = "eu-west-1"
    role: str | None = "colony-role"

    async def instance_id(self) -> str:
        """Answer with the instance."""
        return answered(self.instance)

    async def aws_region(self) -> str:
        """Answer with the region."""
        return answered(self.where)

    async def role_name(self) -> str:
        """Answer with the role."""
        return answered(self.role)


def answered(fact: str | None) -> str:
    """Return the fact, or fail as a silent service does."""
    if fact is None:
        raise MetadataUnavailable("no answer")
    return fact


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("imds", "expected"),
    [
        (None, LAPTOP),
        (Facts(instance=None), LAPTOP),
        (Facts(instance=""), LAPTOP),
        (Facts(instance="<html>welcome to the hotel</html>"), LAPTOP),
        (Facts(), EC2),
        (Facts(role=""), Identity(on_ec2=True, aws_region="eu-west-1", instance_id="i-0123456789")),
        (Facts(where=None, role=None), BARE_EC2),
    ],
)
async def test_place_is_decided_by_the_metadata_service(
    imds: Imds | None, expected: Identity
) -> None:
    """Guessing from files or host names has misled every script before."""
    assert await find_place(imds) == expected


@pytest.mark.parametrize(
    ("place", "profile", "expected"),
    [
        (EC2, None, AS_ROLE),
        (EC2, "", AS_ROLE),
        (EC2, "lab", CredentialPlan(instance_role=True, ignored_profile="lab")),
        (BARE_EC2, None, AS_CHAIN),
        (BARE_EC2, "lab", CredentialPlan(instance_role=False, profile="lab")),
        (LAPTOP, None, AS_CHAIN),
        (LAPTOP, "", AS_CHAIN),
        (LAPTOP, "lab", CredentialPlan(instance_role=False, profile="lab")),
    ],
)
def test_credentials_follow_the_table(
    place: Identity, profile: str | None, expected: CredentialPlan
) -> None:
    """A leftover AWS_PROFILE on an instance must not take its role's place."""
    assert plan_credentials(place, profile) == expected


@pytest.mark.asyncio
@pytest.mark.parametrize("place", [EC2, LAPTOP])
async def test_identity_is_completed_and_logged(place: Identity) -> None:
    """The log says as whom everything that follows was done."""

    async def ask() -> Mapping[str, str]:
        return {"Arn": "arn:aws:iam::123456789012:user/lab", "Account": "123456789012"}

    with capture_logs() as logs:
        known = await describe_identity(place, plan_credentials(place, None), ask)

    assert known.arn == "arn:aws:iam::123456789012:user/lab"
    assert known.account == "123456789012"
    assert known.on_ec2 is place.on_ec2
    assert [(entry["event"], entry["arn"]) for entry in logs] == [("identity_found", known.arn)]


@pytest.mark.asyncio
@pytest.mark.parametrize("error", BAD_CREDENTIALS)
async def test_role_that_is_refused_keeps_running(error: SuiteError) -> None:
    """Permissions are mended while the daemon runs; the files stay on disk meanwhile."""

    async def ask() -> Mapping[str, str]:
        raise error

    with capture_logs() as logs:
        known = await describe_identity(EC2, AS_ROLE, ask)

    assert known == EC2
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("identity_refused", "error")
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize("error", BAD_CREDENTIALS)
async def test_laptop_without_credentials_is_told_what_to_run(error: SuiteError) -> None:
    """Nobody else will mend it, so it ends at once with the command."""

    async def ask() -> Mapping[str, str]:
        raise error

    with pytest.raises(
        CredentialsMissing, match="run `aws configure` or `aws sso login`"
    ) as raised:
        await describe_identity(LAPTOP, AS_CHAIN, ask)

    assert raised.value.status is ExitStatus.CREDENTIALS
    assert raised.value.__cause__ is error


@pytest.mark.asyncio
async def test_advice_names_profile_and_instance() -> None:
    """The command must work when it is pasted."""

    async def ask() -> Mapping[str, str]:
        raise CredentialsExpired(STS, Answer("UnauthorizedSSOTokenError"))

    plan = CredentialPlan(instance_role=False, profile="lab")
    with pytest.raises(CredentialsMissing) as raised:
        await describe_identity(BARE_EC2, plan, ask)

    assert str(raised.value) == (
        "no usable AWS credentials of profile 'lab' (UnauthorizedSSOTokenError); attach a role to "
        "this instance, or run `aws configure --profile lab` or `aws sso login --profile lab`"
    )


@pytest.mark.asyncio
@pytest.mark.parametrize("place", [EC2, LAPTOP])
@pytest.mark.parametrize("error", [Unreachable(STS), Throttled(STS)])
async def test_silent_token_service_stops_nobody(place: Identity, error: SuiteError) -> None:
    """Stores other than AWS have no STS at all, and the one of AWS may be down for an hour."""

    async def ask() -> Mapping[str, str]:
        raise error

    with capture_logs() as logs:
        assert await describe_identity(place, plan_credentials(place, None), ask) == place

    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("identity_unknown", "warning")
    ]


@pytest.mark.asyncio
async def test_instance_finds_itself_and_hears_of_its_end(imds: MetadataService) -> None:
    """The whole way, against a service that answers nothing without a token."""
    async with open_imds(imds.environment()) as client:
        place = await find_place(client)
        assert client is not None
        imds.forget_tokens()
        imds.interrupt("stop")
        notice = await watch_spot_notice(client)

    assert place == Identity(
        on_ec2=True, aws_region="eu-west-1", instance_id="i-0123456789abcdef0", has_role=True
    )
    assert notice.action == "stop"
