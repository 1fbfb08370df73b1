"""The watcher on the in-memory S3 and a real folder, with steps that only write files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import anyio
from anyio import to_thread

from daemons.watcher.candidates import Candidates
from daemons.watcher.job import CidJobs, JobRules
from daemons.watcher.lookout import Lookout
from daemons.watcher.outcome import Outcome, Target
from daemons.watcher.plan import StepEnd
from daemons.watcher.report import PassCounts
from daemons.watcher.scripts import ScriptResults
from daemons.watcher.service import Limits, Watcher
from daemons.watcher.workspace import JobPlace, Workspace
from shared.handshake.claims import LeaseBook
from shared.handshake.layout import CID, JobFolder, Layout, Runout, closest_name, quality_name
from shared.handshake.lease import Lease, LeaseWatch, Owner, parse_lease
from shared.handshake.listing import Job, list_jobs
from shared.handshake.manifest import Manifest, ResultFile
from shared.ledger import Ledger
from shared.lifecycle import Control
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets
from shared.s3.pinned import crc64nvme
from shared.s3.store import PutOptions
from shared.s3.uri import S3Uri
from shared.s3.wire import encode_crc
from shared.systemd import Notifier
from tests.support.uploading import Requests

BUCKET = "sky-hand-shake"
LAYOUT = Layout(BUCKET)
DAY = "2026-03-01"
STAMP = "2026-03-01-1207"
NOON = datetime(2026, 3, 1, 12, 7, tzinfo=UTC)
HEADER = "row_id,in_ra,in_dec,sep_arcsec"
CALM_SECONDS = 3600.0
"""A lease that no test outlives."""

Behaviour = Callable[[str, JobPlace], StepEnd]
"""What a step does with a CID: its name and place in, its end out."""


def result(cid: str, rows: int = 2, *, shift: float = 0.0) -> Mapping[str, bytes]:
    """The two files of a CID's result."""
    lines = [f"{cid}-{row},{row + shift:.10g},-45.5,0.{row}" for row in range(rows)]
    table = "".join(f"{line}\n" for line in [HEADER, *lines])
    quality = f"rows={rows}\ncolumns={HEADER}\n"
    return {closest_name(cid): table.encode(), quality_name(cid): quality.encode()}


def went_well(step: str) -> StepEnd:
    """The end of a step without a fault."""
    return StepEnd(step, True, 0, None, False, False, "exit status 0", "", True)  # noqa: FBT003 - a table row


def went_wrong(step: str, status: int = 1, tail: str = "failed: because") -> StepEnd:
    """The end of a step that failed by itself."""
    reason = f"exit status {status}"
    return replace(went_well(step), ok=False, exit_status=status, reason=reason, tail=tail)


def compute(step: str, place: JobPlace) -> StepEnd:
    """Do what the steps do: the sidecar from the seeds, the tables from the sidecar."""
    if step == "sidecar":
        seeds = [path.read_bytes() for path in sorted(place.chunk_root.iterdir())]
        place.sidecar.write_bytes(b"".join(seeds))
    else:
        place.sidecar.read_bytes()
        for name, body in result(place.cid).items():
            (place.out_dir / name).write_bytes(body)
    return went_well(step)


@dataclass
class FakeSteps:
    """Steps without children: each CID may behave in its own way."""

    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    ran: list[tuple[str, str]] = field(default_factory=list)
    """CID and step, in the order in which they ran."""
    at: Callable[[str, str], None] = lambda _cid, _step: None
    """Told before each step runs."""
    hold: anyio.Event | None = None
    """A step waits for it, if there is one."""
    cancelled: int = 0

    async def run(self, step: str, place: JobPlace) -> StepEnd:
        """Run one step."""
        self.ran.append((place.cid, step))
        self.at(place.cid, step)
        if self.hold is not None:
            try:
                await self.hold.wait()
            except anyio.get_cancelled_exc_class():
                self.cancelled += 1
                raise
        return self.behaviours.get(place.cid, compute)(step, place)


@dataclass
class Ec2:
    """One machine: a root with a ledger and one work folder, and the bucket."""

    root: Path
    buckets: MemoryBuckets = field(default_factory=lambda: MemoryBuckets(BUCKET))
    requests: Requests = field(default_factory=Requests)
    steps: FakeSteps = field(default_factory=FakeSteps)
    step: Callable[[str], None] = lambda _: None
    instance: str = "a" * 32
    process: str = "process-1"
    lease_seconds: float = CALM_SECONDS
    attempts: int = 3
    poll_seconds: float = CALM_SECONDS
    first_delay: float = 0.0
    moment: datetime = NOON
    clock: Callable[[], float] = anyio.current_time
    control: Control = field(default_factory=lambda: Control(Notifier({})))

    def __post_init__(self) -> None:
        (self.root / "work/1").mkdir(parents=True, exist_ok=True)

    @property
    def ledger_file(self) -> Path:
        """The ledger."""
        return self.root / ".processed_cids"

    @property
    def workspace(self) -> Workspace:
        """The work folder."""
        return Workspace(1, self.root / "work/1", self.instance)

    def send(
        self, *cids: str, day: str = DAY, marker: bool = True, seeds: bytes = b"seeds"
    ) -> None:
        """Put whole jobs into the bucket, or such without their marker."""
        for cid in cids:
            folder = JobFolder(day, cid)
            self.buckets.put(LAYOUT.seed(folder), seeds)
            if marker:
                self.buckets.put(LAYOUT.marker(folder), f"{cid}\n".encode())

    def store(self) -> MemoryStore:
        """The store, as a new process would open it."""
        return MemoryStore(self.buckets, faults=self.requests)

    def book(self) -> LeaseBook:
        """The leases, as a process of this machine uses them."""
        owner = Owner(self.process, self.instance, "ec2")
        return LeaseBook(self.store(), LAYOUT, owner, clock=lambda: self.moment)

    def ledger(self) -> Ledger:
        """The ledger, as a new process would open it."""
        return Ledger(self.ledger_file, accepts=CID)

    def jobs(self) -> CidJobs:
        """The jobs, as a new process would make them."""
        return CidJobs(
            self.store(),
            self.book(),
            self.workspace,
            self.ledger(),
            self.steps,
            JobRules(self.attempts, self.lease_seconds, 1024 * 1024),
            clock=lambda: self.moment,
            step=self.step,
        )

    def watcher(self) -> Watcher:
        """The service, as a new process makes it, the former one's leftovers seen and removed."""
        store, book, ledger = self.store(), self.book(), self.ledger()
        lookout = Lookout(
            store,
            book,
            ledger,
            Candidates(attempts=self.attempts),
            ScriptResults(
                store, LAYOUT, self.workspace, file_bytes_max=1024 * 1024, clock=self.clock
            ),
            LeaseWatch(self.lease_seconds, self.first_delay, 3600.0),
            clock=self.clock,
            stopping=self.control.stopping.is_set,
        )
        lookout.suspect(self.workspace.leftovers())
        self.workspace.sweep()
        limits = Limits(self.poll_seconds, CALM_SECONDS)
        return Watcher(lookout, self.jobs(), limits, self.control, chance=lambda: 0.0)

    async def one_pass(self, watcher: Watcher | None = None) -> PassCounts:
        """Do one pass, as `--once` does."""
        with anyio.fail_after(30):
            return await (watcher or self.watcher()).run_once()

    async def attempt(self, cid: str, jobs: CidJobs | None = None) -> Outcome:
        """Attempt one CID over whatever its lease is now."""
        store = self.store()
        found: list[Job] = [job async for job in list_jobs(store, LAYOUT) if job.folder.cid == cid]
        seen = await self.book().read(cid)
        with anyio.fail_after(30):
            return await (jobs or self.jobs()).attempt(Target(found[-1], seen), anyio.Event())

    def recorded(self) -> list[str]:
        """The lines of the ledger."""
        return self.ledger_file.read_text().split() if self.ledger_file.exists() else []

    def lease(self, cid: str) -> Lease | None:
        """What the bucket says of a CID."""
        held = self.buckets.look(LAYOUT.lease(cid))
        return None if held is None else parse_lease(held.body, cid)

    def held(self, uri: S3Uri) -> bytes | None:
        """What the bucket holds."""
        held = self.buckets.look(uri)
        return None if held is None else held.body

    def keys(self, prefix: str) -> list[str]:
        """The keys below a prefix of the hand-shake."""
        base = f"{LAYOUT.prefix}/{prefix}"
        page, _ = self.buckets.page(S3Uri(BUCKET, base), "", "")
        return [info.uri.key.removeprefix(base) for info in page.objects]

    def left(self) -> list[str]:
        """What is in the work folder."""
        folder = self.root / "work/1"
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))

    def lay_result(
        self,
        runout: Runout,
        files: Mapping[str, bytes],
        *,
        manifest: Manifest | None = None,
        ours: bool = False,
    ) -> None:
        """Put a result into the bucket: of the scripts, or as a watcher of ours would."""
        options = PutOptions(metadata={"towpath-generation": "1"} if ours or manifest else {})
        for name, body in files.items():
            self.buckets.put(LAYOUT.result(runout, name), body, options=options)
        if manifest is not None:
            self.buckets.put(LAYOUT.manifest(runout), manifest.to_bytes(), options=options)


class Clock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def manifest_of(cid: str, files: Mapping[str, bytes], *, day: str = DAY) -> Manifest:
    """The manifest that a former owner would have written for these files."""
    listed = tuple(
        ResultFile(name, len(body), encode_crc(crc64nvme(body))) for name, body in files.items()
    )
    moment = NOON.isoformat()
    return Manifest(cid, JobFolder(day, cid), 1, "process-0", "towpath", moment, listed)


async def in_thread(call: Callable[[], object]) -> None:
    """Do something that blocks."""
    await to_thread.run_sync(call)
