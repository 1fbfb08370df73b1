import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.ingester.speech.corrections import Correction, correct, parse_corrections
from daemons.ingester.speech.srt import Cue


def corrected(text: str, *rules: tuple[str, str]) -> tuple[str, int]:
    """Correct one cue."""
    result = correct([Cue(0, 1, text)], [Correction((wrong,), right) for wrong, right in rules])
    return result.cues[0].text, result.count


@pytest.mark.parametrize(
    ("text", "wrong", "right", "expected", "count"),
    [
        ("a turdice b", "turdice", "turdis", "a turdis b", 1),
        ("Turdice, TURDICE!", "turdice", "turdis", "turdis, turdis!", 2),
        ("Turdis", "turdis", "turdis", "turdis", 1),
        ("I like C++ a lot", "c++", "C#", "I like C# a lot", 1),
        ("'tis so", "'tis", "it is", "it is so", 1),
        ("a.b and axb", "a.b", "ab", "ab and axb", 1),
        ("a turdice", "turdice", r"\1 \g<0>", r"a \1 \g<0>", 1),
        ("cafe\u0301 noir", "café", "Café", "Café noir", 1),
        ("café noir", "cafe\u0301", "Café", "Café noir", 1),
        ("STRAẞE", "straße", "Straße", "Straße", 1),
        ("in York and New York", "york", "New York", "in New York and New York", 1),
        ("new york times", "new york", "New York", "New York times", 1),
    ],
)
def test_whole_words_are_replaced_literally(
    text: str, wrong: str, right: str, expected: str, count: int
) -> None:
    """A pattern in a list must not change what was right; only changes count."""
    assert corrected(text, (wrong, right)) == (expected, count)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("turdices", "turdice"),
        ("préturdice", "turdice"),
        ("turdiceé", "turdice"),
        ("turdice\u0301 here", "turdice"),
        ("_turdice_", "turdice"),
        ("鹿児島", "鹿児"),
        ("turdis", "turdis"),
    ],
)
def test_half_a_word_and_the_right_spelling_stay(text: str, wrong: str) -> None:
    """What touches another letter, mark or underscore is another word."""
    assert corrected(text, (wrong, "turdis")) == (text, 0)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([("alpha", "beta"), ("beta", "gamma")], ("gamma", 2)),
        ([("beta", "gamma"), ("alpha", "beta")], ("beta", 1)),
    ],
)
def test_corrections_build_on_one_another_in_order(
    rules: list[tuple[str, str]], expected: tuple[str, int]
) -> None:
    """The order of the file is the author's means to say what comes first."""
    assert corrected("alpha", *rules) == expected


def test_only_the_text_of_cues_is_touched() -> None:
    """Times and the borders of cues stay where they are; words do not join across them."""
    cues = [Cue(1, 2, "new"), Cue(3, 4, "york new\nyork"), Cue(5, 6, "")]

    result = correct(cues, [Correction(("new york", "york"), "Y")])

    assert result.cues == (Cue(1, 2, "new"), Cue(3, 4, "Y new\nY"), Cue(5, 6, ""))
    assert result.count == 2


def test_a_file_is_read() -> None:
    """Unknown fields are tolerated, empty misspellings mean nothing."""
    item = {"misspellings": ["turdice", "", " "], "correctedSpelling": "turdis", "x": 1}
    text = json.dumps({"correctionsToApply": [item], "more": True})

    assert parse_corrections("\ufeff" + text) == (Correction(("turdice",), "turdis"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ("[]", "has no list 'correctionsToApply'"),
        ('{"correctionsToApply": 1}', "has no list 'correctionsToApply'"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_broken_file_says_what_is_wrong(text: str, message: str) -> None:
    """It becomes a warning that a person must be able to act upon."""
    with pytest.raises(ValueError, match=message):
        parse_corrections(text)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (1, r"\[0\] is no JSON object"),
        ({}, r"\[0\] needs a list"),
        ({"misspellings": ["a"]}, r"\[0\] needs a list"),
        ({"misspellings": "a", "correctedSpelling": "a"}, r"\[0\] needs a list"),
        ({"misspellings": [1], "correctedSpelling": "a"}, r"\[0\].misspellings holds something"),
        ({"misspellings": ["\0"], "correctedSpelling": "a"}, r"\[0\] has a NUL"),
        ({"misspellings": ["a"], "correctedSpelling": "\0"}, r"\[0\] has a NUL"),
    ],
)
def test_a_broken_correction_says_which_one_it_is(item: object, message: str) -> None:
    """The lists grow long."""
    with pytest.raises(ValueError, match=message):
        parse_corrections(json.dumps({"correctionsToApply": [item]}))


WORDS = st.text("ab \u0301é.", min_size=1, max_size=4).filter(str.strip)


@given(st.lists(st.text("abAB \u0301é.\n", max_size=12), max_size=4), WORDS, WORDS)
def test_what_is_right_stays_as_it_is(texts: list[str], wrong: str, right: str) -> None:
    """Corrections are applied again to old transcripts: nothing may grow with each time."""
    cues = [Cue(at, at, text) for at, text in enumerate(texts)]
    rules = [Correction((wrong,), right)]

    once = correct(cues, rules)

    assert [(cue.start_ms, cue.end_ms) for cue in once.cues] == [
        (at, at) for at in range(len(cues))
    ]
    assert (once.count == 0) == (list(once.cues) == cues)
