"""Each daemon's whole story against the strict S3, so that every request it makes is on record.

The daemons are opened as their commands open them, in this process: engine, identity, locks, ledger
and state are the real ones. Faults stand where a request is only made when another one fails.
"""

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from daemons.collector import opening as collector
from daemons.collector import preview as collector_preview
from daemons.collector.settings import Settings as CollectorSettings
from daemons.dispatcher import opening as dispatcher
from daemons.dispatcher import preview as dispatcher_preview
from daemons.dispatcher.settings import Settings as DispatcherSettings
from daemons.uploader import opening as uploader
from daemons.uploader import preview as uploader_preview
from daemons.uploader.settings import Settings as UploaderSettings
from daemons.watcher import opening as watcher
from daemons.watcher import preview as watcher_preview
from daemons.watcher import putback
from daemons.watcher.settings import Settings as WatcherSettings
from infra.permissions import Service
from shared.engine import engine_options, open_engine
from shared.handshake.layout import JobFolder, Layout, Runout, chunk_name, closest_name
from shared.handshake.survey import Survey
from shared.lifecycle import Control
from shared.systemd import Notifier
from tests.support.collecting import committed_lease, contents, ours, runout_files
from tests.support.strict_s3.behaviour import Behaviour
from tests.support.strict_s3.faults import Fail, Fault, Reset, Stage
from tests.support.strict_s3.history import RequestRecord
from tests.support.strict_s3.server import StrictS3
from tests.support.watcher_ground import STEPS
from tests.support.watching import HEADER

BUCKET = "sky-hand-shake"
COLONY = "colony-shots"
LAYOUT = Layout(BUCKET)
DAY = "2026-03-01"
STAMP, LATER = "2026-03-01-0930", "2026-03-01-1030"

_MEBIBYTE = 1024 * 1024
_LARGE = 16 * _MEBIBYTE + 1
"""Bytes that the hand-shake's engine sends in parts."""
_LARGE_TABLE = f"""\
if [ "$1" = closest ]; then
    printf '{HEADER}\\n' > "$4/positions$2_closest.csv"
    yes "$2-1,1,-45.5,0.{"1" * 1000}" | head -n 17000 >> "$4/positions$2_closest.csv"
    printf 'rows=17000\\ncolumns={HEADER}\\n' > "$4/positions$2_closest.qc.txt"
    exit 0
fi
"""
"""Makes a step of the watcher's ground write a table that goes in parts."""

_LIMIT_SECONDS = 60.0
_AGE_SECONDS = 100


@dataclass
class Ground:
    """A server, and folders for one daemon."""

    s3: StrictS3
    folder: Path
    with_options: bool = False
    """Whether the daemon is told to do what needs further rights."""

    @property
    def root(self) -> Path:
        """The project root, or the uploader's."""
        return self.folder / "root"

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / "state"

    def write(self, path: str, content: bytes) -> None:
        """Write a file below the root, settled long ago."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        before = target.stat().st_mtime - _AGE_SECONDS
        os.utime(target, (before, before))

    def lose_answer(self, operation: str, key: str) -> None:
        """Carry a write out once, and answer nothing."""
        self.s3.faults.add(Fault(Reset(Stage.AFTER_COMMIT), operation=operation, key=key, nth=1))

    def fail_complete(self, key: str) -> None:
        """Refuse to join the parts of an object, once: the daemon aborts it and begins anew."""
        refusal = Fail("ConditionalRequestConflict", stage=Stage.BEFORE_COMMIT)
        self.s3.faults.add(Fault(refusal, operation="CompleteMultipartUpload", key=key, nth=1))


Story = Callable[[Ground], Awaitable[None]]


async def record(
    service: Service, folder: Path, *, with_options: bool = False
) -> list[RequestRecord]:
    """Let a service live through its story; returns every request that it made.

    With its options it does what it must be allowed besides: an ACL, tags.
    """
    with _ground(folder) as ground, anyio.fail_after(_LIMIT_SECONDS):
        ground.with_options = with_options
        await _STORIES[service](ground)
        return ground.s3.requests()


@contextmanager
def _ground(folder: Path) -> Iterator[Ground]:
    folder.mkdir(parents=True)
    with StrictS3([BUCKET, COLONY], behaviour=Behaviour(acls=True)) as s3:
        ground = Ground(s3, folder)
        ground.root.mkdir()
        before = {name: os.environ.get(name) for name in s3.environment()}
        os.environ.update(s3.environment())
        try:
            yield ground
        finally:
            _restore(before)


def _restore(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


async def _uploader(ground: Ground) -> None:
    """New, large, equal, other, many of a folder; an answer lost, parts that cannot be joined."""
    acl = "bucket-owner-full-control" if ground.with_options else ""
    settings = UploaderSettings(
        directory=ground.root, stability_seconds=0.0, multipart_mebibytes=5, acl=acl
    )
    ground.write(f"{COLONY}/new.png", b"new")
    ground.write(f"{COLONY}/large.bin", bytes(5 * _MEBIBYTE + 1))
    ground.write(f"{COLONY}/equal.png", b"equal")
    ground.write(f"{COLONY}/other.png", b"other")
    ground.write(f"{COLONY}/unjoined.bin", bytes(5 * _MEBIBYTE + 2))
    for number in range(20):
        ground.write(f"{COLONY}/many/{number}.png", b"one of many")
    ground.s3.seed(COLONY, {"equal.png": b"equal", "other.png": b"before"})
    ground.fail_complete("unjoined.bin")
    ground.lose_answer("PutObject", "new.png")

    await uploader_preview.run_checks(settings, ground.state)
    await uploader_preview.show_plan(settings, ground.state)
    async with uploader.open_daemon(settings, ground.state, _control()) as daemon:
        await daemon.run_once()

    left = [path for path in ground.root.rglob("*") if path.is_file()]
    assert not left, f"the story is not the one it should be: {left}"


async def _dispatcher(ground: Ground) -> None:
    """A new chunk, a large one, seeds and marker that are there already, answers lost."""
    settings = DispatcherSettings(
        bucket=BUCKET,
        root=ground.root,
        seed_command=("/bin/cp", "{chunk}", "{seed}"),
        stability_seconds=0.0,
    )
    chunks = {"00001": b"new", "00002": bytes(_LARGE), "00003": b"other seeds", "00004": b"begun"}
    for cid, content in chunks.items():
        ground.write(f"{settings.positions}/{chunk_name(cid)}", content)
    begun = JobFolder(DAY, "00003")
    ground.s3.seed(BUCKET, {LAYOUT.seed(begun).key: b"seeds of before"})
    ground.fail_complete("*CID-00002/*")
    ground.lose_answer("PutObject", "*/cid.txt")
    ground.lose_answer("PutObject", "*/status/*")

    await dispatcher_preview.run_checks(settings, ground.state)
    await dispatcher_preview.show_plan(settings, ground.state)
    async with dispatcher.open_daemon(settings, ground.state, _control()) as daemon:
        await daemon.run_once()

    sent = (ground.root / ".sent_cids").read_text().split()
    assert sorted(sent) == sorted(chunks), f"the story is not the one it should be: {sent}"


async def _watcher(ground: Ground) -> None:
    """Jobs computed, failed, parked, put back; a large result; results of others adopted."""
    steps, bad = ground.folder / "steps.sh", ground.folder / "bad"
    steps.write_text(STEPS)
    bad.mkdir()
    settings = WatcherSettings(
        bucket=BUCKET,
        root=ground.root,
        attempts=1,
        first_delay_seconds=0.0,
        longest_delay_seconds=0.0,
        sidecar_command=("sh", str(steps), "sidecar", "{chunk_root}", "{sidecar}"),
        closest_command=("sh", str(steps), "closest", "{cid}", "{sidecar}", "{out_dir}"),
    )
    cids = ("00001", "00002", "00003", "00004")
    for cid in cids:
        folder = JobFolder(DAY, cid)
        objects = {LAYOUT.seed(folder).key: b"seeds\n", LAYOUT.marker(folder).key: b"x\n"}
        ground.s3.seed(BUCKET, objects)
    # A result of the scripts, without a lease; a failing job; a table that goes in parts.
    ground.s3.seed(BUCKET, runout_files(Runout(STAMP, "00003"), contents("00003")))
    (bad / "00002").write_text("exit 1\n")
    (bad / "00004").write_text(_LARGE_TABLE)
    ground.fail_complete("*CID-00004/*")
    ground.lose_answer("PutObject", "*/manifest.json")

    await watcher_preview.run_checks(settings, ground.state)
    await watcher_preview.show_plan(settings, ground.state)
    await _watch(ground, settings)
    (bad / "00002").unlink()
    await putback._put_back(settings, ["00002"])
    await _watch(ground, settings)

    done = (ground.root / ".processed_cids").read_text().split()
    assert sorted(done) == list(cids), f"the story is not the one it should be: {done}"


async def _watch(ground: Ground, settings: WatcherSettings) -> None:
    async with watcher.open_daemon(settings, ground.state, _control()) as daemon:
        await daemon.run_once()


async def _collector(ground: Ground) -> None:
    """A committed result, one of the scripts, a second one that differs; an answer lost."""
    settings = CollectorSettings(bucket=BUCKET, root=ground.root, tag_collected=ground.with_options)
    committed, plain = Runout(STAMP, "00001"), Runout(STAMP, "00002")
    job = JobFolder(DAY, "00001")
    ground.s3.seed(BUCKET, ours(committed, contents("00001")))
    ground.s3.seed(BUCKET, runout_files(plain, contents("00002")))
    ground.s3.seed(BUCKET, runout_files(Runout(LATER, "00002"), contents("00002", shift=1.0)))
    ground.s3.seed(BUCKET, {LAYOUT.seed(job).key: b"seeds", LAYOUT.marker(job).key: b"00001\n"})
    unleased = ours(Runout(STAMP, "00003"), contents("00003"))
    del unleased[LAYOUT.lease("00003").key]
    ground.s3.seed(BUCKET, unleased)
    ground.lose_answer("PutObject", "*/status/*")

    await collector_preview.run_checks(settings, ground.state)
    await collector_preview.show_plan(settings, ground.state)
    async with collector.open_daemon(settings, ground.state, _control()) as daemon:
        await daemon.run_once()

    merged = settings.central_folder / closest_name("00001")
    assert merged.exists(), "the story is not the one it should be"


async def _status(ground: Ground) -> None:
    """A look at everything, and at one CID whose report is there."""
    settings = CollectorSettings(bucket=BUCKET, root=ground.root)
    job = JobFolder(DAY, "00001")
    ground.s3.seed(
        BUCKET,
        {
            LAYOUT.seed(job).key: b"seeds",
            LAYOUT.marker(job).key: b"00001\n",
            LAYOUT.lease("00001").key: committed_lease(Runout(STAMP, "00001")),
            LAYOUT.failure("00001").key: b"{}",
            LAYOUT.summary("dispatcher").key: b"{}",
        },
    )
    async with open_engine(engine_options(settings), journal=None) as engine:
        await Survey(engine.store, LAYOUT, focus="00001").look()


def _control() -> Control:
    return Control(Notifier({}))


_STORIES: Mapping[Service, Story] = {
    "uploader": _uploader,
    "dispatcher": _dispatcher,
    "watcher": _watcher,
    "collector": _collector,
    "status": _status,
}
