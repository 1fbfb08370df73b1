"""The watcher's options. Names given in `Option(...)` are fixed: people have them in shells."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from shared.daemon_command import default_state_of
from shared.handshake.settings import HandshakeSettings
from shared.options import Option
from shared.templates import check_template, parse_template

SIDECAR_COMMAND = (
    "{python}",
    # Not what lies in the project root under the same name as a package of ours.
    "-P",
    "-m",
    "pipelines.neowise",
    "sidecar",
    "--optical-root",
    "{optical_root}",
    "--out-root",
    "{out_root}",
    "--radius-arcsec",
    "{radius}",
    "--parallel",
    "pixel",
    "--workers",
    "{workers}",
)
CLOSEST_COMMAND = (
    "{python}",
    "-P",
    "-m",
    "pipelines.neowise",
    "closest",
    "--sidecar-all",
    "{sidecar}",
    "--optical-root",
    "{chunk_root}",
    "--out-dir",
    "{out_dir}",
    "--row-id-float",
)
CATALOGUE_FLAGS = ("--catalogue", "{catalogue}")
"""Added to the built-in sidecar step when a catalogue is named."""
PLACEHOLDERS = (
    "catalogue",
    "chunk_root",
    "cid",
    "optical_root",
    "out_dir",
    "out_root",
    "python",
    "radius",
    "root",
    "sidecar",
    "workers",
    "years",
)
_COMMAND_WORDS = (
    "a list of arguments, or one text that is split as a shell would split it; placeholders: "
    + " ".join(f"{{{name}}}" for name in PLACEHOLDERS)
)
_MOST_WORKERS = 16
_OWN_WORDS = 5
"""As many words name a built-in step; flags follow."""


class Settings(HandshakeSettings):
    """Claim complete jobs in S3, one at a time, and push one committed result for each.

    Jobs lie below s3://BUCKET/PREFIX/from-prod/, results below from-ec2/. Any number of watchers,
    on any number of machines, may share them: each job is done by exactly one.
    """

    poll_seconds: Annotated[
        float,
        Option(
            flag="--poll",
            env="SLEEP_SEC",
            metavar="SECONDS",
            allowed="a number of seconds greater than 0, at most 86400",
        ),
    ] = Field(default=30.0, gt=0, le=86400, description="Time between two looks at the bucket")
    workers: Annotated[int | None, Option(env="WORKERS", metavar="N", group="steps")] = Field(
        default=None,
        ge=1,
        le=1024,
        description="Pixels of one CID read at once; without it the smaller of 16 and the CPUs",
    )
    neowise_years: Annotated[
        str, Option(flag="--years", env="NEOWISE_YEARS", metavar="YEARS", group="steps")
    ] = Field(
        default="", description="Parts of the catalogue, passed on to the steps; empty: all of it"
    )
    radius_arcsec: Annotated[float, Option(flag="--radius", metavar="ARCSEC", group="steps")] = (
        Field(default=5.0, gt=0, le=60, description="How far from a position a match may lie")
    )
    catalogue: Annotated[str, Option(metavar="ROOT", group="steps")] = Field(
        default="",
        description="Folder or s3:// root that the built-in sidecar step reads; empty: the public",
    )
    sidecar_command: Annotated[
        tuple[str, ...],
        Option(flag="--sidecar-command", metavar="WORD", group="steps", allowed=_COMMAND_WORDS),
    ] = Field(default=SIDECAR_COMMAND, description="The step that finds the detections")
    closest_command: Annotated[
        tuple[str, ...],
        Option(flag="--closest-command", metavar="WORD", group="steps", allowed=_COMMAND_WORDS),
    ] = Field(default=CLOSEST_COMMAND, description="The step that writes the tables")
    sidecar_seconds: Annotated[
        float, Option(flag="--sidecar-limit", metavar="SECONDS", group="steps")
    ] = Field(default=21600.0, gt=0, le=604800, description="Longest time of the sidecar step")
    closest_seconds: Annotated[
        float, Option(flag="--closest-limit", metavar="SECONDS", group="steps")
    ] = Field(default=1800.0, gt=0, le=604800, description="Longest time of the closest step")
    step_memory_mebibytes: Annotated[
        int | None, Option(flag="--step-memory", metavar="MIB", group="steps")
    ] = Field(
        default=None,
        ge=16,
        le=16_777_216,
        description="Private memory of each process of a step; without it three quarters of all",
    )
    step_file_mebibytes: Annotated[
        int, Option(flag="--step-file", metavar="MIB", group="steps")
    ] = Field(
        default=16384, ge=1, le=16_777_216, description="Longest file that a step may write, MiB"
    )
    attempts: Annotated[int, Option(metavar="N", group="failures")] = Field(
        default=3, ge=1, le=100, description="Times a job may fail by itself before it is parked"
    )
    first_delay_seconds: Annotated[
        float, Option(flag="--first-delay", metavar="SECONDS", group="failures")
    ] = Field(
        default=30.0, ge=0, le=86400, description="Pause of a job after its first failure; doubled"
    )
    longest_delay_seconds: Annotated[
        float, Option(flag="--longest-delay", metavar="SECONDS", group="failures")
    ] = Field(default=3600.0, ge=0, le=604800, description="Longest such pause")
    lease_seconds: Annotated[float, Option(flag="--lease", metavar="SECONDS", group="sharing")] = (
        Field(
            default=120.0,
            ge=0.2,
            le=86400,
            description="A job is taken over when its owner has not been heard of for this long",
        )
    )
    sole_watcher: Annotated[bool, Option(group="sharing")] = Field(
        default=False,
        description="Work where conditional writes are not known; then only one watcher may run",
    )
    work_directory: Annotated[Path, Option(flag="--work", metavar="DIR", group="paths")] = Field(
        default=Path("work"), description="Work folders, one a watcher; empty between two jobs"
    )
    ledger: Annotated[Path, Option(metavar="FILE", group="paths")] = Field(
        default=Path(".processed_cids"), description="The CIDs that are done, one a line"
    )
    largest_file_mebibytes: Annotated[
        int, Option(flag="--largest-file", metavar="MIB", group="limits")
    ] = Field(
        default=2048, ge=1, le=1_048_576, description="Larger seeds and results are refused, MiB"
    )

    @field_validator("sidecar_command", "closest_command", mode="before")
    @classmethod
    def _argument_list(cls, value: object) -> tuple[str, ...]:
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
            value = value[0]
        if not isinstance(value, str | list | tuple):
            raise ValueError(f"a command is a list of texts, not {value!r}")  # noqa: TRY004 - pydantic waits for it
        command = parse_template(value)
        check_template(command, PLACEHOLDERS)
        return command

    @property
    def work_folder(self) -> Path:
        """The work folders of all watchers of this root."""
        return self.root / self.work_directory

    @property
    def ledger_file(self) -> Path:
        """The ledger, wherever the root is."""
        return self.root / self.ledger

    @property
    def sidecar_template(self) -> tuple[str, ...]:
        """The sidecar step's command; the built-in one is told of another catalogue."""
        named = self.catalogue and self.sidecar_command == SIDECAR_COMMAND
        return (*self.sidecar_command, *CATALOGUE_FLAGS) if named else self.sidecar_command

    def is_built_in(self, step: str) -> bool:
        """Whether a step is our own, with whatever flags."""
        named, own = {
            "sidecar": (self.sidecar_command, SIDECAR_COMMAND),
            "closest": (self.closest_command, CLOSEST_COMMAND),
        }[step]
        return named[:_OWN_WORDS] == own[:_OWN_WORDS]

    @property
    def pixels_at_once(self) -> int:
        """How many pixels of one CID are read at once."""
        return self.workers or min(_MOST_WORKERS, os.cpu_count() or 1)

    @property
    def step_memory_bytes(self) -> int:
        """How much memory each process of a step may have."""
        if self.step_memory_mebibytes is not None:
            return self.step_memory_mebibytes * 1024 * 1024
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 3 // 4


def state_folder(settings: Settings, environ: Mapping[str, str]) -> Path:
    """Return where the watchers of one ledger keep their state."""
    if settings.state_directory is not None:
        return settings.state_directory
    return default_state_of("watcher", settings.ledger_file, environ)
