"""The collector's options. Names given in `Option(...)` are fixed: people have them in shells."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from shared.daemon_command import default_state_of
from shared.handshake.settings import HandshakeSettings
from shared.options import Option


class Settings(HandshakeSettings):
    """Pull every finished result from S3 and merge it into the central folder, never overwriting.

    Results lie below s3://BUCKET/PREFIX/from-ec2/; each goes to a folder of the inbox, and from
    there, once it is checked, into the central folder. Then its CID is recorded.
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
    inbox: Annotated[Path, Option(metavar="DIR", group="paths")] = Field(
        default=Path("data/local-cats/tmp/positions/aws_inbox"),
        description="Results as they were pulled, one folder each",
    )
    central: Annotated[Path, Option(metavar="DIR", group="paths")] = Field(
        default=Path("data/local-cats/tmp/positions/aws_compare_out"),
        description="The merged results; nothing in it is ever overwritten or deleted",
    )
    ledger: Annotated[Path, Option(metavar="FILE", group="paths")] = Field(
        default=Path(".completed_cids"), description="The CIDs that were collected, one a line"
    )
    tag_collected: Annotated[bool, Option(group="bucket")] = Field(
        default=False,
        description="Tag what was merged, and its job, towpath=collected; a rule may expire it",
    )
    runouts_in_flight: Annotated[int, Option(metavar="N", group="limits")] = Field(
        default=8, ge=1, le=64, description="Results that are pulled or compared at once"
    )
    largest_file_mebibytes: Annotated[
        int, Option(flag="--largest-file", metavar="MIB", group="limits")
    ] = Field(
        default=2048, ge=1, le=1_048_576, description="Larger files of a result are refused, MiB"
    )

    @property
    def inbox_folder(self) -> Path:
        """The inbox, wherever the root is."""
        return self.root / self.inbox

    @property
    def central_folder(self) -> Path:
        """The central folder, wherever the root is."""
        return self.root / self.central

    @property
    def ledger_file(self) -> Path:
        """The ledger, wherever the root is."""
        return self.root / self.ledger


def state_folder(settings: Settings, environ: Mapping[str, str]) -> Path:
    """Return where this collector keeps its state: one folder a project root."""
    if settings.state_directory is not None:
        return settings.state_directory
    return default_state_of("collector", settings.root, environ)
