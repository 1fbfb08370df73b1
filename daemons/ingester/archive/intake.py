"""A feed's items become manifest entries: the ones that the site does not have yet. Pure.

Rule: the key is given here, once, and the entry is saved before anything is downloaded, so that a
run that is killed finds the same key again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from daemons.ingester.archive.episode import Episode, NewEpisode
from daemons.ingester.archive.identity import Candidate, Known, KnownEpisodes
from daemons.ingester.rss.feed import Item


@dataclass(frozen=True, slots=True)
class Intake:
    """What became of the items of one feed."""

    new: tuple[Episode, ...]
    """Entries to add, in the order of the feed; not numbered yet."""
    known: tuple[tuple[Item, Known], ...]
    """Items that the site has, each with the entry and the rule that says so."""


def take_in(
    podcast_id: str, items: Iterable[Item], known: KnownEpisodes, downloaded_at: datetime
) -> Intake:
    """Sort the items of a feed into new and known ones; `known` knows the new ones afterwards.

    Feeds are taken in one after the other, in the order of the configuration: first seen wins.
    """
    new: list[Episode] = []
    met: list[tuple[Item, Known]] = []
    for item in items:
        candidate = Candidate(podcast_id, item.title, item.audio_url, item.published_at, item.guid)
        if found := known.find(candidate):
            met.append((item, found))
            continue
        entry = NewEpisode(
            podcast_id=podcast_id,
            title=item.title,
            file_key=known.key_for(candidate, downloaded_at),
            audio_url=item.audio_url,
            summary=item.summary,
            published_at=item.published_at,
            downloaded_at=downloaded_at,
            duration_seconds=item.duration_seconds,
            guid=item.guid,
        ).entry()
        known.add(entry)
        new.append(entry)
    return Intake(tuple(new), tuple(met))
