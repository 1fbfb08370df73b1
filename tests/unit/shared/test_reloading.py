import pytest

from shared.reloading import Keep, Refuse, Replace, Values, changed_names, plan_reload

A: Values = {"interval_seconds": 60.0, "prefix": "a"}
B: Values = {"interval_seconds": 5.0, "prefix": "a"}
C: Values = {"interval_seconds": 5.0, "prefix": "c"}


@pytest.mark.parametrize(
    ("found", "running", "waiting", "planned"),
    [
        (A, A, None, Keep()),
        (B, A, None, Replace(("interval_seconds",))),
        (C, A, None, Replace(("interval_seconds", "prefix"))),
        ("bad interval\nbad prefix", A, None, Refuse(("bad interval", "bad prefix"))),
        ("bad interval", A, B, Refuse(("bad interval",))),
        (B, A, B, Keep()),
        (C, A, B, Replace(("interval_seconds", "prefix"))),
        (A, A, B, Replace(())),
        ("\n  \n", A, None, Refuse(("no reason was given",))),
        ("", A, None, Refuse(("no reason was given",))),
    ],
)
def test_a_configuration_applies_as_a_whole_or_not_at_all(
    found: Values | str,
    running: Values,
    waiting: Values | None,
    planned: Refuse | Keep | Replace,
) -> None:
    """The table of the module, and taking back what waits already."""
    assert plan_reload(found, running, waiting) == planned


def test_names_that_only_one_of_both_has_differ() -> None:
    """A value that is None is still a value."""
    assert changed_names({"a": None, "b": 1}, {"b": 1, "c": None}) == ("a", "c")


def test_no_value_is_told() -> None:
    """A log is read by many; a setting may hold a secret."""
    planned = plan_reload({"token": "hunter2"}, {"token": "hunter3"})

    assert "hunter" not in repr(planned)
