import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemons.ingester.speech.entries import render_entries, search_entries
from daemons.ingester.speech.srt import Cue


def spans(*cues: tuple[int, int, str]) -> list[tuple[int, int, str]]:
    """Return what entries are made of some cues."""
    found = search_entries([Cue(*cue) for cue in cues], sequential_id=7, published_ms=1)
    return [(entry.start_ms, entry.end_ms, entry.text) for entry in found]


def test_the_file_is_that_of_the_contract() -> None:
    """The web client and the index read exactly these fields."""
    entries = search_entries(
        [Cue(95_520, 104_800, "...")], sequential_id=123, published_ms=1_579_773_600_000
    )

    assert render_entries(entries) == (
        b"[\n"
        b"  {\n"
        b'    "id": "123_95520",\n'
        b'    "startTimeMs": 95520,\n'
        b'    "endTimeMs": 104800,\n'
        b'    "text": "...",\n'
        b'    "sequentialEpisodeIdAsString": "123",\n'
        b'    "episodePublishedUnixTimestamp": 1579773600000\n'
        b"  }\n"
        b"]"
    )
    assert render_entries(()) == b"[]"


@pytest.mark.parametrize(
    ("second", "together"),
    [
        ((3000, 6999, "b."), True),  # a sentence, 6,999 ms
        ((3000, 7000, "b."), False),
        ((3000, 7000, "b!"), False),
        ((3000, 7000, "b?"), False),
        ((3000, 7000, 'b."'), True),
        ((3000, 7000, "b.)"), True),
        ((3000, 7000, "b…"), True),
        ((3000, 7000, "b. "), False),  # trimmed first
        ((3000, 14_999, "b"), True),
        ((3000, 15_000, "b"), False),
        ((3000, 15_000, "b,"), False),
    ],
)
def test_an_entry_is_closed_by_time_and_sentence(
    second: tuple[int, int, str], *, together: bool
) -> None:
    """The limits of the contract, to the millisecond."""
    found = spans((0, 2000, "a"), second, (20_000, 20_100, "c"))

    text = second[2].strip()
    if together:
        assert found == [(0, 20_100, f"a {text} c")]
    else:
        assert found == [(0, second[1], f"a {text}"), (20_000, 20_100, "c")]


def test_lines_are_joined_and_empty_cues_dropped() -> None:
    """An empty last cue does not keep the one before it from being the last."""
    found = spans((0, 5, " one\ntwo "), (5, 6, " \n "), (7, 8, "three"), (9, 10, ""))

    assert found == [(0, 8, "one two three")]


def test_the_order_of_the_file_is_kept() -> None:
    """Old transcripts are not always in order of time."""
    assert spans((20_000, 36_000, "b"), (0, 16_000, "a")) == [
        (20_000, 36_000, "b"),
        (0, 16_000, "a"),
    ]


def test_ids_are_unique_in_a_file() -> None:
    """Two cues with one start broke the building of the index."""
    cues = [Cue(5, 16_000, "a"), Cue(5, 17_000, "b"), Cue(5, 18_000, "c"), Cue(6, 7, "d")]

    found = search_entries(cues, sequential_id=1, published_ms=0)

    assert [entry.id for entry in found] == ["1_5", "1_5_2", "1_5_3", "1_6"]


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["a.", "b!", "\n", " "]
)


@st.composite
def any_cues(draw: st.DrawFn) -> list[Cue]:
    """Make cues in any order, some of one start."""
    starts = st.integers(0, 40_000) | st.sampled_from([0, 7000])
    lists = st.lists(st.tuples(starts, st.integers(0, 20_000), TEXTS), max_size=10)
    return [Cue(start, start + length, text) for start, length, text in draw(lists)]


@settings(max_examples=60)
@given(any_cues(), st.integers(1, 5000), st.integers(0, 2**41))
def test_entries_are_whole_and_stable(cues: list[Cue], number: int, published: int) -> None:
    """All words in order, every id once, and the same bytes each time and for any JSON reader."""
    entries = search_entries(cues, sequential_id=number, published_ms=published)
    body = render_entries(entries)

    words = [word for cue in cues for word in " ".join(cue.text.split("\n")).split()]
    assert [word for entry in entries for word in entry.text.split()] == words
    assert len({entry.id for entry in entries}) == len(entries)
    assert all(entry.text == entry.text.strip() != "" for entry in entries)
    assert body == render_entries(
        search_entries(cues, sequential_id=number, published_ms=published)
    )
    assert json.loads(body) == [entry.record() for entry in entries]
    assert body == json.dumps(json.loads(body), indent=2, ensure_ascii=False).encode()
