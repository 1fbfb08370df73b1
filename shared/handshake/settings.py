"""Where a hand-shake lies: what its daemons and `towpath status` are all told in the same words.

Rule: names given in `Option(...)` are fixed; people have them in their shells, on PROD and on EC2.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from shared.daemon_settings import REGION_PATTERN, AccountSettings, DaemonSettings
from shared.handshake.layout import DEFAULT_PREFIX, Layout
from shared.options import Option
from shared.s3.uri import bucket_fault


class HandshakePlace(AccountSettings):
    """A project on this machine, and its hand-shake in a bucket."""

    bucket: Annotated[str, Option(short="-b", env="BUCKET", metavar="BUCKET")] = Field(
        description="The bucket that PROD and EC2 share"
    )
    prefix: Annotated[str, Option(metavar="PREFIX")] = Field(
        default=DEFAULT_PREFIX,
        pattern=r"^[A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*$",
        description="Where the hand-shake lies in the bucket, without a slash at either end",
    )
    root: Annotated[Path, Option(metavar="DIR")] = Field(
        default=Path(), description="Project root: other paths are relative to it"
    )
    aws_region: Annotated[
        str,
        Option(
            flag="--region",
            short="-r",
            env=("AWS_DEFAULT_REGION", "AWS_REGION"),
            metavar="REGION",
            group="AWS",
        ),
    ] = Field(
        default="us-west-2",
        pattern=REGION_PATTERN,
        description="Region to ask first; the bucket's own region is looked up once",
    )

    @field_validator("bucket")
    @classmethod
    def _legal_bucket(cls, bucket: str) -> str:
        if fault := bucket_fault(bucket):
            raise ValueError(f"{bucket!r} {fault}")
        return bucket

    @property
    def layout(self) -> Layout:
        """The names in the bucket."""
        return Layout(self.bucket, self.prefix)


class HandshakeSettings(HandshakePlace, DaemonSettings):
    """What each daemon of the hand-shake can be told."""
