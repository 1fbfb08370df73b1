import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.toml_lines import key_lines, syntax_error

TEXT = '''\
# comment = 1
plain = 1

  dotted.inner = 2  # [not.a.table]
"quoted key" = """
fake = 3
[fake]
"""
many = [
  1, # ]
  [2, 3],
]
[table.sub]
one = { two = 3 }
[[array]]
item = """a"""
'''


def test_every_key_is_found_on_its_own_line() -> None:
    """Text inside strings, comments and lists looks like keys and is none."""
    assert key_lines(TEXT) == {
        ("plain",): 2,
        ("dotted",): 4,
        ("dotted", "inner"): 4,
        ("quoted key",): 5,
        ("many",): 9,
        ("table",): 13,
        ("table", "sub"): 13,
        ("table", "sub", "one"): 14,
        ("table", "sub", "one", "two"): 14,
        ("array",): 15,
        ("array", "item"): 16,
    }


VALUES = st.sampled_from(
    ["1", '"x"', "true", '"""\na = 1\n"""', "'''\n[b]\n'''", "[\n 1,\n 2,\n]", "{ q = 1, r = 2 }"]
)
NAMES = st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True), unique=True, max_size=8)


@given(NAMES, st.data())
def test_the_line_of_a_key_starts_with_that_key(names: list[str], data: st.DataObject) -> None:
    """Whatever stands between, the line that an error names is the line of that key."""
    gap = st.sampled_from(["", "\n", "# c\n", "  \n\n"])
    text = "".join(f"{data.draw(gap)}{name} = {data.draw(VALUES)}\n" for name in names)
    lines = text.split("\n")

    found = key_lines(text)

    assert set(tomllib.loads(text)) == {path[0] for path in found}
    for name in names:
        assert lines[found[(name,)] - 1].startswith(f"{name} = ")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a = 1\nb = ?\n", (2, "invalid value")),
        ("a = 1\na = 2\n", (2, "cannot overwrite a value")),
        ("a = 1\nb", (2, "expected '=' after a key in a key/value pair")),
        ('a = """\nx', (2, "unterminated string")),
    ],
)
def test_a_syntax_error_has_a_line_and_a_reason(text: str, place: tuple[int, str]) -> None:
    """The parser writes the place into its message; at the end of the file it names no line."""
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads(text)

    assert syntax_error(caught.value, text) == place


def test_a_message_of_another_form_is_kept() -> None:
    """Other Python versions may word it differently; the reason must not get lost."""
    assert syntax_error(tomllib.TOMLDecodeError("Odd"), "a") == (1, "Odd")
