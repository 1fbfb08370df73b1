"""The dispatcher's service on the in-memory S3 and real folders, with a seed step of the test's."""

import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio

from daemons.dispatcher.intent import Intent
from daemons.dispatcher.job import ChunkJobs, SeedStep
from daemons.dispatcher.opening import open_ledger, resume, watch_options
from daemons.dispatcher.quarantine import Patience, Quarantine
from daemons.dispatcher.report import PassCounts
from daemons.dispatcher.service import Dispatcher, Limits, Means
from daemons.dispatcher.settings import Settings
from daemons.dispatcher.staging import Staging
from shared.commands import CommandOutcome
from shared.fswatch.items import WatchItem
from shared.fswatch.once import scan_once
from shared.handshake.layout import (
    JobFolder,
    Layout,
    chunk_name,
    closest_name,
    job_folder_at,
)
from shared.ledger import Ledger
from shared.lifecycle import Control
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Mutation
from shared.s3.uri import S3Uri
from shared.systemd import Notifier
from tests.support.uploading import Requests

BUCKET = "colony-handshake"
LAYOUT = Layout(BUCKET)
DAY = datetime(2026, 3, 1, 23, 50, tzinfo=UTC)
COMMAND = ("build", "{cid}", "{chunk}", "{seed}")
_SETTLED_AT = 1_700_000_000


def chunk_text(cid: str, change: str = "") -> bytes:
    """What a chunk holds."""
    return f"row_id,in_ra,in_dec\n{cid}{change},10.0,-5.0\n".encode()


def seed_of(chunk: bytes) -> bytes:
    """What the step makes of it."""
    return b"SEEDS OF " + chunk


def ended(
    status: int | None, tail: str = "", *, timed_out: bool = False, fault: str = ""
) -> CommandOutcome:
    """How a command went."""
    return CommandOutcome(
        argv=("build",),
        exit_status=status,
        signal=None,
        timed_out=timed_out,
        duration_seconds=0.1,
        tail=tail,
        time_seconds=900.0,
        fault=fault,
    )


@dataclass
class Step:
    """A seed step that runs in this process."""

    ends: dict[str, CommandOutcome] = field(default_factory=dict)
    """CID to how it fails."""
    meanwhile: Callable[[str], None] = lambda _cid: None
    """Called while the step of a CID runs."""
    built: list[str] = field(default_factory=list)

    async def __call__(self, argv: Sequence[str]) -> CommandOutcome:
        """Build."""
        _, cid, chunk, seed = argv
        self.built.append(cid)
        return self._build(cid, Path(chunk), Path(seed))

    def _build(self, cid: str, chunk: Path, seed: Path) -> CommandOutcome:
        content = chunk.read_bytes()
        self.meanwhile(cid)
        if cid in self.ends:
            return self.ends[cid]
        seed.write_bytes(seed_of(content))
        return ended(0)


@dataclass
class Project:
    """A project root on PROD, the bucket, and lives of the dispatcher between them."""

    base: Path
    buckets: MemoryBuckets = field(default_factory=lambda: MemoryBuckets(BUCKET))
    requests: Requests = field(default_factory=Requests)
    step: Step = field(default_factory=Step)
    now: datetime = DAY
    patience: Patience = field(default_factory=Patience)
    limits: Limits = field(default_factory=lambda: Limits(60.0))
    command: Sequence[str] = COMMAND
    built_in: bool = True
    """Whether the step's exit statuses are those of our own."""

    def __post_init__(self) -> None:
        for folder in (self.positions, self.staging, self.state):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def settings(self) -> Settings:
        """What the daemon would be told."""
        return Settings(
            bucket=BUCKET, root=self.root, state_directory=self.state, seed_command=COMMAND
        )

    @property
    def root(self) -> Path:
        """The project root."""
        return self.base / "project"

    @property
    def positions(self) -> Path:
        """Where the chunks lie."""
        return self.root / "data/local-cats/tmp/positions/new"

    @property
    def staging(self) -> Path:
        """Where seeds are built."""
        return self.root / "data/local-cats/optical_seeds"

    @property
    def state(self) -> Path:
        """The daemon's state folder."""
        return self.base / "state"

    @property
    def ledger_file(self) -> Path:
        """The ledger."""
        return self.root / ".sent_cids"

    def chunk(self, cid: str, content: bytes | None = None, *, at: int = _SETTLED_AT) -> Path:
        """Write a chunk, settled long ago."""
        path = self.positions / chunk_name(cid)
        path.write_bytes(chunk_text(cid) if content is None else content)
        os.utime(path, (at, at))
        return path

    def answer(self, cid: str) -> None:
        """Write an answer of the archive's."""
        path = self.positions / closest_name(cid)
        path.write_bytes(b"row_id\n")
        os.utime(path, (_SETTLED_AT, _SETTLED_AT))

    def record(self, *cids: str) -> None:
        """Write CIDs into the ledger, as a script would."""
        with self.ledger_file.open("a") as stream:
            stream.writelines(f"{cid}\n" for cid in cids)

    def recorded(self) -> list[str]:
        """The lines of the ledger."""
        return self.ledger_file.read_text().split() if self.ledger_file.exists() else []

    def put(self, key: str, body: bytes) -> None:
        """Lay an object below the hand-shake's prefix."""
        self.buckets.put(S3Uri(BUCKET, f"{LAYOUT.prefix}/{key}"), body)

    def put_job(self, cid: str, day: str, *, seed: bytes | None = b"S", marker: bool) -> None:
        """Lay a job down, as somebody else would."""
        folder = JobFolder(day, cid)
        if seed is not None:
            self.buckets.put(LAYOUT.seed(folder), seed)
        if marker:
            self.buckets.put(LAYOUT.marker(folder), f"{cid}\n".encode())

    def below(self) -> list[str]:
        """What lies below from-prod."""
        page, _ = self.buckets.page(LAYOUT.jobs, "", "")
        return [info.uri.key.removeprefix(LAYOUT.jobs.key) for info in page.objects]

    def body(self, uri: S3Uri) -> bytes | None:
        """What an object holds."""
        held = self.buckets.look(uri)
        return None if held is None else held.body

    def job_today(self, cid: str) -> JobFolder:
        """The folder that a new job goes into."""
        return job_folder_at(self.now, cid)

    def written(self) -> list[Mutation]:
        """Every change below from-prod, in order."""
        history = self.buckets.history()
        return [m for m in history if m.uri.key.startswith(LAYOUT.jobs.key)]

    def staged(self) -> list[str]:
        """What is left of seeds on disk."""
        return sorted(path.name for path in self.staging.rglob("*"))

    async def one_pass(self) -> PassCounts:
        """One life: `--once`."""
        with ExitStack() as stack, anyio.fail_after(60):
            life = self.life(stack)
            return await life.once()

    def life(self, stack: ExitStack, step: Callable[[str], None] = lambda _: None) -> "Life":
        """Begin a life; its ledger is held until the stack is closed."""
        ledger = open_ledger(self.settings)
        stack.enter_context(ledger.held())
        return Life(self, ledger, MemoryStore(self.buckets, faults=self.requests), step)


class Life:
    """One process's life."""

    def __init__(
        self, project: Project, ledger: Ledger, store: MemoryStore, step: Callable[[str], None]
    ) -> None:
        self.project = project
        self.control = Control(Notifier({}))
        staging = Staging(project.positions, project.staging)
        intent = Intent(project.state)
        begun = resume(intent, staging)
        self.quarantine = Quarantine(project.state, project.command, project.patience)
        self.quarantine.load()
        jobs = ChunkJobs(
            store,
            LAYOUT,
            staging,
            ledger,
            intent,
            SeedStep(project.command, project.step, built_in=project.built_in),
            step=step,
        )
        self.service = Dispatcher(
            Means(jobs, store, LAYOUT, ledger, self.quarantine),
            project.limits,
            self.control,
            begun=begun,
            clock=lambda: project.now,
            step=step,
        )

    async def once(self) -> PassCounts:
        """Send what lies there now."""
        async with aclosing(self.items()) as items:
            return await self.service.run_once(items)

    async def items(self) -> AsyncGenerator[WatchItem, None]:
        """Look at the folder once."""
        options = watch_options(self.project.settings, self.service.lookout.done)
        async with aclosing(scan_once(self.project.positions, options)) as items:
            async for item in items:
                yield item


def day_after(project: Project) -> None:
    """Let the clock go on by a day: new folders get another name."""
    project.now += timedelta(days=1)
