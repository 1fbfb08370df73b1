"""Episodes that are published in a feed, and the feed that publishes them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from xml.sax.saxutils import escape, quoteattr

from daemons.ingester.speech.srt import Cue
from tests.support.mp3 import silent_mp3

FIRST_DAY = datetime(2024, 3, 1, 9, 30, tzinfo=UTC)
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<rss version="2.0" xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"><channel>'
)
_TAIL = "</channel></rss>\n"


@dataclass(frozen=True)
class Published:
    """An episode of a podcast, as its publisher knows it."""

    podcast: str
    title: str
    day: int
    """Days after the first one of all."""
    seconds: float = 3.0
    guid: str | None = None
    """None: one made of podcast and title; empty: none at all."""
    extra: str = ""
    """More XML in the item."""

    @property
    def at(self) -> datetime:
        """When it was published."""
        return FIRST_DAY + timedelta(days=self.day)

    @property
    def path(self) -> str:
        """Where its audio is on the web."""
        return f"/audio/{self.podcast}/{self.day}.mp3"

    @property
    def body(self) -> bytes:
        """Its audio, like no other."""
        return silent_mp3(self.seconds, f"{self.podcast}: {self.title}")

    @property
    def guid_text(self) -> str:
        """Its GUID, empty where it has none."""
        return f"{self.podcast}/{self.title}" if self.guid is None else self.guid

    @property
    def cues(self) -> tuple[Cue, ...]:
        """What a transcript of earlier days says."""
        return Cue(0, 2500, f"This is {self.title}."), Cue(2500, 2900, "Good bye.")

    def item(self, audio_url: str) -> str:
        """Return it as a feed has it."""
        guid = self.guid_text
        parts = [
            f"<title>{escape(self.title)}</title>",
            f"<guid isPermaLink='false'>{escape(guid)}</guid>" if guid else "",
            f"<pubDate>{format_datetime(self.at)}</pubDate>",
            f"<description>{escape(f'All about {self.title}.')}</description>",
            f"<itunes:duration>{round(self.seconds)}</itunes:duration>",
            f"<enclosure url={quoteattr(audio_url)} type='audio/mpeg' length='1'/>",
            self.extra,
        ]
        return f"<item>{''.join(parts)}</item>"


def feed_xml(title: str, items: Iterable[str]) -> bytes:
    """Return a feed of such items."""
    body = "\n".join(items)
    return f"{_HEAD}<title>{escape(title)}</title>\n{body}\n{_TAIL}".encode()
