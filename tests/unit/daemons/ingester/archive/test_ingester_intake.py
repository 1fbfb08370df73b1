from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from daemons.ingester.archive.identity import KnownEpisodes
from daemons.ingester.archive.intake import take_in
from daemons.ingester.archive.manifest import Manifest, parse_manifest, with_episodes
from daemons.ingester.rss.feed import Item, parse_feed

NOW = datetime(2025, 6, 9, 12, 37, 18, 931000, tzinfo=UTC)
LATER = datetime(2025, 6, 10, tzinfo=UTC)


def item(number: int, title: str = "", *, guid: str = "", url: str = "") -> Item:
    """Make an item that follows from its number, published on one day with all others."""
    return Item(
        number=number,
        title=title or f"Episode {number}",
        audio_url=url or f"http://a.example/{number}.mp3",
        published_at=datetime(2024, 7, 25, number, tzinfo=UTC),
        summary="s",
        duration_seconds=7,
        guid=guid,
    )


def run(manifest: Manifest, podcast: str, items: Sequence[Item], now: datetime = NOW) -> Manifest:
    """Do what one run does with one feed, by way of the bytes of the manifest."""
    known = KnownEpisodes(manifest.episodes)
    change = with_episodes(manifest, take_in(podcast, items, known, now).new, now)
    return parse_manifest(change.manifest.to_bytes())


def test_entry_says_what_the_feed_said() -> None:
    """Nothing is added but the key and the time."""
    (episode,) = run(Manifest(), "hard-fork", [item(9, guid="g")]).episodes

    assert dict(episode.record) == {
        "sequentialId": 1,
        "podcastId": "hard-fork",
        "title": "Episode 9",
        "fileKey": "2024-07-25_Episode_9--1749472638931",
        "originalAudioURL": "http://a.example/9.mp3",
        "summary": "s",
        "durationInSeconds": 7,
        "publishedAt": "2024-07-25T09:00:00.000Z",
        "downloadedAt": "2025-06-09T12:37:18.931Z",
        "hasCompletedLLMAnnotations": False,
        "llmAnnotations": {},
        "guid": "g",
    }


def test_second_run_finds_nothing_new() -> None:
    """The manifest is the same object of bytes, `lastUpdated` included."""
    items = [item(1), item(2, "Two"), item(3, "日本"), item(4, "日本語"), item(1)]
    once = run(Manifest(), "hard-fork", items)

    assert len(once.episodes) == 4
    assert run(once, "hard-fork", items, LATER).to_bytes() == once.to_bytes()


def test_republished_feed_adds_nothing() -> None:
    """Two feeds of one show: 271 duplicates had to be cleaned up by hand once."""
    items = [item(number, guid=f"g{number}") for number in range(1, 9)]
    copies = [
        replace(each, audio_url=f"http://b.example/{each.number}.mp3", guid=f"h{each.number}")
        for each in items
    ]
    known = KnownEpisodes()
    first = take_in("football-cliches", items, known, NOW)
    second = take_in("for-our-sins", copies, known, NOW)

    assert len(first.new) == 8
    assert second.new == ()
    assert [found.rule for _, found in second.known] == [3] * 8


def test_changed_guids_are_forgiven_while_the_audio_is_the_same() -> None:
    """A publisher moves to another host and gets new GUIDs; the episodes are the old ones."""
    before = run(Manifest(), "hard-fork", [item(1, guid="old"), item(2, guid="old-2")])
    moved = [item(1, guid="new"), item(2, guid="old-2", url="http://new.example/2.mp3")]

    assert run(before, "hard-fork", moved, LATER).to_bytes() == before.to_bytes()


def test_same_guid_everywhere_is_no_identity() -> None:
    """A template with one GUID for all would otherwise be one episode."""
    document = "".join(
        f"<item><title>E {n}</title><guid>same</guid><pubDate>2024-07-25</pubDate>"
        f'<enclosure url="http://a.example/{n}.mp3"/></item>'
        for n in range(3)
    )
    feed = parse_feed(f"<rss><channel>{document}</channel></rss>".encode())

    once = run(Manifest(), "hard-fork", feed.items)
    assert len(once.episodes) == 3
    assert not any(episode.guid for episode in once.episodes)
