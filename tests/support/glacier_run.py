"""Runs of glacier jobs whose step is a script: it writes and says what a test has planned.

A project folder has the scripts of both satellites by their real names. They follow `plan.json`
beside them, know the list of what is finished, and are as small as a process can be.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from pipelines.glacier.job_record import JobRecord, parse_record
from pipelines.glacier.run.core import Machine
from pipelines.glacier.run.limits import Limits
from pipelines.glacier.run.request import RunRequest, parse_event
from pipelines.glacier.run.settings import RunSettings
from shared.s3.errors import AccessDenied
from shared.s3.memory import Faults, MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Verb
from shared.s3.store import ALWAYS
from shared.s3.uri import S3Uri
from tests.support.glacier_regions import REGION_FILE, Row, write_regions

BUCKET = "glacier-data"
BASE = "1_download_merge_and_clip"
REGION, OTHER_REGION = "134_Arsuk", "138_SermiitsiaqInTasermiut"
JOB = "aws-sentinel2-20240801-134_Arsuk"
NOW = datetime(2024, 9, 1, 12, tzinfo=UTC)
SCENES = tuple(f"S2B_MSIL2A_2024080{day}T143749_N0511_R039" for day in range(1, 5))
SCRIPTS = {
    "sentinel2": "download_merge_clip_sentinel2.py",
    "landsat": "download_clip_landsat.py",
}
_SCRIPT = Path(__file__).with_name("glacier_scripted_step.py")

Plan = Sequence[Sequence[object]]


def event(**changes: object) -> dict[str, object]:
    """Return an event as a submitter sends it; a change to None takes a field away."""
    sent: dict[str, object] = {
        "satellite": "sentinel2",
        "region": REGION,
        "regions": REGION,
        "date1": "2024-08-01",
        "date2": "2024-08-31",
        "s3_bucket": BUCKET,
        "s3_base_path": BASE,
        "clear_downloads": 1,
        "job_name": JOB,
        "submission_id": "submission-1",
    }
    return {name: value for name, value in {**sent, **changes}.items() if value is not None}


def request_of(**changes: object) -> RunRequest:
    """Return the request of an event that is right."""
    parsed = parse_event(event(**changes))
    assert parsed.request is not None, parsed.problems
    return parsed.request


def scene_plan(*scenes: str, region: str = REGION, content: str = "pixels") -> list[list[object]]:
    """Return the plan of a step that finds these scenes and writes one after the other."""
    plan: list[list[object]] = [["found", region, list(scenes)]]
    plan += [["write", region, scene, content] for scene in scenes]
    return plan


def write_project_steps(root: Path, plan: Plan) -> Path:
    """Make a project whose scripts follow a plan; returns its root."""
    write_regions(root / REGION_FILE, [Row(REGION), Row(OTHER_REGION, tiles="23VNH")])
    for satellite, name in SCRIPTS.items():
        folder = root / BASE / satellite
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(_SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    replan(root, plan)
    return root


def replan(root: Path, plan: Plan) -> None:
    """Give the scripts of a project another plan."""
    for satellite in SCRIPTS:
        path = root / BASE / satellite / "plan.json"
        path.write_text(json.dumps(plan), encoding="utf-8")


@dataclass
class Ground:
    """A machine, a bucket in memory and a project."""

    folder: Path
    buckets: MemoryBuckets = field(default_factory=lambda: MemoryBuckets(BUCKET))
    faults: Faults = field(default_factory=Faults)
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Settings that differ."""
    seconds: float = 120.0

    def plan(self, plan: Plan) -> None:
        """Have the next step do this."""
        if self.root.exists():
            replan(self.root, plan)
        else:
            write_project_steps(self.root, plan)

    @property
    def root(self) -> Path:
        """The project."""
        return self.folder / "project"

    @property
    def work(self) -> Path:
        """Where runs have their folders."""
        return self.folder / "work"

    @property
    def settings(self) -> RunSettings:
        """How runs are done here."""
        settings: dict[str, Any] = {
            "step": "project",
            "project_root": str(self.root),
            "work_folder": str(self.work),
            "version": "1.2.3",
            **self.changes,
        }
        return RunSettings(**settings)

    async def run(self, sent: Mapping[str, object], limits: Limits | None = None) -> "Ran":
        """Have an event handled."""
        parsed = parse_event(sent)
        assert parsed.request is not None, parsed.problems
        machine = Machine(self.settings, self.store(), now=lambda: NOW)
        answer = await machine.run(
            parsed.request,
            limits or Limits(self.seconds),
            event=sent,
            warnings=parsed.warnings,
        )
        response = answer.to_response()
        return Ran(int(str(response["statusCode"])), json.loads(str(response["body"])))

    def store(self) -> MemoryStore:
        """Return the bucket, with its faults."""
        return MemoryStore(self.buckets, faults=self.faults)

    def stored(self) -> list[str]:
        """Return what is in the bucket, without what all keys begin with."""
        found = self.buckets.page(S3Uri(BUCKET), "", "")[0].objects
        return [info.uri.key.removeprefix(f"{BASE}/") for info in found]

    def content(self, key: str) -> bytes:
        """Return an object's bytes."""
        return self.buckets.get(S3Uri(BUCKET, f"{BASE}/{key}"), None, None)[1]

    async def put(self, key: str, content: bytes) -> None:
        """Have an object in the bucket."""
        await self.store().put(S3Uri(BUCKET, f"{BASE}/{key}"), content, when=ALWAYS)

    def record(self, job: str = JOB, satellite: str = "sentinel2") -> JobRecord:
        """Return the job's record."""
        return parse_record(self.content(f"{satellite}/_runs/{job}.json"))


@dataclass(frozen=True, slots=True)
class Ran:
    """An answer."""

    status_code: int
    body: Mapping[str, Any]

    @property
    def status(self) -> str:
        """How the run went."""
        return str(self.body["status"])


class StopAfter(Faults):
    """Says stop once an object whose key ends so has been stored."""

    def __init__(self, suffix: str) -> None:
        self._suffix = suffix
        self.limits: Limits | None = None

    async def after_commit(self, verb: object, uri: S3Uri) -> None:
        """Look at each write."""
        await anyio.lowlevel.checkpoint()
        if uri.key.endswith(self._suffix) and self.limits is not None:
            self.limits.stop()


class Bucket:
    """A bucket in memory, and what was written into it."""

    def __init__(self) -> None:
        self.buckets = MemoryBuckets(BUCKET)
        self.writes: list[str] = []
        self.faults = Watched(self.writes)

    @property
    def store(self) -> MemoryStore:
        """Return a client of it."""
        return MemoryStore(self.buckets, faults=self.faults)

    async def put(self, path: str, content: bytes) -> None:
        """Have an object there."""
        await MemoryStore(self.buckets).put(S3Uri(BUCKET, f"base/sentinel2/{path}"), content)

    def content(self, path: str) -> bytes:
        """Return an object's bytes."""
        return self.buckets.get(S3Uri(BUCKET, f"base/sentinel2/{path}"), None, None)[1]


class Watched(Faults):
    """Notes what is stored, and refuses what it is told to."""

    def __init__(self, writes: list[str]) -> None:
        self._writes = writes
        self.refused = ""
        """Keys that end so may not be written."""

    async def before(self, verb: Verb, uri: S3Uri) -> None:
        """Refuse a write."""
        if self.refused and verb is Verb.PUT and uri.key.endswith(self.refused):
            raise AccessDenied(uri)

    async def after_commit(self, verb: Verb, uri: S3Uri) -> None:
        """Note a write."""
        if verb in {Verb.PUT, Verb.COMPLETE}:
            self._writes.append(uri.key.removeprefix("base/sentinel2/"))
