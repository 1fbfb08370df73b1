"""Paths and computed fields: what they find, what they make, what they refuse."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.wildlife.machine.expressions import (
    BadExpression,
    Unfit,
    evaluate,
    fill,
    parse_expression,
)
from pipelines.wildlife.machine.paths import BadPath, NothingThere, parse_path, put_at, read_path
from tests.support.soak import repetitions

_DOCUMENT = {"a": {"b": [1, {"c": "deep"}]}, "n": None, "t": "text", "zero": 0, "yes": True}
_NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", _DOCUMENT),
        ("$.a.b[0]", 1),
        ("$.a.b[1].c", "deep"),
        ("$.n", None),
        ("$.zero", 0),
    ],
)
def test_a_path_names_one_place(path: str, found: object) -> None:
    """Null and zero are values, not the absence of one."""
    assert read_path(path, _DOCUMENT) == found


@pytest.mark.parametrize("path", ["$.x", "$.a.b[2]", "$.t.x", "$.t[0]", "$.a[0]", "$.n.x"])
def test_a_path_that_leads_nowhere_says_so(path: str) -> None:
    """What is missing must never be taken for null."""
    with pytest.raises(NothingThere, match="could not be found"):
        read_path(path, _DOCUMENT)


@pytest.mark.parametrize(
    "path", ["", "a", "$a", "$.", "$..a", "$.a[*]", "$.a[-1]", "$$.a", "$.a b"]
)
def test_only_reference_paths_are_paths(path: str) -> None:
    """Everything else of JSONPath may find several things."""
    with pytest.raises(BadPath):
        parse_path(path)


@settings(max_examples=repetitions(20, 500))
@given(st.lists(_NAMES, min_size=1, max_size=4), st.integers(), st.dictionaries(_NAMES, st.text()))
def test_what_is_put_somewhere_is_found_there(
    names: list[str], value: int, document: dict[str, Any]
) -> None:
    """And nothing else is lost: payloads only ever grow."""
    path = "$." + ".".join(names)
    document.pop(names[0], None)
    before = dict(document)

    made = put_at(path, document, value)

    assert read_path(path, made) == value
    assert document == before
    assert isinstance(made, dict)
    assert before.items() <= made.items()


@pytest.mark.parametrize("document", ["text", 5, None, [1]])
def test_nothing_is_put_into_what_is_no_object(document: object) -> None:
    """The service fails such a run as well."""
    with pytest.raises(NothingThere):
        put_at("$.a", document, 1)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("States.Format('munin-detector-{}', $.t)", "munin-detector-text"),
        ("States.Format('{} {} {}', 1, true, null)", "1 true null"),
        ("States.Format('{}', $.yes)", "true"),
        (r"States.Format('\{\} {}', 'it\'s')", "{} it's"),
        ("States.Format('a, b ({})', 'c, d')", "a, b (c, d)"),
        ("States.Format('plain')", "plain"),
        ("$.a.b[0]", 1),
    ],
)
def test_expressions_are_worked_out(text: str, made: object) -> None:
    """Names of jobs and causes of failures are made of these."""
    assert evaluate(parse_expression(text), _DOCUMENT) == made


@pytest.mark.parametrize(
    "text",
    [
        "States.Format('{}')",
        "States.Format('x', 1)",
        "States.Format($.t)",
        "States.Format('{', 1)",
        "States.Format('{}', $..x)",
        "States.Format('{}' 1)",
        "States.Format('{}', x)",
        "States.UUID()",
        "text",
    ],
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    """When the definition is read, not in the middle of a run."""
    with pytest.raises(BadExpression):
        parse_expression(text)


def test_texts_are_not_made_of_objects() -> None:
    """The service calls it a failure of the intrinsic function."""
    with pytest.raises(Unfit):
        evaluate(parse_expression("States.Format('{}', $.a)"), _DOCUMENT)


def test_a_template_is_filled_at_every_depth() -> None:
    """Fields without the ending stand for themselves, whatever they look like."""
    template = {"x.$": "$.t", "y": [{"z.$": "$.a.b", "plain": "$.t"}], "n": 1}

    filled = fill(template, _DOCUMENT)

    assert filled == {"x": "text", "y": [{"z": [1, {"c": "deep"}], "plain": "$.t"}], "n": 1}
