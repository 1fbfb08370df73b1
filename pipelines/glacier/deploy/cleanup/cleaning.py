"""Finds what a clean-up would remove, and removes it: versions kept by the bucket stay there."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from pipelines.glacier.deploy.cleanup.cleanup_plan import Present, result_places
from pipelines.glacier.deploy.docker.client import (
    ASK_SECONDS,
    DockerFailed,
    find_docker,
    run_docker,
)
from pipelines.glacier.deploy.docker.lines import list_images, remove
from pipelines.glacier.deploy.function.function_facts import ABSENT, load_function
from pipelines.glacier.deploy.goal import repository_uri
from pipelines.glacier.deploy.permissions.scope import Scope
from shared.aws.calls import AwsCalls
from shared.errors import PermanentError
from shared.s3.store import ObjectStore
from shared.s3.uri import S3Uri

_NO_REPOSITORY = ("RepositoryNotFoundException",)
_PAGES_MAX = 1000
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Found:
    """What there is, with what its removal needs."""

    present: Present
    local_names: tuple[str, ...]
    keys: tuple[str, ...]


async def look(calls: AwsCalls, store: ObjectStore, scope: Scope, regions: Sequence[str]) -> Found:
    """Look for everything, and change nothing."""
    images = await _count_images(calls, scope.repository)
    local = await _local_names(repository_uri(scope))
    by_region = {region: [key async for key in _keys(store, scope, region)] for region in regions}
    present = Present(
        function=await load_function(calls, scope.function) is not None,
        repository=images is not None,
        images=images or 0,
        local_images=len(local),
        results=tuple((region, len(keys)) for region, keys in by_region.items()),
    )
    keys = tuple(key for found in by_region.values() for key in found)
    return Found(present, tuple(local), keys)


async def clean(calls: AwsCalls, store: ObjectStore, scope: Scope, found: Found) -> None:
    """Remove what was found; PermanentError tells what could not be removed."""
    if found.present.function:
        await calls.find("lambda", "delete_function", ABSENT, FunctionName=scope.function)
    if found.present.repository:
        await calls.find(
            "ecr", "delete_repository", _NO_REPOSITORY, repositoryName=scope.repository, force=True
        )
    if found.local_names:
        await run_docker(remove(find_docker(), found.local_names), ASK_SECONDS)
    if found.keys:
        failures = await store.delete_many(scope.bucket, found.keys)
        if failures:
            named = ", ".join(repr(each.key) for each in failures[:_SHOWN])
            raise PermanentError(
                f"{len(failures)} objects of bucket {scope.bucket!r} stay, {named} among them: "
                f"{failures[0].code}; see to the permissions and clean up again"
            )


async def _count_images(calls: AwsCalls, repository: str) -> int | None:
    count = 0
    token: dict[str, str] = {}
    for _ in range(_PAGES_MAX):
        answer = await calls.find(
            "ecr", "list_images", _NO_REPOSITORY, repositoryName=repository, **token
        )
        if answer is None:
            return None
        count += len(answer.get("imageIds", []))
        if not answer.get("nextToken"):
            break
        token = {"nextToken": str(answer["nextToken"])}
    return count


async def _local_names(repository: str) -> list[str]:
    """Return the images of a repository on this machine; none where docker is not there."""
    try:
        told = await run_docker(list_images(find_docker(), repository), ASK_SECONDS)
    except DockerFailed:
        return []
    return [line for line in told.tail.split() if line.startswith(f"{repository}:")]


async def _keys(store: ObjectStore, scope: Scope, region: str) -> AsyncIterator[str]:
    for place in result_places(scope.base_path, region):
        async for page in store.pages(S3Uri(scope.bucket, place.prefix)):
            for listed in page.objects:
                if place.pattern.fullmatch(listed.uri.key):
                    yield listed.uri.key
