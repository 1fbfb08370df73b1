"""The argument lists of docker's command line, and what it answers. Pure.

No secret is ever among them: whoever may list processes sees them. The registry is logged in to by
a file, see `docker.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TypeAlias

from pipelines.glacier.deploy.docker.image_content import ImageContent

ArgumentList: TypeAlias = tuple[str, ...]

_SHOWN_DIGITS = 12
BUILD_ENVIRONMENT = {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
"""With attestations an image is an index of manifests, which Lambda refuses."""


@dataclass(frozen=True, slots=True)
class BaseImage:
    """What an image is built on."""

    reference: str
    """As somebody named it."""
    pinned: str
    """With the digest that the name led to."""

    @property
    def digest(self) -> str:
        """The digest alone."""
        return self.pinned.rpartition("@")[2]


def build(
    docker: str,
    content: ImageContent,
    base: BaseImage,
    *,
    name: str,
    folder: PurePath,
    no_cache: bool,
) -> ArgumentList:
    """Build the context in a folder as an image of this name."""
    arguments = {
        "BASE_IMAGE": base.pinned,
        "BASE_DIGEST": base.digest,
        "CONFIG_SHA256": content.config_sha256,
        "CONTENT_DIGEST": content.digest,
        "PROJECT_DIGEST": content.project_digest,
        "REGION_FILE": str(content.region_file),
        # In every record and answer: which code it was.
        "VERSION": f"{content.version}+{content.tag[:_SHOWN_DIGITS]}",
    }
    given = [word for item in arguments.items() for word in ("--build-arg", "=".join(item))]
    cache = ["--no-cache"] if no_cache else []
    where = ["--platform", content.platform, "--tag", name]
    return (docker, "build", *where, *cache, *given, str(folder))


def pull(docker: str, reference: str, platform: str) -> ArgumentList:
    """Fetch an image."""
    return (docker, "pull", "--quiet", "--platform", platform, reference)


def digests(docker: str, reference: str) -> ArgumentList:
    """Ask for the digests under which registries know an image, a line each."""
    return (
        docker,
        "image",
        "inspect",
        "--format",
        "{{range .RepoDigests}}{{println .}}{{end}}",
        reference,
    )


def size(docker: str, name: str) -> ArgumentList:
    """Ask how many bytes an image has, unpacked."""
    return (docker, "image", "inspect", "--format", "{{.Size}}", name)


def push(docker: str, settings: PurePath, name: str) -> ArgumentList:
    """Send an image, with the credentials of a settings folder."""
    return (docker, "--config", str(settings), "push", "--quiet", name)


def remove(docker: str, names: Sequence[str]) -> ArgumentList:
    """Remove images from this machine."""
    return (docker, "image", "rm", "--force", *names)


def list_images(docker: str, repository: str) -> ArgumentList:
    """Ask for the images of a repository that this machine has, a name each."""
    return (docker, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository)


def run(
    docker: str,
    image: str,
    *,
    name: str,
    platform: str,
    environment: Mapping[str, str],
    host_network: bool,
) -> ArgumentList:
    """Start a container that nothing is kept of, shut in as Lambda shuts it in.

    With the host's network it reaches the runtime interface that is ours, on loopback; docker on a
    Mac has a name for the host instead.
    """
    network = ["--network", "host"] if host_network else []
    given = [word for item in environment.items() for word in ("--env", "=".join(item))]
    shut_in = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]  # noqa: S108 - in there
    return (
        docker,
        "run",
        "--rm",
        "--name",
        name,
        "--platform",
        platform,
        *network,
        *shut_in,
        *given,
        image,
    )


def stop(docker: str, name: str) -> ArgumentList:
    """End a container."""
    return (docker, "rm", "--force", name)


def pinned(reference: str, answer: str) -> BaseImage | None:
    """Return what `digests` answered, None where it has none for the image."""
    if "@sha256:" in reference:
        return BaseImage(reference, reference)
    found = [line for line in answer.split() if "@sha256:" in line]
    return BaseImage(reference, found[0]) if found else None
