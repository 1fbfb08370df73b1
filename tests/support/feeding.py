"""A site whose podcasts are published on loopback, and the feeds that they publish."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from aiohttp.web import BaseRequest, Response, StreamResponse

from daemons.ingester.archive.folders import MANIFEST_PATH
from daemons.ingester.phases.feeds import FeedRules, FeedsReport, retrieve_feeds
from daemons.ingester.project.sites import Podcast, Site
from daemons.ingester.web.fetch import WebLimits
from tests.support.podcast_web import LIMITS, Page, PodcastWeb, answer, opened
from tests.support.syncing import NOON, SITE, SyncGround

DAY = datetime(2024, 7, 1, 9, tzinfo=UTC)


def music(number: int) -> bytes:
    """Return the audio of an episode."""
    return b"ID3\x04" + f"episode {number} ".encode() * 100


def item(number: int, url: str, *, title: str = "", guid: str = "", more: str = "") -> str:
    """Return an item that follows from its number: a day later, a title, a GUID."""
    published = format_datetime(DAY + timedelta(days=number))
    return (
        f"<item><title>{title or f'Episode {number}'}</title><guid>{guid or f'g{number}'}</guid>"
        f'<pubDate>{published}</pubDate><enclosure url="{url}" type="audio/mpeg"/>{more}</item>'
    )


def rss(*items: str) -> bytes:
    """Return a feed."""
    content = "\n".join(items)
    return f'<?xml version="1.0"?>\n<rss><channel>\n{content}\n</channel></rss>\n'.encode()


def conditional(body: bytes, etag: str) -> Page:
    """Serve a document as a good server does: not again to whom has it."""

    async def page(request: BaseRequest) -> StreamResponse:
        known = request.headers.get("If-None-Match") == etag
        return Response(
            body=b"" if known else body, status=304 if known else 200, headers={"ETag": etag}
        )

    return page


class FeedsGround(SyncGround):
    """A site with podcasts, its mirror, and its servers."""

    def __init__(self, base: Path, web: PodcastWeb) -> None:
        super().__init__(base)
        self.web = web
        self.base = base
        self.podcasts: list[Podcast] = []
        self.now = NOON
        self.memory = base / "state" / "feeds" / f"{SITE}.json"
        self.steps: list[str] = []

    def podcast(self, podcast_id: str, *pages: Page, active: bool = True) -> None:
        """Add a podcast with a feed, or publish another feed of one that is there."""
        url = self.web.put(f"/{podcast_id}.xml", *pages)
        podcast = Podcast(podcast_id, podcast_id.title(), url, f"{podcast_id}.xml", active)
        self.podcasts = [each for each in self.podcasts if each.id != podcast_id] + [podcast]

    def audio(self, number: int, *pages: Page) -> str:
        """Publish an episode's audio and return its URL."""
        return self.web.put(f"/{number}.mp3", *(pages or (answer(music(number)),)))

    def items(self, *numbers: int) -> list[str]:
        """Publish the audio of these episodes and return their items."""
        return [item(number, self.audio(number)) for number in numbers]

    @property
    def site(self) -> Site:
        """The site as it is configured now."""
        return Site(SITE, "Hard Fork", "h.example", self.base, "P.", tuple(self.podcasts))

    async def run(
        self,
        rules: FeedRules = FeedRules(),  # noqa: B008 - it is frozen
        limits: WebLimits = LIMITS,
        *,
        step: Callable[[str], None] | None = None,
        report: FeedsReport | None = None,
    ) -> FeedsReport:
        """Do the phase as a new process would."""
        self.web.seen.clear()
        self.steps.clear()
        async with opened(limits) as web:
            return await retrieve_feeds(
                self.site,
                self.place,
                web,
                rules,
                validators=self.memory,
                now=lambda: self.now,
                step=step or self.steps.append,
                report=report,
            )

    def entries(self) -> list[dict[str, object]]:
        """The entries of the manifest."""
        entries: list[dict[str, object]] = json.loads(self.files()[MANIFEST_PATH])["episodes"]
        return entries

    def titles(self) -> list[object]:
        """The titles in the manifest, in order."""
        return [entry["title"] for entry in self.entries()]

    def audio_here(self) -> dict[str, bytes]:
        """The audio of the mirror by podcast, date and title."""
        return {
            path.partition("/")[2].partition("--")[0]: body
            for path, body in self.files().items()
            if path.startswith("audio/")
        }

    def left_over(self) -> list[str]:
        """The names in the site's folders of unfinished files."""
        folders = [folder for folder in (self.place.work, self.place.downloads) if folder.is_dir()]
        return sorted(path.name for folder in folders for path in folder.iterdir())

    def everything(self) -> dict[str, tuple[int, int]]:
        """All files, the state's too, and what changes when one is written."""
        return {
            path.relative_to(self.base).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
            for path in self.base.rglob("*")
            if path.is_file()
        }


def reasons(report: FeedsReport) -> str:
    """Return all that failed, a line each."""
    return "\n".join(f"{note.path}: {note.reason}" for note in report.outcome.problems.named)


def warnings(report: FeedsReport) -> str:
    """Return all that is odd, a line each."""
    return "\n".join(f"{note.path}: {note.reason}" for note in report.outcome.warnings.named)
