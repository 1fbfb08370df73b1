"""A project folder, a bucket in memory, and everything that was asked of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pipelines.glacier.transfer.excludes import DEFAULT_RULES, Rules
from pipelines.glacier.transfer.local_project import Project, read_project
from pipelines.glacier.transfer.manifest import PROJECT_PREFIX
from pipelines.glacier.transfer.sync_plan import Synced
from pipelines.glacier.transfer.syncing import Seen, Sync
from shared.errors import SuiteError
from shared.s3.memory import Faults, MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Verb
from shared.s3.uri import S3Uri
from tests.support.glacier_regions import write_project

BUCKET = "greenland-glacier-data"
NOON = datetime(2024, 8, 1, 12, tzinfo=UTC)
STEP = "1_download_merge_and_clip/sentinel2/download_merge_clip_sentinel2.py"
WRITES = frozenset({Verb.PUT, Verb.COMPLETE, Verb.DELETE, Verb.DELETE_MANY, Verb.COPY})


@dataclass
class Requests(Faults):
    """Notes every request, and lets it fail where `fault` says so."""

    fault: Callable[[Verb, str], SuiteError | None] = lambda _verb, _key: None
    seen: list[tuple[Verb, str]] = field(default_factory=list)

    async def before(self, verb: Verb, uri: S3Uri) -> None:
        """Note it, and fail before anything happened."""
        self.seen.append((verb, uri.key))
        if error := self.fault(verb, uri.key):
            raise error

    def keys(self, *verbs: Verb) -> list[str]:
        """Return the keys of the requests of these kinds, in order."""
        return [key for verb, key in self.seen if verb in verbs]


class TransferGround:
    """A small project below `base`, and its bucket."""

    def __init__(self, base: Path) -> None:
        self.root = base / "project"
        self.buckets = MemoryBuckets(BUCKET, clock=lambda: NOON)
        self.requests = Requests()
        self.store = MemoryStore(self.buckets, faults=self.requests)
        write_project(self.root, "[SETTINGS]\nsatellite = sentinel2\n")
        self.file(STEP, b"print('clip')\n")
        self.file("run.sh", b"#!/bin/sh\n")

    def file(self, path: str, content: bytes = b"content\n") -> Path:
        """Lay a file of the project down."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return target

    def object(self, path: str, content: bytes = b"content\n", prefix: str = "") -> None:
        """Lay an object down, below the project's prefix unless another is given."""
        self.buckets.put(S3Uri(BUCKET, f"{prefix or PROJECT_PREFIX}{path}"), content)

    def held(self, path: str, prefix: str = "") -> bytes | None:
        """Return what S3 holds."""
        held = self.buckets.look(S3Uri(BUCKET, f"{prefix or PROJECT_PREFIX}{path}"))
        return None if held is None else held.body

    def objects(self) -> Mapping[str, bytes]:
        """Return everything below the project's prefix."""
        page, more = self.buckets.page(S3Uri(BUCKET, PROJECT_PREFIX), "", "")
        assert not more
        names = [info.uri.key.removeprefix(PROJECT_PREFIX) for info in page.objects]
        return {name: self.held(name) or b"" for name in names}

    def read(self, rules: Rules = DEFAULT_RULES) -> Project:
        """Read the folder as it is now."""
        return read_project(self.root, rules)

    async def sync(
        self, *, delete: bool = False, rules: Rules = DEFAULT_RULES
    ) -> tuple[Seen, Synced]:
        """Sync once."""
        sync = Sync(self.store, BUCKET, self.read(rules))
        seen = await sync.look()
        return seen, await sync.carry_out(seen, delete=delete, now=NOON)
