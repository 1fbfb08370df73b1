"""The options of the NEOWISE steps: the catalogue, the search, and S3 for seeds and results."""

import os
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator

from shared.options import Option
from shared.settings import ServiceSettings

MOST_WORKERS = 16
_READERS_A_WORKER = 4
_YEARS = (*(f"year{number}" for number in range(1, 12)), "addendum")
_PUBLIC = "s3://nasa-irsa-wise/wise/neowiser/catalogs/p1bs_psd/healpix_k5"


def default_workers() -> int:
    """Return the smaller of 16 and the number of processors."""
    return min(MOST_WORKERS, os.cpu_count() or 1)


class Settings(ServiceSettings):
    """Find the closest NEOWISE-R detection of every optical position."""

    catalogue: Annotated[str, Option(group="catalogue", metavar="ROOT")] = Field(
        default=_PUBLIC,
        description="Root of the detections, s3://bucket/prefix or a folder, with years below",
    )
    catalogue_region: Annotated[str, Option(group="catalogue", metavar="REGION")] = Field(
        default="us-west-2", min_length=1, description="Region of the catalogue's bucket"
    )
    catalogue_endpoint_url: Annotated[str | None, Option(group="catalogue", metavar="URL")] = Field(
        default=None,
        description=(
            "S3 endpoint of the catalogue; without it AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or AWS"
        ),
    )
    catalogue_anonymous: Annotated[bool, Option(group="catalogue")] = Field(
        default=True,
        description="Read the catalogue without credentials, as a public bucket allows",
    )
    years: Annotated[
        tuple[str, ...], Option(group="catalogue", env="NEOWISE_YEARS", metavar="YEAR")
    ] = Field(
        default=_YEARS,
        min_length=1,
        description="Years of the catalogue to look at, by folder name",
    )
    radius_arcsec: Annotated[
        float,
        Option(group="search", allowed="a number of arcseconds greater than 0, at most 60"),
    ] = Field(
        default=5.0,
        gt=0,
        le=60,
        description="Largest great-circle distance of a match, itself included",
    )
    workers: Annotated[int, Option(group="search", env="WORKERS")] = Field(
        default_factory=default_workers, ge=1, le=1024, description="Pixels read at once"
    )
    readers: Annotated[
        int | None, Option(group="search", allowed="a whole number, at least 1, at most 4096")
    ] = Field(
        default=None,
        ge=1,
        le=4096,
        description="Files of the catalogue read at once, all pixels together; none: 4 a worker",
    )
    parallel: Annotated[Literal["pixel"], Option(group="search")] = Field(
        default="pixel", description="What is read side by side; there is one way"
    )
    aws_region: Annotated[
        str, Option(group="S3 of seeds and results", env="AWS_DEFAULT_REGION", metavar="REGION")
    ] = Field(
        default="us-west-2", min_length=1, description="Region of S3 paths that `process` is given"
    )
    endpoint_url: Annotated[
        str | None,
        Option(group="S3 of seeds and results", env="AWS_ENDPOINT_URL", metavar="URL"),
    ] = Field(default=None, description="Another service than AWS that speaks S3")
    profile: Annotated[
        str | None, Option(group="S3 of seeds and results", env="AWS_PROFILE", metavar="NAME")
    ] = Field(default=None, description="Profile of the AWS configuration")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Option(group="log")] = Field(
        default="info", description="Least important entries that are written"
    )
    log_form: Annotated[Literal["auto", "console", "json", "journal"], Option(group="log")] = Field(
        default="auto", description="Form of the log on stderr"
    )

    @field_validator("years", mode="before")
    @classmethod
    def _split_years(cls, value: object) -> object:
        """Take `year1 year2` as well as `year1,year2`: both are in people's shells."""
        if isinstance(value, list):
            return [word for item in value for word in str(item).replace(",", " ").split()]
        return value

    @field_validator("years")
    @classmethod
    def _check_years(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what is no folder name, and what would be read twice."""
        for year in value:
            if not year.isascii() or not year.replace("_", "").replace("-", "").isalnum():
                raise ValueError(f"{year!r} is no folder of the catalogue; write year1 or addendum")
        return tuple(dict.fromkeys(value))

    @property
    def readers_at_once(self) -> int:
        """Files read at once."""
        return self.readers or self.workers * _READERS_A_WORKER

    def catalogue_endpoint(self, environ: Mapping[str, str]) -> str | None:
        """Return where the catalogue's S3 is, None for AWS itself."""
        return (
            self.catalogue_endpoint_url
            or environ.get("AWS_ENDPOINT_URL_S3")
            or environ.get("AWS_ENDPOINT_URL")
            or None
        )
