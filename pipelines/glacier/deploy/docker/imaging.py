"""Builds the image and pushes it: base pinned, context laid out, registry logged in to."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.glacier.deploy.docker import lines as docker_lines
from pipelines.glacier.deploy.docker.build_context import Ingredients, write_context
from pipelines.glacier.deploy.docker.client import (
    ASK_SECONDS,
    BUILD_SECONDS,
    PUSH_SECONDS,
    DockerFailed,
    find_docker,
    logged_in,
    run_docker,
)
from pipelines.glacier.deploy.docker.image_content import ImageContent
from pipelines.glacier.deploy.docker.lines import BaseImage
from shared.aws.calls import AwsCalls

IMAGE_MEGABYTES_MAX = 700
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Building:
    """What is built, and how."""

    ingredients: Ingredients
    content: ImageContent
    no_cache: bool = False


async def build_image(building: Building, name: str, tell: Tell) -> None:
    """Build an image under a name on this machine; DockerFailed."""
    docker = find_docker()
    base = await _pin(docker, building.ingredients.base_image, building.ingredients.platform)
    tell(f"base image {base.pinned}")
    with TemporaryDirectory(prefix="towpath-image-") as folder:
        write_context(building.ingredients, building.content, Path(folder))
        line = docker_lines.build(
            docker,
            building.content,
            base,
            name=name,
            folder=Path(folder),
            no_cache=building.no_cache,
        )
        await run_docker(line, BUILD_SECONDS)
    told = await run_docker(docker_lines.size(docker, name), ASK_SECONDS)
    tell(describe_size(told.tail))


def describe_size(answer: str) -> str:
    """Say how large an image is, and whether that is more than it is meant to be."""
    said = answer.strip()
    if not said.isdecimal():
        return "the image's size is not known"
    megabytes = int(said) // 1_000_000
    if megabytes <= IMAGE_MEGABYTES_MAX:
        return f"the image has {megabytes} MB"
    return (
        f"the image has {megabytes} MB, more than the {IMAGE_MEGABYTES_MAX} that it is meant to "
        "have: starts take longer; look what has come into it"
    )


async def push_image(calls: AwsCalls, name: str) -> None:
    """Send an image to its repository; DockerFailed."""
    docker = find_docker()
    answer = await calls.send("ecr", "get_authorization_token")
    token = str(answer["authorizationData"][0]["authorizationToken"])
    async with logged_in(name.partition("/")[0], token) as settings:
        await run_docker(docker_lines.push(docker, settings, name), PUSH_SECONDS)


async def _pin(docker: str, reference: str, platform: str) -> BaseImage:
    """Return the base image with its digest, so that a build says exactly what it was built on."""
    if found := docker_lines.pinned(reference, ""):
        return found
    await run_docker(docker_lines.pull(docker, reference, platform), BUILD_SECONDS)
    told = await run_docker(docker_lines.digests(docker, reference), ASK_SECONDS)
    found = docker_lines.pinned(reference, told.tail)
    if found is None:
        raise DockerFailed(
            f"image {reference!r} has no digest; name one of a registry with --base-image"
        )
    return found
