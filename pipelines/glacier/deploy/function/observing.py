"""Looks at everything a deployment touches, and changes nothing."""

from pipelines.glacier.deploy.function.deploy_plan import Observed, RepositoryState
from pipelines.glacier.deploy.function.function_facts import load_function, load_live
from pipelines.glacier.deploy.permissions.roles import differing, execution_role
from pipelines.glacier.deploy.permissions.scope import Scope
from shared.aws.calls import AwsCalls

_NO_REPOSITORY = ("RepositoryNotFoundException",)
_NO_IMAGE = ("ImageNotFoundException",)


async def observe(calls: AwsCalls, scope: Scope, tag: str) -> Observed:
    """Return what there is; raises `shared.s3.errors` where a look is denied."""
    live_version, live = await load_live(calls, scope.function)
    return Observed(
        account_id=scope.account_id,
        repository=await load_repository(calls, scope.repository, tag),
        role_differs=bool(await differing(calls, (execution_role(scope),))),
        log_days=await _log_days(calls, scope.function_log_group),
        latest=await load_function(calls, scope.function),
        live_version=live_version,
        live=live,
    )


async def load_repository(calls: AwsCalls, name: str, tag: str) -> RepositoryState | None:
    """Return a repository, with the digest that a tag leads to; None where there is none."""
    answer = await calls.find(
        "ecr", "describe_repositories", _NO_REPOSITORY, repositoryNames=[name]
    )
    if answer is None:
        return None
    found = answer["repositories"][0]
    return RepositoryState(
        uri=str(found["repositoryUri"]),
        scans=bool(found.get("imageScanningConfiguration", {}).get("scanOnPush")),
        immutable=found.get("imageTagMutability") == "IMMUTABLE",
        image_digest=await load_image_digest(calls, name, tag),
    )


async def load_image_digest(calls: AwsCalls, repository: str, tag: str) -> str:
    """Return the digest of the image with a tag; empty where there is none."""
    answer = await calls.find(
        "ecr",
        "describe_images",
        _NO_IMAGE,
        repositoryName=repository,
        imageIds=[{"imageTag": tag}],
    )
    return "" if answer is None else str(answer["imageDetails"][0]["imageDigest"])


async def _log_days(calls: AwsCalls, name: str) -> int | None:
    answer = await calls.send("logs", "describe_log_groups", logGroupNamePrefix=name)
    for group in answer.get("logGroups", []):
        if group["logGroupName"] == name:
            return int(group.get("retentionInDays", 0))
    return None
