from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.ingester.archive import manifest as module
from daemons.ingester.archive.episode import (
    Episode,
    NewEpisode,
    format_time,
    parse_time,
)
from daemons.ingester.archive.manifest import (
    Dropped,
    Manifest,
    in_order,
    merge,
    parse_manifest,
    with_episodes,
    without_repeated_urls,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, 6000, tzinfo=UTC)
REFERENCE = """{
  "lastUpdated": "2025-06-09T12:37:18.931Z",
  "episodes": [
    {
      "sequentialId": 1,
      "podcastId": "hard-fork",
      "title": "What\u2019s a Hard Fork?",
      "fileKey": "2022-09-27_What_s_a_Hard_Fork--1749472638931",
      "originalAudioURL": "https://cdn.example/a.mp3",
      "summary": "First one.",
      "durationInSeconds": 754,
      "publishedAt": "2022-09-27T09:00:00.000Z",
      "downloadedAt": "2025-06-09T12:37:18.931Z",
      "hasCompletedLLMAnnotations": false,
      "llmAnnotations": {}
    }
  ]
}"""


def entry(number: int, **fields: object) -> Episode:
    """Make an entry; without fields of its own, everything follows from the number."""
    record: dict[str, object] = {
        "sequentialId": number,
        "podcastId": "hard-fork",
        "title": f"Episode {number}",
        "fileKey": f"2024-01-{number:02}_Episode_{number}--17219214{number:05}",
        "originalAudioURL": f"https://cdn.example/{number}.mp3",
        "summary": "",
        "publishedAt": f"2024-01-{number:02}T00:00:00.000Z",
    }
    return Episode({**record, **fields})


def manifest(*episodes: Episode, **header: object) -> Manifest:
    """Make a manifest as it would have been read."""
    return Manifest(
        episodes, {"lastUpdated": "2025-01-01T00:00:00.000Z", "episodes": None} | header
    )


def keys(episodes: Sequence[Episode]) -> list[str]:
    """Return the file keys in their order."""
    return [episode.file_key for episode in episodes]


# Six entries, of which two may have the same audio, and a side has any of them; cheap to draw.
BITS = st.integers(0, 2**6 - 1)
DIGITS = st.lists(st.integers(0, 4), min_size=6, max_size=6)
FLAVOURS: tuple[dict[str, object], ...] = (
    {},
    {"summary": "a"},
    {"summary": "b", "guid": "g"},
    {"mood": "m"},
    {"title": "T"},
)


def side(present: int, urls: list[int], days: list[int], flavours: list[int]) -> Manifest:
    """Make one side; a key has the same audio and date on every side, as it has in the world."""
    episodes = [
        entry(
            number,
            originalAudioURL=f"https://cdn.example/{urls[number - 1]}.mp3",
            publishedAt=f"2024-01-{days[number - 1]:02}T00:00:00.000Z",  # day 0 is no date
            **FLAVOURS[flavours[number - 1]],
        )
        for number in range(1, 7)
        if present >> (number - 1) & 1
    ]
    return manifest(*episodes)


@st.composite
def sides(draw: st.DrawFn) -> tuple[Manifest, Manifest]:
    """Draw what is here and what is in S3."""
    urls, days = draw(DIGITS), draw(DIGITS)
    return (
        side(draw(BITS), urls, days, draw(DIGITS)),
        side(draw(BITS), urls, days, draw(DIGITS)),
    )


def test_reference_manifest_is_read_and_written_byte_by_byte() -> None:
    """A byte that changes is an upload and an invalidation for nothing."""
    body = REFERENCE.encode()
    found = parse_manifest(body)

    assert found.to_bytes() == body
    assert found.last_updated == "2025-06-09T12:37:18.931Z"
    episode = found.episodes[0]
    assert episode.identity == ("hard-fork", "2022-09-27_What_s_a_Hard_Fork--1749472638931")
    assert episode.published_at == datetime(2022, 9, 27, 9, tzinfo=UTC)
    assert episode.downloaded_at == parse_time("2025-06-09T12:37:18.931Z")
    assert (episode.sequential_id, episode.date, episode.guid) == (1, "2022-09-27", "")


def test_new_entry_is_written_in_the_order_of_the_reference() -> None:
    """The web page is older than this program; it reads what it always read."""
    new = NewEpisode(
        podcast_id="hard-fork",
        title="What\u2019s a Hard Fork?",
        file_key="2022-09-27_What_s_a_Hard_Fork--1749472638931",
        audio_url="https://cdn.example/a.mp3",
        summary="First one.",
        published_at=datetime(2022, 9, 27, 9, tzinfo=UTC),
        downloaded_at=datetime(2025, 6, 9, 12, 37, 18, 931999, tzinfo=UTC),
        duration_seconds=754,
    )

    change = with_episodes(
        Manifest(), [new.entry()], datetime.fromisoformat("2025-06-09T12:37:18.931Z")
    )

    assert change.changed
    assert change.manifest.to_bytes() == REFERENCE.encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip


@given(st.dictionaries(st.text(), JSON, max_size=2), st.dictionaries(st.text(), JSON, max_size=2))
def test_unknown_fields_survive_in_their_order(
    extra: dict[str, object], header: dict[str, object]
) -> None:
    """Other programs keep things here; parse of render is identity, and so are the bytes."""
    needed = entry(1).record
    episodes = (Episode({**extra, **needed}), Episode({**needed, **extra, **needed}))
    whole = Manifest(episodes, {**header, "episodes": None})
    body = whole.to_bytes()
    again = parse_manifest(body)

    assert again == whole
    assert again.to_bytes() == body
    assert [list(each.record) for each in again.episodes] == [list(e.record) for e in episodes]


def test_half_a_character_is_kept_as_an_escape() -> None:
    """JavaScript cuts summaries in the middle of an emoji, and writes what is left."""
    body = REFERENCE.replace("First one.", "First \\ud83d").encode()

    assert parse_manifest(body).to_bytes() == body


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff{}", "not JSON"),
        (b"[]", "'episodes'"),
        (b"7", "'episodes'"),
        (b"{}", "'episodes'"),
        (b'{"episodes":{}}', "'episodes'"),
        (b'{"episodes":[],"x":NaN}', "NaN"),
        (b'{"episodes":[],"x":1e999}', "1e999"),
        (b'{"episodes":[],"x":' + b"[" * 200 + b"]" * 200 + b"}", "nested"),
        (b"[" * 100_000, "not JSON"),
        (b'{"episodes":[1]}', r"episodes\[0\]"),
        (b'{"episodes":[{"podcastId":"a","title":1984}]}', r"episodes\[0\]\.title is 1984"),
        (b'{"episodes":[{"title":"a"}]}', r"episodes\[0\]\.podcastId is missing"),
    ],
)
def test_broken_manifest_is_an_error(body: bytes, complaint: str) -> None:
    """An empty manifest in its place would transcribe the whole archive again."""
    with pytest.raises(ValueError, match=complaint):
        parse_manifest(body)


@pytest.mark.parametrize(
    ("name", "value"), [("podcastId", "../x"), ("fileKey", "../../etc/passwd"), ("podcastId", "")]
)
def test_names_that_lead_elsewhere_are_refused(name: str, value: str) -> None:
    """Both become parts of paths, and a manifest comes from a bucket."""
    body = manifest(entry(1, **{name: value})).to_bytes()

    with pytest.raises(ValueError, match=name):
        parse_manifest(body)


def test_too_large_a_manifest_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded whatever the bucket holds."""
    monkeypatch.setattr(module, "MANIFEST_BYTES_MAX", 10)

    with pytest.raises(ValueError, match="allowed are 10"):
        parse_manifest(REFERENCE.encode())


def test_nothing_new_changes_nothing() -> None:
    """`lastUpdated` is shown to visitors; a run that found nothing must leave it alone."""
    before = parse_manifest(REFERENCE.encode())
    change = with_episodes(before, [], NOW)

    assert not change.changed
    assert change.manifest is before


def test_an_older_episode_moves_the_numbers_and_says_so() -> None:
    """Public links carry the number: the operator must learn how many have moved."""
    before = manifest(entry(1), entry(2), entry(3, publishedAt="2024-01-03T00:00:00.000Z"))
    new = entry(9, sequentialId=0, publishedAt="2024-01-02T12:00:00.000Z")

    change = with_episodes(before, [new], NOW)

    assert [each.sequential_id for each in change.manifest.episodes] == [1, 2, 3, 4]
    assert keys(change.manifest.episodes)[2] == new.file_key
    assert change.renumbered == 1
    assert change.manifest.last_updated == "2026-01-02T03:04:05.006Z"


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 3)), max_size=8))
def test_order_is_by_time_undated_last_and_stable(drawn: list[tuple[int, int]]) -> None:
    """Two runs, or two machines, must come to the same numbers."""
    episodes = [
        entry(number, publishedAt=f"2024-01-{day:02}T00:00:00.000Z") for number, day in drawn
    ]

    ordered = in_order(episodes)

    expected = sorted(drawn, key=lambda each: each[1] or 99)
    assert keys(ordered) == [entry(number).file_key for number, _ in expected]
    assert [each.sequential_id for each in ordered] == list(range(1, len(drawn) + 1))
    assert in_order(ordered) == ordered


def test_numbers_of_another_kind_are_replaced() -> None:
    """To Python true is 1; in a manifest it is not."""
    (found,) = in_order([entry(1, sequentialId=True)])

    assert found.record["sequentialId"] is not True
    assert found.sequential_id == 1


def test_repeated_audio_keeps_the_newest_download() -> None:
    """One enclosure is one episode inside a podcast; its other entries go, their files stay."""
    url = "https://cdn.example/1.mp3"
    old = entry(1, downloadedAt="2024-01-01T00:00:00.000Z")
    new = entry(2, originalAudioURL=url, downloadedAt="2024-01-02T00:00:00.000Z")
    undated = entry(3, originalAudioURL=url)
    other = entry(4, originalAudioURL=url, podcastId="other")
    silent = [entry(5, originalAudioURL=""), entry(6, originalAudioURL="")]

    kept, dropped = without_repeated_urls([old, new, undated, other, *silent])

    assert kept == [new, other, *silent]
    assert dropped == (
        Dropped("hard-fork", old.file_key, new.file_key),
        Dropped("hard-fork", undated.file_key, new.file_key),
    )


def test_a_key_that_is_there_twice_becomes_one_entry() -> None:
    """They share their files; what only one of them knows is kept."""
    change = with_episodes(manifest(entry(1), entry(1, guid="g", summary="late")), [], NOW)

    (found,) = change.manifest.episodes
    assert (found.guid, found.text("summary")) == ("g", "")


def test_merge_is_the_union_and_s3_has_the_last_word() -> None:
    """A local manifest with unpublished episodes must survive, and so must edits in S3."""
    local = manifest(entry(1, summary="ours", guid="g"), entry(2))
    s3 = manifest(entry(1, summary="theirs"), entry(3, sequentialId=2), mood="kept")

    merged = merge(local, s3, NOW)

    assert keys(merged.manifest.episodes) == [entry(number).file_key for number in (1, 2, 3)]
    first = merged.manifest.episodes[0]
    assert (first.text("summary"), first.guid) == ("theirs", "g")
    assert (merged.equals_s3, merged.equals_local, merged.renumbered) == (False, False, 1)
    assert (merged.manifest.header or {})["mood"] == "kept"
    assert merged.manifest.last_updated == format_time(NOW)


def test_a_field_that_s3_lacks_goes_where_it_belongs() -> None:
    """The order of the keys is part of the format."""
    local = manifest(entry(1, durationInSeconds=5, llmAnnotations={}, guid="g"))
    merged = merge(local, manifest(entry(1, summary="theirs")), NOW)

    names = list(merged.manifest.episodes[0].record)
    assert names[-4:] == ["durationInSeconds", "publishedAt", "llmAnnotations", "guid"]


def test_merge_that_equals_one_side_is_that_side() -> None:
    """Equal to S3: a byte copy and no upload. Equal to local: an upload and no rewriting."""
    small, large = manifest(entry(1), mood="s"), manifest(entry(1), entry(2), mood="l")

    assert merge(small, large, NOW).manifest is large
    assert merge(small, large, NOW).equals_s3
    assert merge(large, small, NOW).manifest is large
    assert merge(large, small, NOW).equals_local
    assert merge(large, large, NOW).equals_s3


def test_numbers_of_another_type_are_a_difference() -> None:
    """To Python 1, 1.0 and true are equal; a byte copy of S3's would not be."""
    assert not merge(manifest(entry(1, x=True)), manifest(entry(1, x=1)), NOW).equals_local


def test_local_entry_gives_way_when_s3_has_its_audio() -> None:
    """Two machines met the same episode: one download was enough, and S3's key stays."""
    ours = entry(2, originalAudioURL="https://cdn.example/1.mp3", podcastId="other")
    merged = merge(manifest(ours), manifest(entry(1)), NOW)

    assert merged.equals_s3
    assert merged.dropped == (Dropped("other", ours.file_key, entry(1).file_key),)


def _identities(found: Manifest) -> set[tuple[str, str]]:
    return {episode.identity for episode in found.episodes}


def _audio(*found: Manifest) -> set[str]:
    return {episode.audio_url for each in found for episode in each.episodes}


@given(sides())
def test_merge_loses_no_episode(both: tuple[Manifest, Manifest]) -> None:
    """Every entry of either side is there, or its audio is there under another key, and said."""
    local, s3 = both
    merged = merge(local, s3, NOW)

    gone = {(each.podcast_id, each.file_key) for each in merged.dropped}
    assert _identities(merged.manifest) | gone == _identities(local) | _identities(s3)
    assert not _identities(merged.manifest) & gone
    assert _audio(merged.manifest) == _audio(local, s3)
    assert len(_identities(merged.manifest)) == len(merged.manifest.episodes)


@given(sides())
def test_merge_is_idempotent(both: tuple[Manifest, Manifest]) -> None:
    """After the merge is on both sides, another one finds nothing to do."""
    local, s3 = both
    merged = merge(local, s3, NOW).manifest

    assert merge(merged, merged, NOW + timedelta(days=1)).manifest is merged
    assert merge(merged, s3, NOW).manifest.episodes == merged.episodes
    assert merge(local, merged, NOW).equals_s3
    assert not with_episodes(merged, [], NOW).changed


@given(sides())
def test_merge_is_commutative_but_for_the_precedence_of_s3(
    both: tuple[Manifest, Manifest],
) -> None:
    """Which side is called S3 decides whose words and keys win, never which episodes there are."""
    here, there = merge(both[0], both[1], NOW), merge(both[1], both[0], NOW)

    assert _audio(here.manifest) == _audio(there.manifest)
    if not here.dropped and not there.dropped:
        assert _identities(here.manifest) == _identities(there.manifest)
