from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.ingester.project.credentials import AutomationKeys, load_automation_keys
from daemons.ingester.project.dotenv import parse_dotenv
from shared.errors import UsageError

WHOLE = "AWS_ACCESS_KEY_ID=hidden\nAWS_SECRET_ACCESS_KEY=se=cret/\nAWS_REGION=us-east-1\n"


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("", {}),
        ("# A=1\n\n  # B=2\n", {}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A=1=2==", {"A": "1=2=="}),
        ("  A  =  1  ", {"A": "1"}),
        ('A="1 2"\nB=\'3\'\nC="4\'\nD="', {"A": "1 2", "B": "3", "C": "\"4'", "D": '"'}),
        ("A=\"'1'\"", {"A": "'1'"}),
        ("A=", {"A": ""}),
        ("export A=1", {"A": "1"}),
        ("\ufeffA=1", {"A": "1"}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=1 # no comment", {"A": "1 # no comment"}),
    ],
)
def test_lines_of_a_variables_file(text: str, variables: dict[str, str]) -> None:
    """Keys pasted with quotes or from Windows once led to signatures that nobody understood."""
    assert parse_dotenv(text) == variables


def test_bad_lines_are_named_by_number_alone() -> None:
    """What stands in the line may be half a secret."""
    with pytest.raises(ValueError, match=r"^line 2, 4 is not KEY=VALUE$"):
        parse_dotenv("A=1\nhunter2\n#\n=hunter2\n")


@given(st.dictionaries(st.from_regex(r"[A-Z_]{1,9}", fullmatch=True), st.text("ab=#' \"/+")))
def test_quoted_values_round_trip(variables: dict[str, str]) -> None:
    """Quotes protect whatever is in a value, blanks at its ends included."""
    text = "\n".join(f'{name}="{value}"' for name, value in variables.items())

    assert parse_dotenv(text) == variables


def test_keys_come_from_the_file(tmp_path: Path) -> None:
    """The file is the operator's; an environment left over from another tool is not."""
    (tmp_path / ".env.automation").write_text(WHOLE)

    keys = load_automation_keys(tmp_path, {"AWS_REGION": "eu-west-1"})

    assert keys == AutomationKeys("hidden", "se=cret/", "us-east-1", "")
    assert "cret" not in repr(keys)
    assert "hidden" not in repr(keys)


def test_the_environment_fills_gaps(tmp_path: Path) -> None:
    """In a unit there may be no file at all."""
    environ = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "c"}

    assert load_automation_keys(tmp_path, environ) == AutomationKeys("a", "b", "c")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ["AWS_ACCESS_KEY_ID is", "AWS_SECRET_ACCESS_KEY is", "AWS_REGION is"]),
        (WHOLE.replace("us-east-1", ""), ["AWS_REGION is missing"]),
        (WHOLE.replace("se=cret/", "se cret"), ["AWS_SECRET_ACCESS_KEY in"]),
        ("hunter2", ["line 1 is not KEY=VALUE"]),
    ],
)
def test_what_is_missing_is_named_and_nothing_secret_said(
    tmp_path: Path, text: str, lines: list[str]
) -> None:
    """Exit status 2 before any phase, with the variable's name."""
    (tmp_path / ".env.automation").write_text(text)

    with pytest.raises(UsageError) as caught:
        load_automation_keys(tmp_path, {})

    said = str(caught.value).splitlines()
    assert len(said) == len(lines)
    assert all(line in each for line, each in zip(lines, said, strict=True))
    assert "cret" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
