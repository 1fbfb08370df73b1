import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemons.ingester.speech.srt import (
    Cue,
    Parsed,
    clean_text,
    decode_srt,
    format_ms,
    join,
    parse_srt,
    render_srt,
)

LINES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=20)
TEXTS = st.lists(LINES, max_size=3).map("\n".join).map(clean_text)
LONGEST_MS = 99 * 3600 * 1000


@st.composite
def cues(draw: st.DrawFn) -> Cue:
    """Make a cue that can stand in a file."""
    start_ms = draw(st.integers(0, LONGEST_MS))
    return Cue(start_ms, start_ms + draw(st.integers(0, 60_000)), draw(TEXTS))


CUE_LISTS = st.lists(cues(), max_size=6)
# Words do not matter where only times are moved, and they are what takes long to make up.
BARE_CUES = st.lists(
    st.builds(
        lambda start, length: Cue(start, start + length, f"{start}"),
        st.integers(0, LONGEST_MS),
        st.integers(0, 60_000),
    ),
    max_size=6,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("1\n00:00:01,000 --> 00:00:02,500\nHello.\n", [Cue(1000, 2500, "Hello.")]),
        ("\ufeff1\r\n00:00:01,000 --> 00:00:02,500\r\nHi\r\n\r\n", [Cue(1000, 2500, "Hi")]),
        ("1\r00:00:01,000 --> 00:00:02,500\rHi\r", [Cue(1000, 2500, "Hi")]),
        ("1\n0:00:01.5 --> 1:02:03.25\nHi\n", [Cue(1500, 3_723_250, "Hi")]),
        ("1\n00:00:01,07 --> 00:00:02,007\nHi", [Cue(1070, 2007, "Hi")]),
        ("00:00:01,000 --> 00:00:02,000\nno number\n", [Cue(1000, 2000, "no number")]),
        ("7\n00:00:01,000-->00:00:02,000 X1:40 Y1:2\nHi\n", [Cue(1000, 2000, "Hi")]),
        ("1\n00:00:01,000 --> 00:00:02,000\n one\ntwo \n", [Cue(1000, 2000, "one\ntwo")]),
        ("1\n00:00:01,000 --> 00:00:02,000\none\n\nmore\n", [Cue(1000, 2000, "one\nmore")]),
        ("WEBVTT\n\n1\n00:00:01,000 --> 00:00:02,000\nHi\n", [Cue(1000, 2000, "Hi")]),
        ("1\n00:00:01,000 --> 00:00:01,000\nHi\n", [Cue(1000, 1000, "Hi")]),
        (
            "1\n00:00:01,000 --> 00:00:02,000\n1984\n\n2\n00:00:02,000 --> 00:00:03,000\n007\n",
            [Cue(1000, 2000, "1984"), Cue(2000, 3000, "007")],
        ),
        (
            "1\n00:00:01,000 --> 00:00:02,000\na\n2\n00:00:02,000 --> 00:00:03,000\nb",
            [Cue(1000, 2000, "a"), Cue(2000, 3000, "b")],
        ),
        ("9\n00:00:05,000 --> 00:00:06,000\nb\n\n3\n00:00:01,000 --> 00:00:02,000\na\n", None),
    ],
)
def test_what_programs_and_people_write_is_read(text: str, expected: list[Cue] | None) -> None:
    """Old transcripts came from several programs; none may become unreadable."""
    wanted = [Cue(5000, 6000, "b"), Cue(1000, 2000, "a")] if expected is None else expected

    assert parse_srt(text) == Parsed(tuple(wanted))


@pytest.mark.parametrize(
    "times",
    [
        "00:60:00,000 --> 01:00:01,000",
        "00:00:61,000 --> 00:01:02,000",
        "00:00:05,000 --> 00:00:04,999",
    ],
)
def test_a_cue_whose_times_cannot_be_is_counted_and_left_out(times: str) -> None:
    """It would be sorted anywhere; and nobody would know that something is missing."""
    text = f"1\n{times}\nlost\n\n2\n00:00:01,000 --> 00:00:02,000\nkept\n"

    assert parse_srt(text) == Parsed((Cue(1000, 2000, "kept"),), invalid=1)


def test_half_a_character_is_no_reason_to_fail() -> None:
    """Recognisers put out tokens, which may end in the middle of a letter."""
    assert decode_srt(b"\xef\xbb\xbfcaf\xc3") == "caf\ufffd"


def test_joining_is_exact_to_the_millisecond() -> None:
    """The contract's own case: the old code dropped the half second of the chunk's start."""
    joined = join([(0, [Cue(0, 500, "a")]), (1_199_500, [Cue(700, 1700, "b")])])

    assert render_srt(joined) == (
        "1\n00:00:00,000 --> 00:00:00,500\na\n\n2\n00:20:00,200 --> 00:20:01,200\nb\n"
    )


def test_a_transcript_is_written_in_one_style() -> None:
    """What is written twice must be the same bytes, or it is uploaded twice."""
    written = render_srt([Cue(3_600_000, 3_600_001, "one\r\ntwo\n\nthree"), Cue(0, 0, "")])

    assert written == (
        "1\n01:00:00,000 --> 01:00:00,001\none\ntwo\nthree\n\n2\n00:00:00,000 --> 00:00:00,000\n"
    )


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "00:00:00,000"), (59_999, "00:00:59,999"), (360_000_001, "100:00:00,001")],
)
def test_times_are_written_in_full(milliseconds: int, text: str) -> None:
    """Readers count columns."""
    assert format_ms(milliseconds) == text


@settings(max_examples=60)
@given(CUE_LISTS)
def test_what_is_written_is_read_back(written: list[Cue]) -> None:
    """A transcript passes through files several times on its way to the index."""
    assert parse_srt(render_srt(written)) == Parsed(tuple(written))


@given(st.text(max_size=200))
def test_any_text_is_read_and_settles(text: str) -> None:
    """Whatever a recogniser writes: one pass brings it into our style, a second changes nothing."""
    once = render_srt(parse_srt(text).cues)

    assert render_srt(parse_srt(once).cues) == once


@given(st.lists(st.tuples(st.text("0123456789:,.->\n \r", max_size=40)), max_size=6))
def test_things_that_look_like_times_settle_too(parts: list[tuple[str]]) -> None:
    """An arrow in the text must not become a cue on the next reading."""
    text = "00:00:01,000 --> 00:00:02,000\n" + "\n".join(part for (part,) in parts)

    once = parse_srt(text)

    assert parse_srt(render_srt(once.cues)).cues == once.cues


@given(st.lists(st.tuples(st.integers(0, LONGEST_MS), BARE_CUES), max_size=4))
def test_joining_loses_no_cue_and_moves_none(parts: list[tuple[int, list[Cue]]]) -> None:
    """Every cue is there, later by exactly its chunk's start, and they are in order."""
    joined = join(parts)

    expected = [
        (offset + cue.start_ms, offset + cue.end_ms, cue.text)
        for offset, chunk in parts
        for cue in chunk
    ]
    assert sorted(expected) == sorted((cue.start_ms, cue.end_ms, cue.text) for cue in joined)
    starts = [cue.start_ms for cue in joined]
    assert starts == sorted(starts)
