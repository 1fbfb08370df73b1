import pytest

from daemons.ingester.speech.judge import JudgeLimits, judge, unpunctuated_ms
from daemons.ingester.speech.looping import Run, longest_run
from daemons.ingester.speech.prompts import last_words, next_prompt
from daemons.ingester.speech.srt import Cue, render_srt

LIMITS = JudgeLimits()


def said(*texts: str) -> list[Cue]:
    """Return cues of a second each."""
    return [Cue(at * 1000, at * 1000 + 1000, text) for at, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("texts", "run"),
    [
        ((), Run("", 0)),
        (("a", "b", "b", "a"), Run("b", 2)),
        (("a", " a ", "a\na", "a a"), Run("a", 2)),
        (("a", "", "a"), Run("a", 2)),
        (("a", "A"), Run("a", 1)),
    ],
)
def test_the_longest_run_is_found(texts: tuple[str, ...], run: Run) -> None:
    """Line breaks and silent cues do not hide a loop."""
    assert longest_run(said(*texts)) == run


def test_ten_times_the_same_is_a_loop() -> None:
    """Nine may be a chorus; the number is a setting."""
    nine, ten = render_srt(said(*["so"] * 9)), render_srt(said(*["so"] * 10))

    assert len(judge(nine, 60_000, LIMITS).cues) == 9
    with pytest.raises(ValueError, match=r"^the transcript loops: 'so' 10 times in a row$"):
        judge(ten, 60_000, LIMITS)
    with pytest.raises(ValueError, match="loops"):
        judge(nine, 60_000, JudgeLimits(loop_cues=9))
    assert len(judge(ten, 60_000, JudgeLimits(loop_cues=11)).cues) == 10


@pytest.mark.parametrize("text", ["", "\ufeff\n\n", render_srt(said("", ""))])
def test_a_long_chunk_without_words_is_a_hole(text: str) -> None:
    """Twenty minutes were once missing in the middle of an episode, for ever."""
    assert not any(cue.text for cue in judge(text, 30_000, LIMITS).cues)
    with pytest.raises(ValueError, match=r"^the transcript of 30\.001 s of audio is empty$"):
        judge(text, 30_001, LIMITS)


def test_what_cannot_be_read_is_never_silence() -> None:
    """However short the chunk is."""
    with pytest.raises(ValueError, match="no readable cue"):
        judge("Segmentation fault", 1000, LIMITS)


def test_cues_of_impossible_times_are_told() -> None:
    """They are dropped, and somebody should know."""
    text = "1\n00:00:09,000 --> 00:00:01,000\nx\n\n2\n00:00:01,000 --> 00:00:02,000\ny\n"

    assert judge(text, 60_000, LIMITS).invalid == 1


def test_stretches_without_a_sentence_are_measured() -> None:
    """Forty-five seconds without one are a warning of the consistency check."""
    assert unpunctuated_ms([]) == 0
    assert unpunctuated_ms([Cue(0, 10_000, "a"), Cue(10_000, 50_000, "b, c")]) == 50_000
    assert unpunctuated_ms([Cue(0, 30_000, "a."), Cue(31_000, 60_000, "b")]) == 30_000
    assert unpunctuated_ms([Cue(0, 30_000, "a"), Cue(31_000, 60_000, "b? c")]) == 31_000


def test_a_chunk_is_told_how_the_last_one_ended() -> None:
    """Names stay spelt alike, and a sentence that was cut goes on."""
    assert next_prompt("Hard Fork.", []) == "Hard Fork."
    assert next_prompt("Hard Fork.", said("one", "two\nthree")) == "Hard Fork. one two three"


@pytest.mark.parametrize(
    ("texts", "most", "expected"),
    [
        (("aaa bbb", "ccc"), 11, "aaa bbb ccc"),
        (("aaa bbb", "ccc"), 10, "bbb ccc"),
        (("aaa bbb", "ccc"), 3, "ccc"),
        (("日本語日本語",), 9, "日本語"),
        (("日本語日本語",), 8, "本語"),
        ((), 9, ""),
    ],
)
def test_only_whole_words_are_carried_on(texts: tuple[str, ...], most: int, expected: str) -> None:
    """Half a word would be taken for one; text without spaces has none."""
    assert last_words(said(*texts), most) == expected
