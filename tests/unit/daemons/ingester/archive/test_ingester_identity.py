from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.ingester.archive.episode import Episode, NewEpisode
from daemons.ingester.archive.identity import Candidate, KnownEpisodes
from daemons.ingester.archive.keys import hash_suffix, parse_key, superseded

DAY = datetime(2024, 7, 25, 12, tzinfo=UTC)
NOW = datetime(2024, 7, 26, tzinfo=UTC)
NOW_MS = 1721952000000
LONG = "A Title That Goes On And On Until The Cut Is Reached, "


def item(
    title: str = "A",
    *,
    podcast: str = "here",
    url: str = "new.mp3",
    at: datetime = DAY,
    guid: str = "",
) -> Candidate:
    """Make an item of a feed."""
    return Candidate(podcast, title, url, at, guid)


def entry(
    title: str = "A",
    *,
    podcast: str = "here",
    url: str = "old.mp3",
    at: datetime = DAY,
    guid: str = "",
    key: str = "2024-07-25_Old--1721921400000",
) -> Episode:
    """Make the entry of an episode that the site has."""
    return NewEpisode(podcast, title, key, url, "", at, at, guid=guid).entry()


@pytest.mark.parametrize(
    ("known", "offered", "rule"),
    [
        (entry(url="same.mp3"), item("Z", url="same.mp3"), 1),
        (entry(url="same.mp3", podcast="there"), item("Z", url="same.mp3"), 1),
        (entry(guid="g"), item("Z", guid="g"), 2),
        (entry(guid="g", podcast="there"), item("Z", guid="g"), None),
        (entry("A b", podcast="there"), item("a b"), None),
        (entry("A b!", podcast="there"), item("A -- b"), 3),
        (entry("A", podcast="there", at=DAY + timedelta(hours=13)), item("A"), None),
        (entry("A", podcast="there", guid="1"), item("A", guid="2"), 3),
        (entry(LONG + "1", podcast="there"), item(LONG + "2"), None),
        (entry("A"), item("A"), 4),
        (entry("A", guid="1"), item("A", guid="2"), None),
        (entry("A", guid="1"), item("A"), 4),
        (entry(LONG + "1"), item(LONG + "2"), None),
        (entry(LONG + "1", guid="1"), item(LONG + "1"), 4),
        (entry(LONG + "1", guid="1"), item(LONG + "1", guid="2"), None),
        (entry("日本 一"), item("日本 二"), None),
        (entry("日本 一"), item("日本 一"), 4),
        (entry("日本 一", podcast="there"), item("日本 二"), None),
        (entry("日本 一", podcast="there"), item("日本 一"), 3),
        (entry("The Transfer Window", key="2024-07-25_The-Transfer-Window"), item("A"), None),
        (
            entry("The Transfer Window", key="2024-07-25_The-Transfer-Window"),
            item("The Transfer Window"),
            4,
        ),
    ],
)
def test_which_item_is_known(known: Episode, offered: Candidate, rule: int | None) -> None:
    """Known by mistake: an episode is lost. New by mistake: it is transcribed and paid twice."""
    found = KnownEpisodes([known]).find(offered)

    assert (found and found.rule) == rule
    assert found is None or found.episode is known


def test_any_of_several_entries_may_be_the_one() -> None:
    """One of the day's namesakes differs by GUID; another one cannot be told apart."""
    known = KnownEpisodes([entry("A", guid="1"), entry("A", url="old2.mp3")])

    found = known.find(item("A", guid="2"))

    assert found is not None
    assert found.episode.guid == ""


def test_entry_without_audio_url_is_not_known_by_it() -> None:
    """Two entries that lack their URL have nothing in common."""
    assert KnownEpisodes([entry("Z", url="")]).find(item("A", url="")) is None


def test_plain_key() -> None:
    """Nothing stands in the way: date, slug, time of the entry."""
    assert KnownEpisodes().key_for(item("A b"), NOW) == f"2024-07-25_A_b--{NOW_MS}"


@pytest.mark.parametrize("guid", ["", "guid-2"])
def test_second_part_of_a_long_title_gets_a_hash(guid: str) -> None:
    """With the same date and slug it would pass for a newer version, and one would be lost."""
    known = KnownEpisodes([entry(LONG + "Part 1", guid="guid-1")])
    second = item(LONG + "Part 2", guid=guid)

    assert known.find(second) is None
    expected = (
        f"2024-07-25_A_Title_That_Goes_On_And_On_Until_The_Cut_{hash_suffix(guid, 'new.mp3')}"
    )
    assert known.key_for(second, NOW) == f"{expected}--{NOW_MS}"


def test_a_key_that_is_taken_is_not_given_again() -> None:
    """The title of an entry may have been edited; its files still have the old name."""
    known = KnownEpisodes([entry("Edited", key=f"2024-07-25_A--{NOW_MS - 1}")])

    assert parse_key(known.key_for(item("A"), NOW)).slug == f"A_{hash_suffix('', 'new.mp3')}"


def test_even_a_hash_that_is_taken_is_not_given_again() -> None:
    """Thirty-two bits meet one day; neither episode may cover the other."""
    taken = f"2024-07-25_A_{hash_suffix('', 'new.mp3')}--{NOW_MS - 1}"
    known = KnownEpisodes([entry("A", guid="1"), entry("Z", key=taken)])

    key = parse_key(known.key_for(item("A"), NOW))
    assert key.slug not in {"A", parse_key(taken).slug}
    assert len(key.slug) <= 50


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["here", "there"]),
            st.sampled_from(["A", LONG + "1", LONG + "2", "日本 一", "日本 二", "episode"]),
            st.integers(0, 3),
            st.sampled_from(["", "g1", "g2", "g3"]),
        ),
        max_size=12,
    )
)
def test_every_new_episode_has_files_of_its_own(drawn: list[tuple[str, str, int, str]]) -> None:
    """Whatever a feed says: no key twice, no version of another, and the next run finds nothing."""
    known = KnownEpisodes()
    items = [
        item(title, podcast=podcast, url=f"{url}.mp3", guid=guid)
        for podcast, title, url, guid in drawn
    ]
    keys: dict[str, list[str]] = {"here": [], "there": []}

    for offered in items:
        if known.find(offered) is None:
            key = known.key_for(offered, NOW)
            keys[offered.podcast_id].append(key)
            new = entry(
                offered.title,
                podcast=offered.podcast_id,
                url=offered.audio_url,
                guid=offered.guid,
                key=key,
            )
            known.add(new)

    for of_podcast in keys.values():
        assert len(set(of_podcast)) == len(of_podcast)
        assert not superseded(of_podcast)
    assert all(known.find(offered) for offered in items)
