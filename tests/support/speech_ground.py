"""A site whose episodes want transcripts: files on a real tree, a recogniser without a model."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from daemons.ingester.archive.folders import (
    MANIFEST_PATH,
    audio_path,
    search_entries_path,
    transcript_path,
)
from daemons.ingester.project.sites import Site
from daemons.ingester.speech.audio import AudioTools
from daemons.ingester.speech.backend import Piece, Recogniser
from daemons.ingester.speech.recognition import SpeechLimits
from daemons.ingester.speech.splitting import AudioFacts, Chunk
from daemons.ingester.speech.transcribe import Transcriber
from daemons.ingester.syncing.place import SitePlace, site_place
from tests.support.syncing import BUCKET, SITE, episode, manifest_bytes

PODCAST = "hard-fork"
WORDS = "1\n00:00:01,000 --> 00:00:02,000\n{}\n"
LIMITS = SpeechLimits(pause_seconds=0.001)


@dataclass(frozen=True)
class PretendedTools(AudioTools):
    """Neither ffmpeg nor ffprobe: all audio is ten minutes of MP3."""

    def check(self) -> None:
        """Be there."""

    async def examine(self, audio: Path) -> AudioFacts:
        """Know what every file is."""
        return AudioFacts(1, 600_000, is_mp3=True)

    async def cut(self, audio: Path, target: Path, chunk: Chunk, *, is_mp3: bool) -> None:
        """Write a chunk without sound."""
        await anyio.Path(target).write_bytes(b"x")


@dataclass
class Listener:
    """A recogniser that says of each episode what it was told to say, or raises it."""

    answers: dict[str, str | Exception] = field(default_factory=dict)
    """By file key; of others it hears their key."""
    name: str = "listener"
    asked: list[str] = field(default_factory=list)
    unready: Exception | None = None
    meanwhile: Callable[[str], None] = lambda _key: None

    async def check(self) -> None:
        """Be ready, or not."""
        if self.unready:
            raise self.unready

    async def recognise(
        self, piece: Piece, *, prompt: str, limit_seconds: float, progress: Callable[[], None]
    ) -> str:
        """Answer."""
        progress()
        self.asked.append(piece.file_key)
        self.meanwhile(piece.file_key)
        answer = self.answers.get(piece.file_key, WORDS.format(f"This is {piece.file_key}."))
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class SpeechGround:
    """A site, its files, and where its work is done."""

    base: Path
    site_id: str = SITE

    @property
    def place(self) -> SitePlace:
        """Where the site lives."""
        return site_place(self.site_id, BUCKET, self.base / "data", self.base / "state")

    @property
    def site(self) -> Site:
        """The site."""
        folder = self.base / "sites" / "my-sites" / self.site_id
        return Site(self.site_id, "Hard Fork", "hardfork.example", folder, "Hard Fork.", ())

    @property
    def root(self) -> Path:
        """Its files."""
        return self.place.root

    @property
    def locks(self) -> Path:
        """Where its workers keep their locks."""
        return self.base / "state" / "locks" / self.site_id

    def file(self, path: str, body: bytes | str = b"content") -> Path:
        """Lay a file down."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body.encode() if isinstance(body, str) else body)
        return target

    def audio(self, *keys: str) -> None:
        """Lay audio down."""
        for key in keys:
            self.file(audio_path(PODCAST, key), b"sound")

    def whole(self, *keys: str) -> None:
        """Lay audio, transcript and search entries down."""
        self.audio(*keys)
        for key in keys:
            self.file(transcript_path(PODCAST, key), WORDS.format("Hello."))
            self.file(search_entries_path(PODCAST, key), b"[]")

    def manifest(self, *keys: str, episodes: Sequence[dict[str, object]] = ()) -> None:
        """Write a manifest with an entry a key, or with these entries."""
        entries = [episode(at, fileKey=key) for at, key in enumerate(keys, start=1)]
        self.file(MANIFEST_PATH, manifest_bytes([*entries, *episodes]))

    def corrections(self, wrong: str, right: str) -> None:
        """Write the site's spelling corrections."""
        self.site.folder.mkdir(parents=True, exist_ok=True)
        rule = {"misspellings": [wrong], "correctedSpelling": right}
        self.site.corrections[0].write_text(json.dumps({"correctionsToApply": [rule]}))

    def transcriber(self, recogniser: Recogniser) -> Transcriber:
        """Return one that works here."""
        return Transcriber(
            recogniser,
            work=self.base / "data" / "work" / "speech",
            locks=self.locks,
            tools=PretendedTools(),
            limits=LIMITS,
        )

    def text(self, path: str) -> str:
        """What a file says."""
        return (self.root / path).read_text()

    def files(self) -> dict[str, bytes]:
        """Everything that lies in the mirror."""
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file()
        }

    def stamps(self) -> dict[str, tuple[int, int]]:
        """What changes when a file of the mirror is written again or touched."""
        return {
            path.relative_to(self.root).as_posix(): (found.st_ino, found.st_ctime_ns)
            for path in self.root.rglob("*")
            if path.is_file() and (found := path.stat())
        }

    def leftovers(self) -> list[Path]:
        """Return what should not be there after any end."""
        folders = (self.base / "data" / "work", self.locks)
        return [each for folder in folders for each in folder.rglob("*") if each.is_file()]
