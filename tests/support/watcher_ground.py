"""Where the watcher's acceptance tests play: machines, a strict S3, and real daemons with steps."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.handshake.layout import JobFolder, Runout
from shared.handshake.lease import Lease, parse_lease
from tests.support.daemon import Daemon
from tests.support.nursery import Birth
from tests.support.service_ground import ServiceGround
from tests.support.watching import BUCKET, DAY, HEADER, LAYOUT

STEPS = f"""\
#!/bin/sh
# Two steps that do next to nothing: sidecar SEEDS FILE, closest CID SIDECAR FOLDER.
bad="$(dirname "$0")/bad/$2"
if [ "$1" = sidecar ]; then
    bad="$(dirname "$0")/bad/$(basename "$2" | tail -c 6)"
fi
if [ -f "$bad" ]; then . "$bad"; fi
case "$1" in
sidecar)
    cat "$2"/* > "$3" ;;
closest)
    read -r _ < "$3"
    printf '{HEADER}\\n%s-1,1,-45.5,0.1\\n' "$2" > "$4/positions$2_closest.csv"
    printf 'rows=1\\ncolumns={HEADER}\\n' > "$4/positions$2_closest.qc.txt" ;;
esac
"""


def table(cid: str) -> bytes:
    """What the steps find for a CID."""
    return f"{HEADER}\n{cid}-1,1,-45.5,0.1\n".encode()


@dataclass
class WatcherGround(ServiceGround):
    """One test's machines, their state, and what was started there."""

    service = "watcher"
    bucket = BUCKET

    lease_seconds: float = 60.0

    def __post_init__(self) -> None:
        (self.folder / "bad").mkdir(parents=True, exist_ok=True)
        self.steps.write_text(STEPS)

    @property
    def steps(self) -> Path:
        """The script that stands in for both steps."""
        return self.folder / "steps.sh"

    def root(self, machine: str = "a") -> Path:
        """The project root of a machine."""
        root = self.folder / machine
        root.mkdir(exist_ok=True)
        return root

    def misbehave(self, cid: str, shell: str) -> None:
        """Have the steps of one CID do something else first; `$1` is the step."""
        (self.folder / "bad" / cid).write_text(f"{shell}\n")

    def send(self, *cids: str, marker: bool = True, seeds: bytes = b"seeds\n") -> None:
        """Put whole jobs into the bucket, or such without their marker."""
        for cid in cids:
            folder = JobFolder(DAY, cid)
            objects = {LAYOUT.seed(folder).key: seeds}
            if marker:
                objects[LAYOUT.marker(folder).key] = f"{cid}\n".encode()
            self.s3.seed(BUCKET, objects)

    def birth(self, *argv: str, machine: str = "a", env: Mapping[str, str] | None = None) -> Birth:
        """Say how a watcher of this ground is started; later options win."""
        steps = shlex.quote(str(self.steps))
        usual = [
            *("--root", str(self.root(machine)), "--state-directory", str(self._state(machine))),
            *("--log-form", "json", "--poll", "0.2", "--lease", str(self.lease_seconds)),
            *("--first-delay", "0.05", "--longest-delay", "0.2", "--grace", "10"),
            *("--sidecar-command", f"sh {steps} sidecar {{chunk_root}} {{sidecar}}"),
            *("--closest-command", f"sh {steps} closest {{cid}} {{sidecar}} {{out_dir}}"),
        ]
        return self.born([*usual, *argv], env)

    def start(
        self,
        *argv: str,
        machine: str = "a",
        env: Mapping[str, str] | None = None,
        step: str = "",
        occurrence: int = 1,
    ) -> Daemon:
        """Start a watcher; with a step it kills itself there."""
        return self.begin(self.birth(*argv, machine=machine, env=env), step, occurrence)

    def recorded(self, machine: str = "a") -> list[str]:
        """Return the lines of a ledger."""
        path = self.root(machine) / ".processed_cids"
        return path.read_text().split() if path.exists() else []

    def left(self, machine: str = "a") -> list[str]:
        """Return what the work folders hold besides their owners' names."""
        work = self.root(machine) / "work"
        files = [path for path in work.glob("*/*") if path.name != "instance.json"]
        return sorted(str(path.relative_to(work)) for path in files)

    def lease(self, cid: str) -> Lease | None:
        """What the bucket says of a CID."""
        body = self.s3.objects(BUCKET).get(LAYOUT.lease(cid).key)
        return None if body is None else parse_lease(body, cid)

    def results(self) -> dict[str, list[Runout]]:
        """Return the whole results in the bucket, by CID."""
        found: dict[str, list[Runout]] = {}
        for key in self.s3.keys(BUCKET):
            split = LAYOUT.runout_of(key)
            if split is not None and split[1] == "manifest.json":
                found.setdefault(split[0].cid, []).append(split[0])
        return found

    def _state(self, machine: str) -> Path:
        return self.folder / f"state-{machine}"
