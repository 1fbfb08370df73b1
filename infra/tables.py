"""The tables of a settings file that several stacks have, and what their values look like.

Rule: a value that AWS would refuse is refused here, in the words of the settings file.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from shared.s3.uri import bucket_fault

LogDays = Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731]

AWS_REGION = r"^[a-z]{2}(-[a-z]+)+-[0-9]$"
EMAIL = r"^([^@\s]+@[^@\s]+)?$"
PREFIX = r"^[A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*$"


class Table(BaseModel):
    """A table: every key is known, and nothing in it changes."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )


class Bucket(Table):
    """A bucket that daemons write to, made here or there already."""

    name: str
    create: bool = False
    """Make it. It outlives the stack; a stack that is made anew finds it with `create = false`."""
    abort_uploads_after_days: Annotated[int, Field(ge=1, le=365)] = 7
    """What no daemon aborted any more, because its machine is gone."""
    kms_key: Annotated[
        str, Field(pattern=r"^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/\S+)?$")
    ] = ""
    """ARN of the key with which it encrypts; without one S3's own key does."""

    @field_validator("name")
    @classmethod
    def _legal_name(cls, name: str) -> str:
        if fault := bucket_fault(name):
            raise ValueError(f"{name!r} {fault}")
        return name


class Network(Table):
    """A network that is there already, instead of one made here."""

    vpc: Annotated[str, Field(pattern=r"^vpc-[0-9a-f]{8,17}$")]
    subnets: tuple[str, ...]
    """Subnets with a way to the internet, or to S3, SSM, CloudWatch and a package index."""
    zones: tuple[str, ...]
    """The availability zone of each subnet, in the same order."""

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if not self.subnets or len(self.subnets) != len(self.zones):
            raise ValueError(
                f"{len(self.subnets)} subnets and {len(self.zones)} zones; name the zone of each"
            )
        return self
