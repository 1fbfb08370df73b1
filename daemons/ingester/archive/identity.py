"""Whether an item of a feed is an episode that is known, and the key of a new one. Pure.

| rule | the item is known when an entry has                                                      |
|------|------------------------------------------------------------------------------------------|
| 1    | the same audio URL, in any podcast of the site                                           |
| 2    | the same GUID, in the same podcast                                                       |
| 3    | the same UTC date and full slug, in another podcast: two feeds of one show               |
| 4    | the same UTC date and cut slug, in the same podcast, and nothing says that they differ:  |
|      | two GUIDs that differ, or, where one is missing, two full slugs that differ              |

Slugs of entries are made from their titles, never read from their keys: legacy keys have others.
Where the slug of both is empty (a title in Japanese), the titles themselves are compared. What has
passed rule 4 as new gets a key with a hash in it, so that it never passes for a newer version.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from daemons.ingester.archive.episode import Episode, epoch_ms
from daemons.ingester.archive.keys import (
    SLUG_MAX,
    FileKey,
    comparable_title,
    hash_suffix,
    hashed_slug,
    parse_key,
    plain_slug,
    utc_date,
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known about an item before it is decided whether it is new."""

    podcast_id: str
    title: str
    audio_url: str
    published_at: datetime
    guid: str = ""
    """Empty where there is none, or where one feed has it more than once."""


@dataclass(frozen=True, slots=True)
class Known:
    """The entry that an item is, and the rule that says so."""

    episode: Episode
    rule: int


class KnownEpisodes:
    """A site's entries, arranged for being asked; first seen wins."""

    def __init__(self, episodes: Iterable[Episode] = ()) -> None:
        self._by_url: dict[str, Episode] = {}
        self._by_guid: dict[tuple[str, str], Episode] = {}
        self._by_title: defaultdict[tuple[str, str], list[Episode]] = defaultdict(list)
        self._by_cut: defaultdict[tuple[str, str, str], list[Episode]] = defaultdict(list)
        self._stems: set[tuple[str, str]] = set()
        for episode in episodes:
            self.add(episode)

    def add(self, episode: Episode) -> None:
        """Know an entry from now on."""
        podcast, date, title = episode.podcast_id, episode.date, comparable_title(episode.title)
        if episode.audio_url:
            self._by_url.setdefault(episode.audio_url, episode)
        if episode.guid:
            self._by_guid.setdefault((podcast, episode.guid), episode)
        self._by_title[date, title].append(episode)
        self._by_cut[podcast, date, title[:SLUG_MAX]].append(episode)
        self._stems.add((podcast, parse_key(episode.file_key).stem))

    def find(self, item: Candidate) -> Known | None:
        """Return the entry that the item is, None for a new episode; see the table above."""
        if found := self._by_url.get(item.audio_url):
            return Known(found, 1)
        if item.guid and (found := self._by_guid.get((item.podcast_id, item.guid))):
            return Known(found, 2)
        date, title = utc_date(item.published_at), comparable_title(item.title)
        for episode in self._by_title.get((date, title), ()):
            if episode.podcast_id != item.podcast_id:
                return Known(episode, 3)
        for episode in self._by_cut.get((item.podcast_id, date, title[:SLUG_MAX]), ()):
            if not _differs(item, title, episode):
                return Known(episode, 4)
        return None

    def key_for(self, item: Candidate, downloaded_at: datetime) -> str:
        """Return the key of a new episode; `downloaded_at` must be what its entry says.

        Date and slug are its own inside the podcast, whatever else is there: an entry with the same
        would make one of the two an older version of the other, which is never transcribed.
        """
        date, milliseconds = utc_date(item.published_at), epoch_ms(downloaded_at)
        suffix = hash_suffix(item.guid, item.audio_url)
        cut = comparable_title(item.title)[:SLUG_MAX]
        slug = plain_slug(item.title, suffix)
        rivals = self._by_cut.get((item.podcast_id, date, cut))
        if rivals or self._is_taken(item, date, slug):
            slug = hashed_slug(item.title, suffix)
        while self._is_taken(item, date, slug):
            # Thirty-two bits may meet; a hash of the hash is as good, and the same every time.
            suffix = hash_suffix(suffix, "")
            slug = hashed_slug(item.title, suffix)
        return str(FileKey(date, slug, milliseconds))

    def _is_taken(self, item: Candidate, date: str, slug: str) -> bool:
        return (item.podcast_id, f"{date}_{slug}") in self._stems


def _differs(item: Candidate, title: str, episode: Episode) -> bool:
    """Say whether an item is another episode than one of the same podcast, date and cut slug."""
    if item.guid and episode.guid:
        return item.guid != episode.guid
    return title != comparable_title(episode.title)
