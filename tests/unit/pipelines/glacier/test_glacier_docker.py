"""Docker as a child: the end of what it prints is in the message, and nothing waits for ever."""

from pathlib import Path

import pytest

from pipelines.glacier.deploy.docker.client import DockerFailed, find_docker, run_docker
from pipelines.glacier.deploy.function.deployment import Deployment
from pipelines.glacier.deploy.preparing import scope_of
from pipelines.glacier.lines.storage import Storage
from shared.errors import CredentialsMissing, UsageError
from shared.s3.errors import AccessDenied, Answer
from shared.s3.uri import S3Uri
from tests.support.stand_in_docker import install_docker


@pytest.mark.asyncio
async def test_a_build_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full is most often the reason."""
    install_docker(tmp_path, monkeypatch).fail("build")

    with pytest.raises(DockerFailed, match="docker build failed: exit status 1\nno space left"):
        await run_docker((find_docker(), "build", str(tmp_path)), 30.0)


def test_a_machine_without_docker_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Laptops of a group do not all have it."""
    monkeypatch.setenv("PATH", "")

    with pytest.raises(DockerFailed, match="not on PATH"):
        find_docker()


async def _who() -> dict[str, str]:
    return {"Account": "123456789012", "Arn": "arn:aws-us-gov:sts::123456789012:user/me"}


async def _nobody() -> dict[str, str]:
    raise AccessDenied(S3Uri("GetCallerIdentity"), Answer(code="InvalidClientTokenId"))


@pytest.mark.asyncio
async def test_names_are_those_of_the_account_that_acts() -> None:
    """In other partitions ARNs begin otherwise."""
    scope = await scope_of(_who, Deployment(Storage("us-gov-west-1", "bucket", "base")))

    assert scope.bucket_arn == "arn:aws-us-gov:s3:::bucket"
    assert scope.role_arn("r") == "arn:aws-us-gov:iam::123456789012:role/r"


@pytest.mark.asyncio
async def test_another_account_than_the_named_one_is_refused() -> None:
    """Credentials of the wrong account are easily in the environment."""
    deployment = Deployment(Storage("us-west-2", "bucket", "base"), account_id="999999999999")

    with pytest.raises(UsageError, match="'123456789012'"):
        await scope_of(_who, deployment)


@pytest.mark.asyncio
async def test_without_credentials_nothing_begins() -> None:
    """And it is said in so many words."""
    with pytest.raises(CredentialsMissing, match="InvalidClientTokenId"):
        await scope_of(_nobody, Deployment(Storage("us-west-2", "bucket", "base")))
