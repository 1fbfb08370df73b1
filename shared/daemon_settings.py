"""What every daemon can be told, whatever it does: who acts, where state lies, how it logs.

A daemon derives its `Settings` from `DaemonSettings` and adds its own; its own come first in help
and reference. Rule: the words here fit every daemon; where one differs, it declares the field anew:

    aws_region: Annotated[
        str, Option(flag="--region", short="-r", env=("AWS_DEFAULT_REGION", "AWS_REGION"), ...)
    ] = Field(default="us-west-2", ...)
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from shared.options import Option
from shared.settings import ServiceSettings

REGION_PATTERN = r"^[a-z0-9-]{1,32}$"
"""What a region's name looks like, for those that declare `aws_region` anew."""


class AccountSettings(ServiceSettings):
    """As whom to speak to S3, and where."""

    aws_region: Annotated[
        str,
        Option(flag="--region", short="-r", env="AWS_REGION", metavar="REGION", group="AWS"),
    ] = Field(
        default="eu-west-1",
        pattern=REGION_PATTERN,
        description="Region to ask first; each bucket's own region is looked up once",
    )
    profile: Annotated[
        str | None,
        Option(short="-p", env="AWS_PROFILE", metavar="PROFILE", group="AWS"),
    ] = Field(default=None, description="Named credentials; not used on EC2, where the role acts")
    endpoint_url: Annotated[
        str | None, Option(env="AWS_ENDPOINT_URL", metavar="URL", group="AWS")
    ] = Field(
        default=None,
        pattern=r"^https?://[^\s/]+/?$",
        description="Another service that speaks S3",
    )


class BasicSettings(AccountSettings):
    """What every daemon can be told."""

    grace_seconds: Annotated[float, Option(flag="--grace", metavar="SECONDS", group="limits")] = (
        Field(default=20.0, ge=0, le=3600, description="Time to finish what runs after SIGTERM")
    )
    state_directory: Annotated[Path | None, Option(metavar="DIR", group="state and log")] = Field(
        default=None,
        description="Status, metrics and notes of open work; default: by user and what is served",
    )
    metrics: Annotated[Literal["file", "cloudwatch"], Option(group="state and log")] = Field(
        default="file",
        description=(
            "Where metrics go; the file is always written, cloudwatch sends them besides, once a "
            "minute, into the namespace Towpath"
        ),
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Option(group="state and log")
    ] = Field(default="info", description="Least severe event that is logged")
    log_form: Annotated[
        Literal["auto", "console", "json", "journal"], Option(group="state and log")
    ] = Field(
        default="auto",
        description="Shape of the log; auto: journal under systemd, text on a terminal, else JSON",
    )


class DaemonSettings(BasicSettings):
    """The same for a daemon that has no word of its own for what is under way at once."""

    requests_in_flight: Annotated[int, Option(metavar="N", group="limits")] = Field(
        default=64, ge=1, le=1024, description="S3 requests under way at once"
    )
