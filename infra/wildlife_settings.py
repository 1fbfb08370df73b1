"""What the wildlife stack is told: the table `[wildlife]` of a settings file.

How runs are made (`[wildlife.settings]`) is judged by the runs' own settings, and by what this
stack's roles and network can reach; so that a mistake is found here and not by a run.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from infra.tables import AWS_REGION, EMAIL, PREFIX, Bucket, LogDays, Network, Table
from pipelines.wildlife.settings import RunSettings
from pipelines.wildlife.weather.configuration import check_weather
from shared.errors import UsageError

_DECIDED_HERE = frozenset(
    {
        "aws_region",
        "profile",
        "endpoint_url",
        "job_queue_spot",
        "job_queue_either",
        "job_queue_on_demand",
        "environment_name",
        "api_keys_secret",
    }
)
"""Settings of a run that follow from the stack itself."""
_IN_THE_BUCKET = (
    "clocks_uri",
    "species_uri",
    "known_places_uri",
    "model_uri",
    "model_labels_uri",
)
_SECRETS = frozenset({"frost_client_id", "detector_key"})


class WildlifeBucket(Bucket):
    """The bucket of pictures and tables; what a run may name lies below two of its prefixes."""

    input_prefix: Annotated[str, Field(pattern=PREFIX)] = "raw"
    """Pictures are read below it, and archived with time."""
    output_prefix: Annotated[str, Field(pattern=PREFIX)] = "out"
    """Runs write below it alone."""
    settings_prefix: Annotated[str, Field(pattern=PREFIX)] = "metadata"
    """Clock corrections, models, known places: read, never written."""
    keep_versions_days: Annotated[int, Field(ge=1, le=3650)] = 30

    @model_validator(mode="after")
    def _apart(self) -> Self:
        names = (self.input_prefix, self.output_prefix, self.settings_prefix)
        for name in names:
            for other in names:
                if name is not other and f"{other}/".startswith(f"{name}/"):
                    raise ValueError(
                        f"prefix {other!r} lies inside {name!r}; what is read and what is written "
                        "must lie apart"
                    )
        if self.create and self.kms_key:
            raise ValueError("kms_key is that of a bucket that is there; the stack makes its own")
        return self


class Wildlife(Table):
    """What runs turn pictures of trail cameras into tables with: functions, Batch, a machine."""

    region: Annotated[str, Field(pattern=AWS_REGION)] = "eu-north-1"
    environment: Literal["dev", "prod"] = "dev"
    """First part of the names; also the default of the stack's parameter."""
    bucket: WildlifeBucket
    audit_bucket: Literal["make", "reuse", "none"] = "make"
    """The bucket of the trail outlives the stack: one that is made anew finds it by `reuse`."""
    instance_types: tuple[str, ...] = (
        "c5.large",
        "c5.xlarge",
        "c5.2xlarge",
        "m5.large",
        "m5.xlarge",
    )
    max_vcpus: Annotated[int, Field(ge=2, le=10_000)] = 100
    bid_percent: Annotated[int, Field(ge=1, le=100)] = 50
    """Of the on-demand price, at most, for spare capacity."""
    volume_gibibytes: Annotated[int, Field(ge=30, le=16_384)] = 30
    network: Network | None = None
    endpoint_zones: Literal[1, 2] = 2
    """In how many zones the made network reaches AWS; each costs about 55 USD a month."""
    budget_usd: Annotated[int, Field(ge=0, le=1_000_000)] = 100
    """Of what carries the project's tag, a month; 0: none."""
    alarm_email: Annotated[str, Field(pattern=EMAIL)] = ""
    log_days: LogDays = 30
    settings: Mapping[str, object] = {}
    """Further settings of the runs, as `towpath wildlife run --help` lists them."""

    @property
    def run_settings(self) -> RunSettings:
        """The settings of the runs, as they will find them."""
        return RunSettings.model_validate(dict(self.settings))

    @model_validator(mode="after")
    def _can_be_run(self) -> Self:
        if problems := list(self._problems()):
            raise ValueError("; ".join(problems))
        return self

    def _problems(self) -> Iterator[str]:
        if not self.instance_types:
            yield "instance_types: there is none; write types such as 'c5.large'"
        yield from (f"settings.{name} {fault}" for name in self.settings if (fault := _fault(name)))
        try:
            made = self.run_settings
        except ValidationError as error:
            for wrong in error.errors():
                yield f"settings.{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}"
            return
        if made.weather_file is not None:
            yield "settings.weather_file is a file, of which functions have none"
        try:
            check_weather(made.model_copy(update={"api_keys_secret": "the stack's"}))
        except UsageError as error:
            yield from (f"settings: {line}" for line in str(error).splitlines())
        if made.detector == "http" and self.network is None:
            yield "settings.detector = 'http' needs a way out; name a network that has one"
        yield from self._out_of_reach(made)

    def _out_of_reach(self, made: RunSettings) -> Iterator[str]:
        readable = f"s3://{self.bucket.name}/{self.bucket.settings_prefix}/"
        for name in _IN_THE_BUCKET:
            uri = getattr(made, name)
            if name == "model_uri" and made.detector == "http":
                continue
            if uri and not uri.startswith(readable):
                yield f"settings.{name} = {uri!r} cannot be read; put it below {readable!r}"


def _fault(name: str) -> str:
    """Say why a run's setting cannot be given here; empty where it can."""
    if name in _DECIDED_HERE:
        return "is decided by the stack; leave it out"
    if name in _SECRETS:
        return "is a secret; put it into the stack's secret"
    return "" if name in RunSettings.model_fields else "is no setting of a run"
