"""Where the collector's acceptance tests play: a project root, a strict S3, and real daemons."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.collecting import BUCKET
from tests.support.daemon import Daemon
from tests.support.nursery import Birth
from tests.support.service_ground import ServiceGround


@dataclass
class CollectorGround(ServiceGround):
    """One test's project root and state folder, and what was started there."""

    service = "collector"
    bucket = BUCKET

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)

    @property
    def root(self) -> Path:
        """The project root."""
        return self.folder / "project"

    @property
    def central(self) -> Path:
        """The central folder."""
        return self.root / "data/local-cats/tmp/positions/aws_compare_out"

    @property
    def inbox(self) -> Path:
        """The inbox."""
        return self.root / "data/local-cats/tmp/positions/aws_inbox"

    @property
    def ledger(self) -> Path:
        """The ledger."""
        return self.root / ".completed_cids"

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / "state"

    def lay(self, objects: Mapping[str, bytes]) -> None:
        """Put objects into the bucket."""
        self.s3.seed(BUCKET, objects)

    def birth(self, *argv: str, poll: float = 0.2, env: Mapping[str, str] | None = None) -> Birth:
        """Say how a collector of this ground is started; later options win."""
        usual = ["--root", str(self.root), "--state-directory", str(self.state)]
        extra = {"SLEEP_SEC": str(poll), **(env or {})}
        return self.born([*usual, "--log-form", "json", *argv], extra)

    def start(self, *argv: str, poll: float = 0.2, step: str = "") -> Daemon:
        """Start a collector; with a step it kills itself there."""
        return self.begin(self.birth(*argv, poll=poll), step)

    def merged(self) -> dict[str, bytes]:
        """Return what the central folder holds, hidden files too."""
        if not self.central.exists():
            return {}
        return {path.name: path.read_bytes() for path in sorted(self.central.iterdir())}

    def recorded(self) -> list[str]:
        """Return the lines of the ledger."""
        return self.ledger.read_text().split() if self.ledger.exists() else []
