"""One podcast's feed: asked for, read, and archived byte by byte where it has changed.

| the server                | archived are      | read is                                          |
|---------------------------|-------------------|--------------------------------------------------|
| sends a feed              | its exact bytes   | what was sent                                    |
| sends the bytes we have   | the bytes we have | what was sent                                    |
| says that nothing changed | the bytes we have | the archive: a run that was killed, or that was  |
|                           |                   | to look at the first items only, has left some   |
| sends what is no feed, or | the bytes we have | nothing: the last good feed is not overwritten   |
| breaks off before an item |                   |                                                  |
"""

from collections.abc import Callable
from dataclasses import dataclass

from anyio import to_thread

from daemons.ingester.archive.folders import feed_path
from daemons.ingester.mirror.files import read_site_file, write_site_file
from daemons.ingester.phases.feed_memory import FeedMemory, Remembered, digest_of
from daemons.ingester.project.sites import Podcast
from daemons.ingester.rss.feed import Feed, parse_feed
from daemons.ingester.syncing.place import SitePlace
from daemons.ingester.web.errors import shown
from daemons.ingester.web.fetch import NotModified, Web
from daemons.ingester.web.headers import NO_VALIDATORS, Validators
from shared.errors import PermanentError


class FeedUnreadable(PermanentError):
    """What a server sent is no feed."""


@dataclass(frozen=True, slots=True)
class Obtained:
    """A feed that was read."""

    podcast: Podcast
    feed: Feed
    body: bytes
    is_new: bool
    """Whether these bytes are not archived yet."""
    charset: str
    """Of the HTTP header."""
    validators: Validators
    """For the next request, once the bytes are archived."""

    @property
    def path(self) -> str:
        """Where it is archived."""
        return feed_path(self.podcast.feed_file)


class FeedSource:
    """Where the feeds of one site come from."""

    def __init__(
        self, web: Web, place: SitePlace, memory: FeedMemory, *, max_items: int | None = None
    ) -> None:
        self._web = web
        self._place = place
        self._memory = memory
        self._max_items = max_items

    async def obtain(self, podcast: Podcast) -> Obtained:
        """Fetch a feed, unless it has not changed, and read it; nothing is written.

        Raises:
            FeedUnreadable, shared.errors.SuiteError: there is no feed now.
            OSError: what is archived cannot be read.
        """
        archived = await to_thread.run_sync(self._archived, podcast)
        known = await to_thread.run_sync(
            self._memory.recall, podcast.id, podcast.feed_url, archived
        )
        validators = NO_VALIDATORS if known is None else known.validators
        fetched = await self._web.feed(podcast.feed_url, validators)
        if isinstance(fetched, NotModified):
            charset = "" if known is None else known.charset
            feed = await self._parse(podcast, archived, charset)
            return Obtained(
                podcast, feed, archived, is_new=False, charset=charset, validators=validators
            )
        feed = await self._parse(podcast, fetched.body, fetched.charset)
        # Of half a feed the other half is wanted, however sure the server is that it is the same.
        validators = NO_VALIDATORS if feed.fault else fetched.validators
        return Obtained(
            podcast,
            feed,
            fetched.body,
            is_new=fetched.body != archived,
            charset=fetched.charset,
            validators=validators,
        )

    def archive(self, obtained: Obtained, step: Callable[[str], None]) -> None:
        """Archive the bytes of a feed; blocks.

        Raises:
            OutsideRoot, OSError: what was archived is there still.
        """
        write_site_file(self._place, obtained.path, obtained.body, step)

    def remember(self, obtained: Obtained) -> None:
        """Keep what makes the next request a conditional one; blocks.

        Raises:
            OSError: it could not be written.
        """
        digest = digest_of(obtained.podcast.feed_url, obtained.body)
        self._memory.remember(
            obtained.podcast.id, Remembered(digest, obtained.validators, obtained.charset)
        )

    def _archived(self, podcast: Podcast) -> bytes:
        most = self._web.limits.feed_bytes
        body = read_site_file(self._place, feed_path(podcast.feed_file), most)
        return body if len(body) <= most else b""

    async def _parse(self, podcast: Podcast, body: bytes, charset: str) -> Feed:
        try:
            feed = await to_thread.run_sync(parse_feed, body, charset, self._max_items)
        except ValueError as error:
            raise _unreadable(podcast, str(error)) from None
        if feed.fault and not (feed.items or feed.skipped):
            raise _unreadable(podcast, feed.fault)
        return feed


def _unreadable(podcast: Podcast, reason: str) -> FeedUnreadable:
    return FeedUnreadable(f"{shown(podcast.feed_url)!r} sent no feed: {reason}")
