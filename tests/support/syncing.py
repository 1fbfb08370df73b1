"""A site on a real tree and the in-memory S3, with times of the test's own."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from daemons.ingester.archive.folders import MANIFEST_PATH
from daemons.ingester.syncing.one_way import SyncRules
from daemons.ingester.syncing.place import SitePlace, site_place
from daemons.ingester.syncing.site import SiteSync
from shared.retry import RetryPolicy
from shared.s3.errors import ObjectError
from shared.s3.memory import Faults, MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Verb
from shared.s3.uri import S3Uri

SITE = "hardfork"
BUCKET = "hardfork-browse-dot-show"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
AUDIO = "audio/hard-fork/2022-09-27_Pilot--1749472638931.mp3"
TRANSCRIPT = "transcripts/hard-fork/2022-09-27_Pilot--1749472638931.srt"
AT_ONCE = RetryPolicy(attempts=3, base_seconds=0.0)
"""Three attempts without a wait."""
NIGHTLY = SyncRules()
WRITES = frozenset({Verb.PUT, Verb.BEGIN, Verb.COMPLETE, Verb.DELETE, Verb.DELETE_MANY, Verb.COPY})


@dataclass
class Requests(Faults):
    """Notes every request, and lets it fail where `fault` says so."""

    fault: Callable[[Verb, S3Uri], ObjectError | None] = lambda _verb, _uri: None
    watch: Callable[[Verb, S3Uri], None] = lambda _verb, _uri: None
    seen: list[tuple[Verb, str]] = field(default_factory=list)

    async def before(self, verb: Verb, uri: S3Uri) -> None:
        """Note it, show it, and fail before anything happened."""
        self.seen.append((verb, uri.key))
        self.watch(verb, uri)
        if error := self.fault(verb, uri):
            raise error

    def count(self, *verbs: Verb) -> int:
        """Count the requests of these kinds."""
        return sum(verb in verbs for verb, _ in self.seen)

    def keys(self, verb: Verb) -> list[str]:
        """The keys of the requests of a kind, in order."""
        return [key for each, key in self.seen if each is verb]


class SyncGround:
    """A site, its bucket, and everything that was asked of S3."""

    def __init__(self, base: Path) -> None:
        self.data = base / "data"
        self.data.mkdir()
        self.at = NOON
        self.buckets = MemoryBuckets(BUCKET, clock=lambda: self.at)
        self.requests = Requests()
        self.store = MemoryStore(self.buckets, faults=self.requests)
        self.place: SitePlace = site_place(SITE, BUCKET, self.data, base / "state")

    @property
    def root(self) -> Path:
        """The site's local mirror."""
        return self.place.root

    def file(self, path: str, body: bytes = b"content", at: datetime = NOON) -> Path:
        """Lay a file down."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)
        os.utime(target, (at.timestamp(), at.timestamp()))
        return target

    def object(self, key: str, body: bytes = b"content", at: datetime = NOON) -> None:
        """Lay an object down."""
        before, self.at = self.at, at
        self.buckets.put(S3Uri(BUCKET, key), body)
        self.at = before

    def sync(
        self,
        rules: SyncRules = NIGHTLY,
        *,
        step: Callable[[str], None] = lambda _name: None,
        alive: Callable[[], None] = lambda: None,
    ) -> SiteSync:
        """Make the sync, as a new process would."""
        return SiteSync(
            self.store,
            self.place,
            rules,
            now=lambda: NOON,
            policy=AT_ONCE,
            step=step,
            alive=alive,
        )

    def held(self, key: str) -> bytes | None:
        """What S3 holds."""
        held = self.buckets.look(S3Uri(BUCKET, key))
        return None if held is None else held.body

    def objects(self) -> dict[str, bytes]:
        """Everything that S3 holds."""
        page, more = self.buckets.page(S3Uri(BUCKET), "", "")
        assert not more
        return {info.uri.key: self.held(info.uri.key) or b"" for info in page.objects}

    def files(self) -> dict[str, bytes]:
        """Everything that lies in the mirror."""
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file()
        }

    def inodes(self) -> dict[str, tuple[int, int, int]]:
        """What changes when a file of the mirror is written again, touched or replaced."""
        return {
            path.relative_to(self.root).as_posix(): (
                path.stat().st_ino,
                path.stat().st_mtime_ns,
                path.stat().st_ctime_ns,
            )
            for path in self.root.rglob("*")
            if path.is_file()
        }

    def writes(self) -> int:
        """Count the requests that change S3."""
        return self.requests.count(*WRITES)


def episode(number: int, **fields: object) -> dict[str, object]:
    """Return a manifest entry as the ingester writes it."""
    published = NOON + timedelta(days=number)
    return {
        "sequentialId": number,
        "podcastId": "hard-fork",
        "title": f"Episode {number}",
        "fileKey": f"{published:%Y-%m-%d}_Episode_{number}--1749472638931",
        "originalAudioURL": f"https://cdn.example/{number}.mp3",
        "summary": "",
        "publishedAt": f"{published:%Y-%m-%dT%H:%M:%S}.000Z",
        "downloadedAt": "2025-06-09T12:37:18.931Z",
        "hasCompletedLLMAnnotations": False,
        "llmAnnotations": {},
        **fields,
    }


def manifest_bytes(episodes: Sequence[dict[str, object]], updated: str = "2026-01-01") -> bytes:
    """Return a manifest file."""
    content = {"lastUpdated": f"{updated}T00:00:00.000Z", "episodes": list(episodes)}
    return json.dumps(content, indent=2, ensure_ascii=False).encode()


def episode_numbers(body: bytes | None) -> list[str]:
    """Return the titles in a manifest, in order."""
    assert body is not None
    return [entry["title"] for entry in json.loads(body)["episodes"]]


def manifest_path() -> str:
    """Return where it lies."""
    return MANIFEST_PATH
