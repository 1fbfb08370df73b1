import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.templates import check_template, fill_template, parse_template

TEXT = st.text(st.characters(exclude_characters="\0"))


def test_a_value_goes_into_its_argument_verbatim() -> None:
    """A path with spaces, quotes or braces is one argument, whatever a shell would make of it."""
    filled = fill_template(
        ["python", "seed.py", "--tap-chunk-csv={csv}", "--out-dir", "{out}/chunk_{cid}"],
        {"csv": "a b;$(rm)'{cid}.csv", "out": "/d", "cid": "02104"},
    )

    assert filled == (
        "python",
        "seed.py",
        "--tap-chunk-csv=a b;$(rm)'{cid}.csv",
        "--out-dir",
        "/d/chunk_02104",
    )


def test_doubled_braces_are_braces() -> None:
    """An awk or JSON argument must be possible."""
    assert fill_template(["awk", "{{print {cid}}}"], {"cid": "1"}) == ("awk", "{print 1}")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (["x", "{cip}"], r"unknown placeholder '\{cip\}'; allowed are \{cid\}, \{out\}"),
        (["x", "{0}"], "single brace"),
        (["x", "{"], "single brace"),
        (["x", "a}"], "single brace"),
        (["x", "{cid.__class__}"], "single brace"),
        (["x", "a\0b"], "NUL"),
        ([], "needs a program"),
        (["", "a"], "needs a program"),
    ],
)
def test_a_wrong_template_is_refused(template: list[str], message: str) -> None:
    """A typing mistake must stop the daemon at its start, not each job."""
    with pytest.raises(ValueError, match=message):
        fill_template(template, {"cid": "02104", "out": "/d"})


def test_used_placeholders_are_told() -> None:
    """A setting can insist on `{cid}`."""
    assert check_template(["x", "{cid}", "{{out}}"], ["cid", "out"]) == {"cid"}
    with pytest.raises(ValueError, match="allowed are none"):
        check_template(["x", "{cid}"], [])


@pytest.mark.parametrize(
    "value",
    [
        "python 'my step.py' --cid {cid}",
        '["python", "my step.py", "--cid", "{cid}"]',
        ["python", "my step.py", "--cid", "{cid}"],
    ],
)
def test_three_ways_to_write_a_command(value: str | list[str]) -> None:
    """TOML has lists; an environment variable has a text."""
    assert parse_template(value) == ("python", "my step.py", "--cid", "{cid}")


@pytest.mark.parametrize(
    "value", ["", "  ", "[]", "['a']", '["a", 1]', "a 'b", '[""]', [], "[" * 9999]
)
def test_what_is_no_command_is_refused(value: str | list[str]) -> None:
    """Every mistake is a ValueError, which the settings turn into one line."""
    with pytest.raises(ValueError, match=r"command|JSON"):
        parse_template(value)


@given(st.lists(TEXT, min_size=1).filter(lambda words: words[0] != ""))
def test_a_json_list_comes_back(words: list[str]) -> None:
    """What is written as JSON is what is run."""
    assert parse_template(json.dumps(words)) == tuple(words)


@given(TEXT, st.lists(TEXT, max_size=3))
def test_no_value_changes_the_number_of_arguments(value: str, others: list[str]) -> None:
    """Words of a value never become options of a command."""
    escaped = [other.replace("{", "{{").replace("}", "}}") for other in others]

    assert fill_template(["x", *escaped, "{v}"], {"v": value}) == ("x", *others, value)
