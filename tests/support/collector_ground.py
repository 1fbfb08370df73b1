"""Where the collector's acceptance tests play: a project root, a strict S3, and real daemons."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.support.collecting import BUCKET
from tests.support.daemon import Daemon, Nursery, Outcome, clean_environment, run_command
from tests.support.nursery import Birth
from tests.support.strict_s3.server import StrictS3


@dataclass
class CollectorGround:
    """One test's project root and state folder, and what was started there."""

    folder: Path
    s3: StrictS3
    nursery: Nursery
    daemons: list[Daemon] = field(default_factory=list)

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
        known = {**clean_environment(), **self.s3.environment(), "BUCKET": BUCKET}
        whole = {**known, "SLEEP_SEC": str(poll), **(env or {})}
        usual = ["--root", str(self.root), "--state-directory", str(self.state)]
        return Birth(
            [*usual, "--log-form", "json", *argv],
            {name: value for name, value in whole.items() if value},
        )

    def start(self, *argv: str, poll: float = 0.2, step: str = "", occurrence: int = 1) -> Daemon:
        """Start a collector; with a step it kills itself there."""
        birth = replace(self.birth(*argv, poll=poll), step=step, occurrence=occurrence)
        daemon = Daemon(birth, self.nursery.start)
        self.daemons.append(daemon)
        return daemon

    def command(self, *argv: str, env: Mapping[str, str] | None = None) -> Outcome:
        """Run one of the commands that end by themselves."""
        return run_command(self.birth(*argv, env=env), self.nursery.start)[0]

    def merged(self) -> dict[str, bytes]:
        """Return what the central folder holds, hidden files too."""
        if not self.central.exists():
            return {}
        return {path.name: path.read_bytes() for path in sorted(self.central.iterdir())}

    def recorded(self) -> list[str]:
        """Return the lines of the ledger."""
        return self.ledger.read_text().split() if self.ledger.exists() else []

    def close(self) -> None:
        """Leave no process behind."""
        for daemon in self.daemons:
            daemon.kill()
