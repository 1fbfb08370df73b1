"""Docker, through its command line as a child: build, push, run, remove.

What it prints is kept at its end, for the message when it fails. The registry's password goes into
a settings folder of its own, readable by us alone and gone afterwards; never onto a command line.
"""

import json
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.glacier.deploy.docker.lines import BUILD_ENVIRONMENT, ArgumentList
from shared.commands import CommandLimits, CommandOutcome, run_command
from shared.errors import PermanentError
from shared.files import write_durably

BUILD_SECONDS = 3600.0
PUSH_SECONDS = 3600.0
ASK_SECONDS = 120.0

_SHOWN_LINES = 20
_KEPT = ("currentContext", "cliPluginsExtraDirs", "proxies")
"""What of a person's own settings decides which docker is reached, and how."""
_KEPT_FOLDERS = ("contexts", "cli-plugins", "tls")


class DockerFailed(PermanentError):
    """Docker ended with an error; the message has the end of what it printed."""


async def run_docker(argv: ArgumentList, seconds: float) -> CommandOutcome:
    """Run docker to its end and return it; DockerFailed where it fails."""
    outcome = await run_command(
        argv,
        env={**os.environ, **BUILD_ENVIRONMENT},
        limits=CommandLimits(time_seconds=seconds, term_seconds=10.0),
    )
    if not outcome.ok:
        said = "\n".join(outcome.tail.strip().splitlines()[-_SHOWN_LINES:])
        what = next((word for word in argv[1:] if not word.startswith("-")), "")
        raise DockerFailed(f"docker {what} failed: {outcome.reason()}\n{said}".strip())
    return outcome


def find_docker() -> str:
    """Return docker's executable; DockerFailed where there is none."""
    found = shutil.which("docker")
    if found is None:
        raise DockerFailed(
            "docker is not on PATH; install it, or deploy from a machine that has it"
        )
    return found


@asynccontextmanager
async def logged_in(registry: str, token: str) -> AsyncIterator[Path]:
    """Give a settings folder with which docker may push to a registry, for the length of a block.

    `token` is what ECR gives: `AWS:password` in base 64.
    """
    own = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    with TemporaryDirectory(prefix="towpath-docker-") as name:
        folder = Path(name)
        settings = {**_kept(own), "auths": {registry: {"auth": token}}}
        write_durably(folder / "config.json", json.dumps(settings).encode(), mode=0o600)
        for each in _KEPT_FOLDERS:
            if (own / each).is_dir():
                (folder / each).symlink_to((own / each).absolute())
        yield folder


def _kept(own: Path) -> Mapping[str, object]:
    """Return what is kept of a person's settings: a helper for passwords would hide ours."""
    try:
        said = json.loads((own / "config.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return {key: said[key] for key in _KEPT if isinstance(said, dict) and key in said}
