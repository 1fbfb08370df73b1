"""Many watchers on one hand-shake: killed, stopped and woken by dice, judged by their history."""

import json
import math
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from shared.handshake.layout import (
    JobFolder,
    Layout,
    Runout,
    job_folder_at,
)
from shared.handshake.lease import LeaseState, parse_lease
from shared.handshake.manifest import parse_manifest
from tests.support.daemon import LIMIT_SECONDS, Daemon, Nursery, clean_environment
from tests.support.gate import Gate
from tests.support.lease_model import LeaseModel
from tests.support.nursery import Birth
from tests.support.strict_s3.faults import Do, Fault, Stage, Wait
from tests.support.strict_s3.history import Mutation, MutationKind
from tests.support.strict_s3.protocol import Call
from tests.support.strict_s3.server import StrictS3

BUCKET = "sky-hand-shake"
LAYOUT = Layout(BUCKET)
LEASE_SECONDS = 2.0
_AWAKE_MIN = 2
_STEPS = """\
#!/bin/sh
# Two steps that do nothing, in no time: sidecar FILE, closest CID FOLDER.
if [ "$1" = sidecar ]; then
    echo detections > "$2"
else
    echo 'row_id,ra\n1,2' > "$3/positions$2_closest.csv"
    echo 'rows=1\ncolumns=row_id,ra' > "$3/positions$2_closest.qc.txt"
fi
"""


@dataclass(slots=True)
class History:
    """Holds what has happened in the bucket against the model, as it goes on."""

    s3: StrictS3
    objects: dict[str, bytes] = field(default_factory=dict)
    writes: Counter[str] = field(default_factory=Counter)
    model: LeaseModel = field(init=False)
    _read: int = 0

    def __post_init__(self) -> None:
        self.model = LeaseModel(self._is_whole)

    def follow(self) -> None:
        """Take what is new; AssertionError when it must not be."""
        told = self.s3.mutations(BUCKET)
        for mutation in told[self._read :]:
            self._take(mutation)
        self._read = len(told)

    @property
    def takeovers(self) -> int:
        """How many claims were not the first of their CID."""
        return sum(lease.generation - 1 for lease in self.model.leases.values())

    def _take(self, mutation: Mutation) -> None:
        key, cid = mutation.key, LAYOUT.cid_of(mutation.key)
        is_lease = cid is not None and key.startswith(LAYOUT.leases.key)
        if mutation.kind is MutationKind.DELETE:
            assert not key.startswith((LAYOUT.jobs.key, LAYOUT.runouts.key)), f"{key} was removed"
            if is_lease and cid is not None:
                self.model.remove(cid)
            self.objects.pop(key, None)
            return
        self.writes[key] += 1
        self.objects[key] = mutation.data or b""
        if is_lease and cid is not None:
            self.model.write(parse_lease(self.objects[key], cid))
        elif key.startswith((LAYOUT.jobs.key, LAYOUT.runouts.key)):
            assert self.writes[key] == 1, f"{key} was written twice"

    def _is_whole(self, runout: Runout) -> bool:
        body = self.objects.get(LAYOUT.manifest(runout).key)
        if body is None:
            return False
        files = parse_manifest(body, runout.cid).files
        held = (self.objects.get(LAYOUT.result(runout, file.name).key) for file in files)
        return [file.size for file in files] == [
            -1 if found is None else len(found) for found in held
        ]


@dataclass(slots=True)
class Member:
    """One watcher of the herd, over all of its lives."""

    root: Path
    skew_hours: float
    daemon: Daemon
    wakes_at: float | None = None
    """On the monotonic clock, while it is stopped; infinite: once somebody was taken over."""

    @property
    def instance(self) -> str:
        """The name of the work folder that it has."""
        opened = self.daemon.events("workspace_opened")
        folder = Path(str(opened[0].fields["folder"])) if opened else self.root
        try:
            return str(json.loads((folder / "instance.json").read_text())["instance"])
        except FileNotFoundError:
            return ""


class Herd:
    """So many watchers in so many roots, and what the dice do to them."""

    def __init__(
        self,
        folder: Path,
        s3: StrictS3,
        nursery: Nursery,
        *,
        seed: int,
        poll_seconds: float,
        skewed: bool,
    ) -> None:
        self.s3 = s3
        self.history = History(s3)
        self.deeds: Counter[str] = Counter()
        self._folder = folder
        self._nursery = nursery
        self._dice = random.Random(seed)  # noqa: S311 - dice that fall the same way again
        self._skewed = skewed
        self._poll_seconds = poll_seconds
        self._members: list[Member] = []
        self._writes = 0
        self._strikes_at = 1
        self._news = threading.Condition()
        self._script = folder / "steps.sh"
        self._script.write_text(_STEPS)
        self._claimed = Gate()
        self._on_lease_write(Do(self._count, Stage.AFTER_COMMIT))
        self._on_lease_write(Wait(self._claimed, Stage.AFTER_COMMIT), nth=1)

    def _on_lease_write(self, effect: Do | Wait, *, nth: int | None = None) -> None:
        def is_lease(key: str) -> bool:
            return key.startswith(LAYOUT.leases.key) and LAYOUT.cid_of(key) is not None

        self.s3.faults.add(Fault(effect, operation="PutObject", key=is_lease, nth=nth))

    def send(self, cids: Sequence[str]) -> None:
        """Be the dispatcher: lay jobs down, complete."""
        today = datetime.now().astimezone()
        for cid in cids:
            job: JobFolder = job_folder_at(today, cid)
            self.s3.seed(BUCKET, {LAYOUT.seed(job).key: b"seeds of " + cid.encode()})
            self.s3.seed(BUCKET, {LAYOUT.marker(job).key: f"{cid}\n".encode()})

    def start(self, watchers: int, roots: int) -> None:
        """Start the watchers, some of them in the same root."""
        for number in range(watchers):
            root = self._folder / f"root-{number % roots}"
            root.mkdir(exist_ok=True)
            hours = self._dice.uniform(-11, 11) if self._skewed else 0.0
            self._members.append(Member(root, hours, self._born(root, hours)))

    def race(self, jobs: int, *, limit_seconds: float) -> None:
        """Kill, stop and wake until every job is committed."""
        deadline = time.monotonic() + limit_seconds
        self._stop_the_first_owner()
        while len(self.history.model.committed) < jobs:
            done = len(self.history.model.committed)
            assert time.monotonic() < deadline, f"{done} of {jobs} after {limit_seconds} s"
            self._wait_for_writes()
            self._wake(time.monotonic())
            if self._writes >= self._strikes_at:
                self._strikes_at = self._writes + self._dice.randint(1, 20)
                self._strike()
            self.history.follow()
            self._check_ledgers()
            self._look_after()

    def end(self, cids: Sequence[str]) -> None:
        """Stop everybody; let one more life in each root find out what is done, from the bucket."""
        self._wake(float("inf"))
        for member in self._members:
            member.daemon.signal(signal.SIGTERM)
        for member in self._members:
            status, tail = member.daemon.wait(), member.daemon.tail()
            # One that was about to begin has done nothing, and does not know the signal yet.
            assert status == 0 or (status == -signal.SIGTERM and not tail), tail
        self.history.follow()
        last = {
            root: Daemon(self._birth(root, 0.0, "--once"), self._nursery.start)
            for root in self.roots
        }
        for root, daemon in last.items():
            assert daemon.wait() == 0, daemon.tail()
            assert sorted(set(ledger_of(root))) == sorted(cids)
            left = [path for path in (root / "work").glob("*/*") if path.is_dir()]
            assert left == [], f"work folders were left: {left}"
        self.history.follow()

    def close(self) -> None:
        """Leave no process behind."""
        for member in self._members:
            member.daemon.kill()

    @property
    def roots(self) -> list[Path]:
        """The project roots on the EC2 side."""
        return sorted({member.root for member in self._members})

    def _birth(self, root: Path, skew_hours: float, *argv: str) -> Birth:
        script = self._script
        return Birth(
            argv=[
                f"--root={root}",
                f"--state-directory={root / 'state'}",
                f"--bucket={BUCKET}",
                f"--poll={self._poll_seconds}",
                f"--lease={LEASE_SECONDS}",
                "--first-delay=0.1",
                "--longest-delay=0.5",
                f"--sidecar-command=/bin/sh {script} sidecar {{sidecar}}",
                f"--closest-command=/bin/sh {script} closest {{cid}} {{out_dir}}",
                "--log-form=json",
                *argv,
            ],
            environ={
                **clean_environment(),
                **self.s3.environment(),
                "HOME": str(root),
            },
            service="watcher",
            skew_hours=skew_hours,
        )

    def _born(self, root: Path, skew_hours: float) -> Daemon:
        return Daemon(self._birth(root, skew_hours), self._nursery.start)

    def _count(self, _call: Call) -> None:
        with self._news:
            self._writes += 1
            self._news.notify_all()

    def _stop_the_first_owner(self) -> None:
        """Put whoever claimed first to sleep until another has taken its CID over.

        What the dice do may by chance cost nobody a lease, and then the race proves nothing.
        """
        self._claimed.reached_blocking(limit_seconds=LIMIT_SECONDS)
        for member in self._members:
            member.daemon.wait_for("workspace_opened")
        self.history.follow()
        owners = self._owners()
        first = next(member for member in self._members if member.instance in owners)
        first.daemon.signal(signal.SIGSTOP)
        first.wakes_at = math.inf
        self._claimed.open()

    def _wait_for_writes(self) -> None:
        """Wait until leases have been written often enough, or somebody is to be woken."""
        wakes = [member.wakes_at for member in self._members if member.wakes_at is not None]
        patience = min([LEASE_SECONDS, *(wake - time.monotonic() for wake in wakes)])
        with self._news:
            self._news.wait_for(lambda: self._writes >= self._strikes_at, max(0.05, patience))

    def _strike(self) -> None:
        awake = [member for member in self._members if member.wakes_at is None]
        deed = self._dice.choices(["kill", "stop", "nothing"], [2, 3, 5])[0]
        if deed == "nothing" or len(awake) <= _AWAKE_MIN:
            return
        # Half of the time somebody who has a CID in hand, as far as can be seen from here.
        busy = [member for member in awake if member.instance in self._owners()]
        chosen = busy if busy and self._dice.random() < 0.5 else awake
        member = self._dice.choice(chosen)
        self.deeds[deed] += 1
        if deed == "kill":
            member.daemon.kill()
            member.daemon = self._born(member.root, member.skew_hours)
        else:
            member.daemon.signal(signal.SIGSTOP)
            member.wakes_at = time.monotonic() + LEASE_SECONDS * self._dice.uniform(0.3, 3)

    def _owners(self) -> set[str]:
        leases = self.history.model.leases.values()
        return {lease.owner.instance for lease in leases if lease.state is LeaseState.CLAIMED}

    def _wake(self, now: float) -> None:
        for member in self._members:
            if member.wakes_at == math.inf and self.history.takeovers:
                member.wakes_at = now
            if member.wakes_at is not None and member.wakes_at <= now:
                member.daemon.signal(signal.SIGCONT)
                member.wakes_at = None
                self.deeds["wake"] += 1

    def _check_ledgers(self) -> None:
        """A ledger is never ahead of the bucket."""
        recorded = {root: ledger_of(root) for root in self.roots}
        self.history.follow()
        for root, cids in recorded.items():
            ahead = set(cids) - set(self.history.model.committed)
            assert not ahead, f"recorded in {root.name} and not committed: {sorted(ahead)}"

    def _look_after(self) -> None:
        for member in self._members:
            if member.daemon._over:
                raise AssertionError(f"a watcher has ended by itself\n{member.daemon.tail()}")


def ledger_of(root: Path) -> list[str]:
    """Return the CIDs that a root's watchers have recorded; a torn last line is none."""
    try:
        text = (root / ".processed_cids").read_text()
    except FileNotFoundError:
        return []
    return text[: text.rfind("\n") + 1].split()
