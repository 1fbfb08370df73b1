"""Where the dispatcher's acceptance tests play: a project root, a strict S3, and real daemons."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.handshake.layout import JobFolder, chunk_name, closest_name
from tests.support.daemon import Daemon
from tests.support.dispatching import BUCKET, LAYOUT, chunk_text
from tests.support.nursery import Birth
from tests.support.service_ground import ServiceGround

COPY = "/bin/cp {chunk} {seed}"
"""A seed step that takes no time: the seeds are the chunk."""


@dataclass
class DispatcherGround(ServiceGround):
    """One test's project root and state folder, and what was started there."""

    service = "dispatcher"
    bucket = BUCKET

    def __post_init__(self) -> None:
        self.positions.mkdir(parents=True, exist_ok=True)

    @property
    def root(self) -> Path:
        """The project root."""
        return self.folder / "project"

    @property
    def positions(self) -> Path:
        """Where the chunks lie."""
        return self.root / "data/local-cats/tmp/positions/new"

    @property
    def staging(self) -> Path:
        """Where seeds are built."""
        return self.root / "data/local-cats/optical_seeds"

    @property
    def ledger(self) -> Path:
        """The ledger."""
        return self.root / ".sent_cids"

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / "state"

    def chunk(self, cid: str, content: bytes | None = None, *, age: float = 60.0) -> Path:
        """Put a whole chunk in place, settled when it is found."""
        return self._place(chunk_name(cid), chunk_text(cid) if content is None else content, age)

    def answer(self, cid: str) -> Path:
        """Put an answer of the archive in place."""
        return self._place(closest_name(cid), b"row_id\n", 60.0)

    def _place(self, name: str, content: bytes, age: float) -> Path:
        staged = self.folder / f"staged-{name}"
        staged.write_bytes(content)
        changed = staged.stat().st_mtime - age
        os.utime(staged, (changed, changed))
        return staged.rename(self.positions / name)

    def birth(self, *argv: str, poll: float = 0.3, env: Mapping[str, str] | None = None) -> Birth:
        """Say how a dispatcher of this ground is started; later options win."""
        usual = ["--root", str(self.root), "--state-directory", str(self.state)]
        usual += ["--poll", str(poll), "--stability", "0.5", "--log-form", "json"]
        command = () if "--seed-command" in argv else ("--seed-command", COPY)
        return self.born([*usual, *command, *argv], env)

    def start(
        self,
        *argv: str,
        poll: float = 0.3,
        env: Mapping[str, str] | None = None,
        step: str = "",
    ) -> Daemon:
        """Start a dispatcher; with a step it kills itself there."""
        return self.begin(self.birth(*argv, poll=poll, env=env), step)

    def recorded(self) -> list[str]:
        """Return the lines of the ledger."""
        return self.ledger.read_text().split() if self.ledger.exists() else []

    def jobs(self) -> dict[JobFolder, dict[str, bytes]]:
        """Return every job in the bucket: what is in its folder, by name."""
        found: dict[JobFolder, dict[str, bytes]] = {}
        for key, body in self.s3.objects(BUCKET).items():
            if split := LAYOUT.job_of(key):
                found.setdefault(split[0], {})[split[1].rpartition("/")[2]] = body
        return found

    def complete(self) -> list[str]:
        """Return the CIDs of the jobs that have a marker, in order."""
        return sorted(folder.cid for folder, files in self.jobs().items() if "cid.txt" in files)

    def staged(self) -> list[str]:
        """What is left of seeds on disk."""
        return sorted(path.name for path in self.staging.rglob("*"))
