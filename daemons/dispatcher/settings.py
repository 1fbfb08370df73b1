"""The dispatcher's options. Names given in `Option(...)` are fixed: people have them in shells."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from shared.daemon_command import default_state_of
from shared.handshake.settings import HandshakeSettings
from shared.options import Option
from shared.templates import check_template, parse_template

PLACEHOLDERS = ("python", "cid", "chunk", "out_dir", "seed")
"""What a seed command may name; `ChunkJobs` says what stands for each."""

SEED_COMMAND = (
    "{python}",
    "-P",  # the working folder is the project's, and may hold a `pipelines` of its own
    "-m",
    "pipelines.neowise",
    "seeds",
    "--tap-chunk-csv",
    "{chunk}",
    "--chunk-id",
    "{cid}",
    "--out-dir",
    "{out_dir}",
)
_OWN_WORDS = 5
"""As many words name the step; flags follow."""


class Settings(HandshakeSettings):
    """Make a job in the bucket of every chunk of positions that has no answer yet.

    For each positions_chunk_<CID>.csv without positions<CID>_closest.csv beside it, and not in the
    ledger, in the order of their CIDs: build the seeds, send them, then the marker, then record it.
    """

    positions: Annotated[Path, Option(metavar="DIR", group="paths")] = Field(
        default=Path("data/local-cats/tmp/positions/new"),
        description="Folder of the chunks and of the archive's answers",
    )
    staging: Annotated[Path, Option(metavar="DIR", group="paths")] = Field(
        default=Path("data/local-cats/optical_seeds"),
        description="Where seeds are built; a CID's folder there is removed once it is sent",
    )
    ledger: Annotated[Path, Option(metavar="FILE", group="paths")] = Field(
        default=Path(".sent_cids"), description="CIDs that were sent, one a line"
    )
    pause_seconds: Annotated[
        float,
        Option(
            flag="--pause",
            env="SLEEP_SEC",
            metavar="SECONDS",
            allowed="a number of seconds from 0 to 86400",
        ),
    ] = Field(default=0.0, ge=0, le=86400, description="Pause between two CIDs")
    poll_seconds: Annotated[
        float,
        Option(
            flag="--poll",
            metavar="SECONDS",
            allowed="a number of seconds greater than 0, at most 86400",
        ),
    ] = Field(
        default=30.0,
        gt=0,
        le=86400,
        description="Time between full looks at the folder; file events are acted on at once",
    )
    stability_seconds: Annotated[
        float,
        Option(
            flag="--stability",
            metavar="SECONDS",
            allowed="a number of seconds from 0 to 86400",
        ),
    ] = Field(
        default=2.0,
        ge=0,
        le=86400,
        description="A chunk is complete once nobody has changed it for this long",
    )
    seed_command: Annotated[
        tuple[str, ...],
        Option(
            metavar="WORD",
            group="seed step",
            allowed=f"words with the placeholders {', '.join(f'{{{p}}}' for p in PLACEHOLDERS)}",
        ),
    ] = Field(
        default=SEED_COMMAND,
        description=(
            "What builds a CID's seeds: a program and its arguments, run in the root without a "
            "shell. It reads {chunk} and leaves {seed}, which lies in {out_dir}"
        ),
    )
    step_limit_seconds: Annotated[
        float, Option(flag="--step-limit", metavar="SECONDS", group="seed step")
    ] = Field(default=900.0, gt=0, le=86400, description="How long one seed step may take")
    step_memory_mebibytes: Annotated[
        int, Option(flag="--step-memory", metavar="MIB", group="seed step")
    ] = Field(
        default=4096, ge=0, le=1048576, description="Memory of one seed step, MiB; 0: no limit"
    )
    attempts: Annotated[int, Option(metavar="N", group="seed step")] = Field(
        default=3,
        ge=1,
        le=100,
        description="How often a chunk is tried that fails for another reason than bad input",
    )

    @field_validator("seed_command", mode="before")
    @classmethod
    def _legal_command(cls, given: Sequence[str]) -> tuple[str, ...]:
        # One word alone is a whole command, as it is written in a shell.
        words = parse_template(given[0] if len(given) == 1 else given)
        check_template(words, PLACEHOLDERS)
        return words

    @property
    def is_built_in(self) -> bool:
        """Whether the seed step is our own, with whatever flags."""
        return self.seed_command[:_OWN_WORDS] == SEED_COMMAND[:_OWN_WORDS]

    @property
    def stability(self) -> timedelta:
        """How long a chunk must have been left alone."""
        return timedelta(seconds=self.stability_seconds)

    @property
    def project(self) -> Path:
        """The root, whatever the working folder becomes."""
        return self.root.absolute()

    @property
    def positions_folder(self) -> Path:
        """Where chunks and answers lie."""
        return self.project / self.positions

    @property
    def staging_folder(self) -> Path:
        """Where seeds are built."""
        return self.project / self.staging

    @property
    def ledger_file(self) -> Path:
        """Which CIDs were sent."""
        return self.project / self.ledger


def state_folder(settings: Settings, environ: Mapping[str, str]) -> Path:
    """Return where the dispatcher of this project keeps its state."""
    if settings.state_directory is not None:
        return settings.state_directory.absolute()
    return default_state_of("dispatcher", settings.project, environ)
