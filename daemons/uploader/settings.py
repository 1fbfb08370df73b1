"""The uploader's options. Names given in `Option(...)` are fixed: people have them in shells."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from shared.daemon_settings import BasicSettings
from shared.options import Option
from shared.s3.store import Evidence
from shared.s3.uri import bucket_fault

VERIFY_LEVELS: Mapping[str, Evidence] = {
    "read-back": Evidence.READ_BACK,
    "etag-md5": Evidence.ETAG_MD5,
    "size": Evidence.SIZE,
}


class Settings(BasicSettings):
    """Upload every file that settles below a folder to S3, verify it, and remove it from disk.

    The first folder below the root names the bucket, the rest of the path is the key:
    output/s3/colony-shots/images/a.png becomes s3://colony-shots/images/a.png.
    """

    directory: Annotated[Path, Option(short="-d", env="S3_ROOT_DIR", metavar="DIR")] = Field(
        default=Path("output/s3"), description="Root: its folders are buckets, files below are keys"
    )
    interval_seconds: Annotated[
        float,
        Option(
            flag="--interval",
            short="-i",
            env="S3_UPLOAD_INTERVAL",
            metavar="SECONDS",
            allowed="a number of seconds greater than 0, at most 86400",
        ),
    ] = Field(
        default=60.0,
        gt=0,
        le=86400,
        description="Time between full scans; file events are acted on at once",
    )
    stability_seconds: Annotated[
        float,
        Option(
            flag="--stability",
            short="-s",
            env="FILE_STABILITY_SECONDS",
            metavar="SECONDS",
            allowed="a number of seconds from 0 to 86400",
        ),
    ] = Field(
        default=2.0,
        ge=0,
        le=86400,
        description="A file is complete once nobody has changed it for this long",
    )
    skip_names: Annotated[tuple[str, ...], Option(flag="--skip", metavar="PATTERN")] = Field(
        default=("*.tmp", "*.part", "*.partial", "*.swp", "*~"),
        description="Names that are not finished files; hidden names are always skipped",
    )
    aliases: Annotated[
        Mapping[str, str], Option(flag="--alias", metavar="FOLDER=BUCKET", group="mapping")
    ] = Field(
        default={"distributed_colony": "distributed-colony"},
        description="Buckets of folders whose names S3 does not allow",
    )
    verify: Annotated[Literal["read-back", "etag-md5", "size"], Option()] = Field(
        default="etag-md5",
        description=(
            "Weakest proof that allows a local file to be removed; size is the old scripts' rule, "
            "for stores that expose nothing else"
        ),
    )
    storage_class: Annotated[str, Option(metavar="CLASS", group="objects")] = Field(
        default="", pattern=r"^[A-Z_]*$", description="Storage class of new objects"
    )
    acl: Annotated[str, Option(metavar="ACL", group="objects")] = Field(
        default="",
        pattern=r"^[a-z-]*$",
        description="Canned ACL of new objects; buckets with ACLs disabled refuse any",
    )
    prune_empty_after_seconds: Annotated[
        float,
        Option(
            flag="--prune-empty-after",
            metavar="SECONDS",
            allowed="a number of seconds from 0 (never) to 31536000",
        ),
    ] = Field(
        default=0.0,
        ge=0,
        le=31_536_000,
        description="Remove empty folders that nobody touched for this long; 0 keeps them",
    )
    files_in_flight: Annotated[int, Option(metavar="N", group="limits")] = Field(
        default=256, ge=1, le=1024, description="Files under way at once"
    )
    memory_mebibytes: Annotated[int, Option(flag="--memory", metavar="MIB", group="limits")] = (
        Field(default=32, ge=16, le=65536, description="File content held in memory at once, MiB")
    )
    multipart_mebibytes: Annotated[
        int, Option(flag="--multipart-from", metavar="MIB", group="limits")
    ] = Field(default=16, ge=5, le=5120, description="Send files of this size or more in parts")

    @field_validator("aliases")
    @classmethod
    def _legal_aliases(cls, aliases: Mapping[str, str]) -> Mapping[str, str]:
        for folder, bucket in aliases.items():
            if not folder or "/" in folder:
                raise ValueError(f"{folder!r} is not the name of a folder below the root")
            if fault := bucket_fault(bucket):
                raise ValueError(f"bucket {bucket!r} of folder {folder!r} {fault}")
        return aliases

    @model_validator(mode="after")
    def _parts_fit_memory(self) -> "Settings":
        if self.multipart_mebibytes > self.memory_mebibytes:
            raise ValueError(
                f"--multipart-from {self.multipart_mebibytes} must not exceed "
                f"--memory {self.memory_mebibytes}; smaller files are held in memory whole"
            )
        return self

    @property
    def stability(self) -> timedelta:
        """How long a file must have been left alone."""
        return timedelta(seconds=self.stability_seconds)

    @property
    def weakest_evidence(self) -> Evidence:
        """The weakest proof that allows a local file to be removed."""
        return VERIFY_LEVELS[self.verify]
