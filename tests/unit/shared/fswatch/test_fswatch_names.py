import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.fswatch.names import DEFAULT_RULES, SkipRules, is_utf8, joined, parent_of, printable


@pytest.mark.parametrize(
    ("path", "skipped"),
    [
        ("b/image.png", False),
        ("b/.hidden", True),
        ("b/.git/config", True),
        (".b/file", True),
        ("b/x.tmp", True),
        ("b/x.part", True),
        ("b/x.partial", True),
        ("b/.x.swp", True),
        ("b/x.swp", True),
        ("b/x~", True),
        ("b/run.tmp/x", True),
        ("b/x.TMP", False),
        ("b/xtmp", False),
        ("b/x.tmp.png", False),
        ("b/new\nline.tmp", True),
        ("b/\udcff.tmp", True),
        ("", False),
    ],
)
def test_hidden_and_temporary_names_are_skipped_at_every_level(path: str, *, skipped: bool) -> None:
    """A half-written file is recognised by its name before anything else is asked."""
    assert DEFAULT_RULES.skips_path(path) is skipped


def test_the_rules_are_settings() -> None:
    """Both rules can be switched off, and any shell pattern can be put in."""
    assert not SkipRules(patterns=(), hidden=False).skips_path(".git/x.tmp")
    assert SkipRules(patterns=("core.[0-9]*",)).skips("core.17")


@given(st.lists(st.binary(min_size=1, max_size=9).filter(lambda b: not {0, 47} & set(b))))
def test_paths_come_apart_as_they_were_joined(names: list[bytes]) -> None:
    """Any bytes that a file system allows survive, and those that are not UTF-8 are told apart."""
    path = ""
    for name in names:
        whole = joined(path, os.fsdecode(name))
        assert parent_of(whole) == path
        path = whole

    assert os.fsencode(path) == b"/".join(names)
    assert is_utf8(path) is (os.fsencode(path).decode(errors="ignore").encode() == b"/".join(names))
    printable(path).encode()
