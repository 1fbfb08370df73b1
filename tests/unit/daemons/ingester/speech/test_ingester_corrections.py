import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.ingester.speech.corrections import Correction, correct, parse_corrections
from daemons.ingester.speech.srt import Cue


def corrected(text: str, *corrections: tuple[str, str]) -> tuple[str, int]:
    """Correct one cue."""
    result = correct(
        [Cue(0, 1, text)], [Correction((wrong,), right) for wrong, right in corrections]
    )
    return result.cues[0].text, result.count


@pytest.mark.parametrize(
    ("text", "wrong", "right", "expected", "count"),
    [
        ("a turdice b", "turdice", "turdis", "a turdis b", 1),
        ("Turdice, TURDICE!", "turdice", "turdis", "turdis, turdis!", 2),
        ("turdices", "turdice", "turdis", "turdices", 0),
        ("préturdice", "turdice", "turdis", "préturdice", 0),
        ("turdiceé", "turdice", "turdis", "turdiceé", 0),
        ("turdice\u0301 here", "turdice", "turdis", "turdice\u0301 here", 0),
        ("_turdice_", "turdice", "turdis", "_turdice_", 0),
        ("I like C++ a lot", "c++", "C#", "I like C# a lot", 1),
        ("'tis so", "'tis", "it is", "it is so", 1),
        ("a.b and axb", "a.b", "ab", "ab and axb", 1),
        ("a turdice", "turdice", r"\1 \g<0>", r"a \1 \g<0>", 1),
        ("cafe\u0301 noir", "café", "Café", "Café noir", 1),
        ("café noir", "cafe\u0301", "Café", "Café noir", 1),
        ("STRAẞE", "straße", "Straße", "Straße", 1),
        ("turdis", "turdis", "turdis", "turdis", 0),
        ("Turdis", "turdis", "turdis", "turdis", 1),
        ("in York and New York", "york", "New York", "in New York and New York", 1),
        ("new york times", "new york", "New York", "New York times", 1),
        ("鹿児島", "鹿児", "x", "鹿児島", 0),
    ],
)
def test_whole_words_are_replaced_literally(
    text: str, wrong: str, right: str, expected: str, count: int
) -> None:
    """Half a word or a pattern in a list must not change what was right; only changes count."""
    assert corrected(text, (wrong, right)) == (expected, count)


def test_corrections_build_on_one_another_in_order() -> None:
    """The order of the file is the author's means to say what comes first."""
    assert corrected("alpha", ("alpha", "beta"), ("beta", "gamma")) == ("gamma", 2)
    assert corrected("alpha", ("beta", "gamma"), ("alpha", "beta")) == ("beta", 1)


def test_only_the_text_of_cues_is_touched() -> None:
    """Times and the borders of cues stay where they are; words do not join across them."""
    cues = [Cue(1, 2, "new"), Cue(3, 4, "york new\nyork"), Cue(5, 6, "")]

    result = correct(cues, [Correction(("new york", "york"), "Y")])

    assert result.cues == (Cue(1, 2, "new"), Cue(3, 4, "Y new\nY"), Cue(5, 6, ""))
    assert result.count == 2


def test_a_file_is_read() -> None:
    """Unknown fields are tolerated, empty misspellings mean nothing."""
    text = json.dumps(
        {
            "correctionsToApply": [
                {"misspellings": ["turdice", "", " "], "correctedSpelling": "turdis", "x": 1}
            ],
            "more": True,
        }
    )

    assert parse_corrections("\ufeff" + text) == (Correction(("turdice",), "turdis"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ("[]", "has no list 'correctionsToApply'"),
        ('{"correctionsToApply": 1}', "has no list 'correctionsToApply'"),
        ('{"correctionsToApply": [1]}', r"\[0\] is no JSON object"),
        ('{"correctionsToApply": [{"misspellings": "a"}]}', r"\[0\] needs a list"),
        (
            '{"correctionsToApply": [{"misspellings": [1], "correctedSpelling": "a"}]}',
            r"\[0\].misspellings holds something",
        ),
        (
            '{"correctionsToApply": [{"misspellings": ["\\u0000"], "correctedSpelling": "a"}]}',
            "NUL",
        ),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_broken_file_says_what_is_wrong(text: str, message: str) -> None:
    """It becomes a warning that a person must be able to act upon."""
    with pytest.raises(ValueError, match=message):
        parse_corrections(text)


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
