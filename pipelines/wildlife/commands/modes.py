"""Where a run is: on this machine, on AWS, or at LocalStack; what commands about runs share."""

import argparse
import os
from collections.abc import Callable, Collection, Sequence
from enum import StrEnum
from pathlib import Path

from pipelines.wildlife.settings import SERVICE, RunSettings
from shared.errors import ExitStatus, PermanentError, UsageError
from shared.settings import Loaded, load_settings
from shared.status import default_state_folder

POLL_SECONDS = 5.0
WHERE = frozenset({"aws_region", "environment_name", "profile", "endpoint_url"})
"""The settings that find a run on AWS; how one is made does not matter to who looks at it."""


class Mode(StrEnum):
    """Where."""

    LOCAL = "local"
    LOCALSTACK = "localstack"
    AWS = "aws"


class Misconfigured(PermanentError):
    """A setting is wrong; each line is one mistake."""

    status = ExitStatus.CREDENTIALS
    """Which the commands here say as their own number for configuration."""


def add_mode(parser: argparse.ArgumentParser) -> None:
    """Add `--mode` and what goes with it."""
    parser.add_argument(
        "--mode",
        choices=[mode.value for mode in Mode],
        default=Mode.LOCAL.value,
        help="where: local, localstack or aws (default: local)",
    )
    parser.add_argument(
        "--state-directory",
        type=Path,
        metavar="DIR",
        help="where local runs are noted (default: by user)",
    )
    parser.add_argument(
        "--poll-seconds",
        type=float,
        default=POLL_SECONDS,
        metavar="SECONDS",
        help="between two looks at an execution on AWS (default: %(default)g)",
    )
    parser.add_argument(
        "--state-machine",
        metavar="ARN",
        help="the machine on AWS (default: <environment>-wildlife-pipeline of the account)",
    )


def load_call(
    name: str,
    description: str,
    argv: Sequence[str],
    add_flags: Callable[[argparse.ArgumentParser], None],
    *,
    flags: Collection[str] | None = None,
) -> Loaded[RunSettings]:
    """Read the line, the environment and the file; Misconfigured names every wrong setting.

    `flags` are the settings that the line may give, all without it.
    """

    def add(parser: argparse.ArgumentParser) -> None:
        parser.prog = f"towpath {SERVICE} {name}"
        parser.description = description
        add_flags(parser)

    try:
        return load_settings(RunSettings, argv, os.environ, service=SERVICE, extra=add, flags=flags)
    except UsageError as error:
        raise Misconfigured(str(error)) from error


def state_folder(arguments: argparse.Namespace) -> Path:
    """Return where local runs are noted; Misconfigured where there is no place for it."""
    given: Path | None = arguments.state_directory
    try:
        return given or default_state_folder(SERVICE, os.environ)
    except UsageError as error:
        raise Misconfigured(str(error)) from error
