import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.ingester.archive.keys import (
    SLUG_MAX,
    FileKey,
    comparable_title,
    cut_slug,
    full_slug,
    hash_suffix,
    hashed_slug,
    parse_key,
    plain_slug,
    superseded,
    utc_date,
)

LONG = "This Is A Very Long Episode Title That Should Be Truncated To Fifty Characters Or More"
DATES = st.dates().map(lambda day: day.isoformat())
TITLES = st.text(max_size=200)


@pytest.mark.parametrize(
    ("title", "key"),
    [
        ("Simple Episode Title", "2024-07-25_Simple_Episode_Title--1721921400000"),
        (
            'Episode/With\\Invalid?Characters*:|"<>. & Café + More!',
            "2024-07-25_Episode_With_Invalid_Characters_Caf_More--1721921400000",
        ),
        (
            LONG,
            "2024-07-25_This_Is_A_Very_Long_Episode_Title_That_Should_Be_T--1721921400000",
        ),
        ("What\u2019s a Hard Fork?", "2024-07-25_What_s_a_Hard_Fork--1721921400000"),
    ],
)
def test_keys_of_the_reference_titles(title: str, key: str) -> None:
    """Every file in every archive is named like this; one character off and nothing is found."""
    assert str(FileKey("2024-07-25", cut_slug(title), 1721921400000)) == key


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("", ""),
        ("___", ""),
        ("__a__", "a"),
        ("a" * 49 + " b", "a" * 49 + "_"),
        ("Cafe\u0301", "Caf"),
        ("Part 1 -- of 2", "Part_1_of_2"),
    ],
)
def test_slug_is_stripped_before_it_is_cut(title: str, slug: str) -> None:
    """An underscore at the cut stays: older keys have it."""
    assert cut_slug(title) == slug


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("2024-07-25_A_b--1721921400000", FileKey("2024-07-25", "A_b", 1721921400000)),
        ("2024-07-25_--1721921400000", FileKey("2024-07-25", "", 1721921400000)),
        ("2020-01-23_The-Transfer-Window", FileKey("2020-01-23", "The-Transfer-Window")),
        ("2024-07-25_Part-1----The-Return", FileKey("2024-07-25", "Part-1----The-Return")),
        ("2024-07-25_A--172192140000", FileKey("2024-07-25", "A--172192140000")),
        (
            "2024-07-25_Part-1----Back--1721921400000",
            FileKey("2024-07-25", "Part-1----Back", 1721921400000),
        ),
        ("2020-01-23_Käse", FileKey("2020-01-23", "Käse")),
    ],
)
def test_keys_are_read_and_written_back(text: str, parts: FileKey) -> None:
    """Only the final suffix is a timestamp; cutting at the first `--` mangles legacy keys."""
    assert parse_key(text) == parts
    assert str(parts) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024-07-25_",
        "2024-07-25",
        "2024-7-25_a",
        "Episode",
        "2024-07-25_a/../b--1721921400000",
        "2024-07-25_a\\b",
        "2024-07-25_a\nb",
        "2024-07-25_a\0",
        "2024-07-25_\ud800",
        "2024-07-25_" + "a" * 300,
        "\u0662\u0660\u0662\u0664-07-25_a",
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    """A key becomes the name of a file: nothing that leads elsewhere may pass."""
    with pytest.raises(ValueError, match="key"):
        parse_key(text)


@given(DATES, TITLES, st.integers(10**12, 10**13 - 1), st.text(), st.text())
def test_written_keys_round_trip(
    date: str, title: str, milliseconds: int, guid: str, url: str
) -> None:
    """Whatever the title, the key can be read, and says what went in."""
    suffix = hash_suffix(guid, url)

    for slug in (plain_slug(title, suffix), hashed_slug(title, suffix)):
        key = FileKey(date, slug, milliseconds)
        assert parse_key(str(key)) == key
        assert re.fullmatch(r"[A-Za-z0-9_]{1,50}", slug)


@given(TITLES)
def test_slug_is_a_fixed_point(title: str) -> None:
    """A slug of a slug is itself, so that titles from keys and from feeds compare."""
    slug = full_slug(title)

    assert full_slug(slug) == slug
    assert "__" not in slug
    assert len(cut_slug(title)) <= SLUG_MAX
    assert slug.startswith(cut_slug(title))


def test_empty_slug_becomes_a_hash_of_the_guid() -> None:
    """A title in Japanese has no ASCII in it, and is an episode all the same."""
    assert plain_slug("日本語", hash_suffix("guid-1", "http://a/b.mp3")) == "episode_c1ce8282"
    assert hash_suffix("", "http://a/b.mp3") != hash_suffix("guid-1", "http://a/b.mp3")


def test_hashed_slug_keeps_forty_one_characters() -> None:
    """Two parts of one long title differ beyond the cut; the hash tells them apart."""
    slug = hashed_slug(LONG, "0123abcd")

    assert slug == "This_Is_A_Very_Long_Episode_Title_That_Sh_0123abcd"
    assert hashed_slug("a" * 40 + " b", "0123abcd") == "a" * 40 + "_0123abcd"
    assert hashed_slug("日本語", "0123abcd") == "episode_0123abcd"


def test_titles_without_a_slug_are_compared_by_their_words() -> None:
    """Else all Japanese episodes of one day would be one episode."""
    assert comparable_title("日本語 一") != comparable_title("日本語 二")
    assert comparable_title("日本語  一\n") == comparable_title("日本語 一")
    assert comparable_title("A-b") == "A_b"


def test_date_is_the_one_in_utc() -> None:
    """Late in the evening in Texas is tomorrow in the archive."""
    assert utc_date(datetime.fromisoformat("2024-07-25T22:00:00-05:00")) == "2024-07-26"
    assert utc_date(datetime(1, 2, 3, tzinfo=UTC)) == "0001-02-03"


def test_older_versions_are_superseded() -> None:
    """The newest download of an episode is the one that is transcribed."""
    old, new = "2024-07-25_A--1721921400000", "2024-07-25_A--1721921400001"
    keys = [old, new, "2024-07-25_A", "2024-07-26_A--1721921400000", "no key", "2020-01-23_B"]

    assert superseded(keys) == {old: new}
    assert superseded(reversed(keys)) == {old: new}
