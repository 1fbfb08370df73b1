"""What the stacks are told: `infra/config.toml`, read once, judged as a whole.

Rule: whatever is wrong is one line that names the file, the line, the setting and what is allowed;
all lines come at once. What a daemon on an instance is told is judged by the daemon's own settings
(`infra/daemon_files.py`), so that a mistake is found here and not by a boot.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from infra.tables import AWS_REGION, EMAIL, PREFIX, Bucket, LogDays, Network, Table
from infra.wildlife_settings import Wildlife
from pipelines.glacier.targets.fargate_sizes import check_size
from pipelines.glacier.targets.spot_strategy import BATCH_STRATEGIES, SpotStrategy, batch_strategy
from shared.errors import UsageError
from shared.handshake.layout import DEFAULT_PREFIX
from shared.toml_lines import key_lines, syntax_error

Architecture = Literal["arm64", "x86_64"]

_GRAVITON = re.compile(r"[a-z]+[0-9]+g[a-z0-9]*\.|a1\.")
"""Families whose generation is followed by `g` are Graviton: r7g, c7gn, t4g, im4gn."""


class HandshakeBucket(Bucket):
    """The bucket that PROD and EC2 share."""

    prefix: Annotated[str, Field(pattern=PREFIX)] = DEFAULT_PREFIX
    expire_collected_after_days: Annotated[int, Field(ge=0, le=3650)] = 0
    """Days after which S3 removes what the collector has tagged as merged; 0: never."""

    @model_validator(mode="after")
    def _only_ours(self) -> Self:
        if self.expire_collected_after_days and not self.create:
            raise ValueError(
                f"expire_collected_after_days = {self.expire_collected_after_days} needs "
                "create = true; a bucket of others gets its rule by hand, see docs/aws.md"
            )
        return self


class ResultsBucket(Bucket):
    """The bucket of results, which keeps for a while what was replaced or removed."""

    keep_versions_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """So long a former version can be had back."""


class Machines(Table):
    """A group of alike machines."""

    region: Annotated[str, Field(pattern=AWS_REGION)]
    instance_types: tuple[str, ...]
    """Any of these is taken, whichever is to be had; all of one architecture."""
    spot: bool = True
    image: Annotated[str, Field(pattern=r"^(ami-[0-9a-f]{8,17})?$")] = ""
    """A machine image of one's own; without it the newest Amazon Linux 2023."""
    volume_gibibytes: Annotated[int, Field(ge=8, le=16384)] = 30
    network: Network | None = None
    success_minutes: Annotated[int, Field(ge=0, le=10080)] = 30
    """After so long without a success an alarm rings; 0: none, where work comes now and then."""
    alarm_email: Annotated[str, Field(pattern=EMAIL)] = ""
    """Who is told; more can subscribe to the topic."""
    log_days: LogDays = 30
    settings: Mapping[str, object] = {}
    """Further settings of the daemon, as in its own file."""

    @field_validator("instance_types")
    @classmethod
    def _one_architecture(cls, types: tuple[str, ...]) -> tuple[str, ...]:
        if not types:
            raise ValueError("there is none; write one such as 'r7g.4xlarge'")
        for name in types:
            if not re.fullmatch(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", name):
                raise ValueError(f"{name!r} is no instance type; write one such as 'r7g.4xlarge'")
        if len({architecture_of(name) for name in types}) > 1:
            raise ValueError(
                f"{', '.join(types)} are of two architectures; an image fits only one of them"
            )
        return types

    @property
    def architecture(self) -> Architecture:
        """The architecture of all types."""
        return architecture_of(self.instance_types[0])


class Coordinator(Machines):
    """The machine that a simulation runs on, with the uploader beside it."""

    region: Annotated[str, Field(pattern=AWS_REGION)] = "eu-west-1"
    instance_types: tuple[str, ...] = (
        "c7g.large",
        "c6g.large",
        "m7g.large",
    )
    buckets: tuple[Bucket, ...]
    directory: PurePosixPath = PurePosixPath("/data/distributed-colony/output/s3")
    """What the uploader watches: its folders are buckets."""
    run_as: Annotated[str, Field(pattern=r"^([a-z_][a-z0-9_-]{0,31})?$")] = ""
    """The user of the simulation, where its files can be removed by nobody else."""
    keep_volume: bool = True
    """Keep the disk of a machine that is gone: files that had not been sent are on it."""

    @field_validator("buckets")
    @classmethod
    def _one_key(cls, buckets: tuple[Bucket, ...]) -> tuple[Bucket, ...]:
        if not buckets:
            raise ValueError("there is none; the uploader needs somewhere to send to")
        if len({bucket.kms_key for bucket in buckets}) > 1:
            raise ValueError("the buckets have several keys; let all of them have the same kms_key")
        return buckets

    @field_validator("directory")
    @classmethod
    def _absolute(cls, path: PurePosixPath) -> PurePosixPath:
        return _absolute(path)


class Watchers(Machines):
    """Machines beside the catalogue, each with one watcher or more."""

    region: Annotated[str, Field(pattern=AWS_REGION)] = "us-west-2"
    instance_types: tuple[str, ...] = ("r7g.4xlarge",)
    bucket: HandshakeBucket
    instances: Annotated[int, Field(ge=0, le=100)] = 1
    instances_at_most: Annotated[int, Field(ge=1, le=100)] | None = None
    """How far the number may be raised without a deployment; without it, not at all."""
    watchers_per_instance: Annotated[int, Field(ge=1, le=16)] = 1
    root: PurePosixPath = PurePosixPath("/data/neowise")
    """The project root: work folders and the ledger of what is done lie below."""
    success_minutes: Annotated[int, Field(ge=0, le=10080)] = 480
    """As above; longer than the longest CID, of which nothing is a success until it is done."""
    volume_gibibytes: Annotated[int, Field(ge=8, le=16384)] = 100

    @field_validator("root")
    @classmethod
    def _absolute(cls, path: PurePosixPath) -> PurePosixPath:
        return _absolute(path)

    @model_validator(mode="after")
    def _in_bounds(self) -> Self:
        if self.instances > self.most:
            raise ValueError(
                f"instances = {self.instances} is more than instances_at_most = {self.most}"
            )
        return self

    @property
    def most(self) -> int:
        """The largest number of instances."""
        return max(1, self.instances) if self.instances_at_most is None else self.instances_at_most


class Glacier(Table):
    """What runs the processing of satellite scenes: a function, Batch, ECS, and a state machine."""

    region: Annotated[str, Field(pattern=AWS_REGION)] = "us-west-2"
    """Where the scenes are; elsewhere each of their bytes is paid for."""
    bucket: ResultsBucket
    base_path: Annotated[str, Field(pattern=PREFIX)] = "1_download_merge_and_clip"
    function_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = (
        "glacier-sentinel2-processor"
    )
    repository: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._/-]{1,255}$")] = "glacier-lambda"
    spot: bool = True
    """Take spare capacity first, and pay for other only where there is none."""
    spot_allocation_strategy: str = BATCH_STRATEGIES[0]
    instance_types: tuple[str, ...] = ("m6i", "m5", "r6i", "r5")
    """Families or types that Batch may take, all of them x86-64, as the image is."""
    max_vcpus: Annotated[int, Field(ge=2, le=10_000)] = 256
    volume_gibibytes: Annotated[int, Field(ge=40, le=16_384)] = 100
    """The disk of a Batch instance, which its jobs share."""
    fargate_cpu: int = 4096
    fargate_memory: int = 16_384
    fargate_storage_gibibytes: Annotated[int, Field(ge=40, le=200)] = 40
    network: Network | None = None
    budget_usd: Annotated[int, Field(ge=0, le=1_000_000)] = 100
    """Of the whole account, a month; 0: none."""
    alarm_email: Annotated[str, Field(pattern=EMAIL)] = ""
    log_days: LogDays = 30

    @field_validator("instance_types")
    @classmethod
    def _image_fits(cls, types: tuple[str, ...]) -> tuple[str, ...]:
        if not types:
            raise ValueError("there is none; write families such as 'm6i'")
        for name in types:
            if not re.fullmatch(r"[a-z][a-z0-9-]*(\.[a-z0-9-]+)?", name):
                raise ValueError(f"{name!r} is no instance type or family; write one such as 'm6i'")
            if architecture_of(f"{name}.") == "arm64":
                raise ValueError(f"{name!r} is arm64; the image is made for x86-64")
        return types

    @field_validator("spot_allocation_strategy")
    @classmethod
    def _known_strategy(cls, written: str) -> str:
        batch_strategy(written)
        return written

    @property
    def strategy(self) -> SpotStrategy:
        """The strategy as Batch calls it."""
        return batch_strategy(self.spot_allocation_strategy)

    @model_validator(mode="after")
    def _valid_size(self) -> Self:
        if wrong := check_size(self.fargate_cpu, self.fargate_memory):
            raise ValueError(f"fargate_memory = {self.fargate_memory} is not valid; {wrong}")
        return self


class InfraSettings(Table):
    """What is deployed; a table that is left out is a stack that is not there."""

    wheels: Path | None = None
    """A folder of wheels that instances install from, where they reach no package index."""
    coordinator: Coordinator | None = None
    watchers: Watchers | None = None
    glacier: Glacier | None = None
    wildlife: Wildlife | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not any((self.coordinator, self.watchers, self.glacier, self.wildlife)):
            raise ValueError(
                "there is nothing to deploy; write a table [coordinator], [watchers], [glacier] "
                "or [wildlife]"
            )
        return self


def load_infra_settings(path: Path) -> InfraSettings:
    """Read the file; UsageError has one line for each thing that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"settings {str(path)!r} cannot be read: {error}; infra/config.toml is a sample"
        ) from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, reason = syntax_error(error, text)
        raise UsageError(f"{path} line {line}: {reason}; see toml.io") from error
    try:
        return InfraSettings.model_validate(values)
    except ValidationError as error:
        lines = key_lines(text)
        raise UsageError(
            "\n".join(_explain(path, lines, fault) for fault in error.errors())
        ) from error


def architecture_of(instance_type: str) -> Architecture:
    """Return the architecture of an instance type, which its name tells."""
    return "arm64" if _GRAVITON.match(instance_type) else "x86_64"


def _absolute(path: PurePosixPath) -> PurePosixPath:
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{str(path)!r} is no absolute path; write one such as '/data/colony'")
    return path


def _explain(path: Path, lines: Mapping[tuple[str, ...], int], fault: ErrorDetails) -> str:
    """Say what is wrong with one setting."""
    place = tuple(str(part) for part in fault["loc"])
    name = ".".join(place) or "the file"
    line = _line_of(lines, place)
    where = f"{path}{f' line {line}' if line else ''}"
    return f"{where}: {name}: {_reason(fault)}"


def _line_of(lines: Mapping[tuple[str, ...], int], place: Sequence[str]) -> int | None:
    """Return the line of a setting, or of the innermost table that is written down."""
    for depth in range(len(place), 0, -1):
        if (line := lines.get(tuple(place[:depth]))) is not None:
            return line
    return None


def _reason(fault: ErrorDetails) -> str:
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "missing":
        return "is not set; it has no default"
    if kind == "extra_forbidden":
        return "there is no such setting; the sample in docs/aws.md shows all"
    if kind == "value_error":
        return str(context["error"])
    message = fault["msg"]
    shown: Any = fault.get("input")
    value = f"{shown!r}: " if isinstance(shown, str | int | float | bool) else ""
    return f"{value}{message[:1].lower()}{message[1:]}"
