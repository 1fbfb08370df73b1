from botocore import hooks

from tests.support import quick_sdk


class _Handlers:
    def taking(self, **_others: object) -> None:
        """Take keywords."""

    def refusing(self) -> None:
        """Take none."""


def test_a_remembered_name_is_the_one_that_is_worked_out() -> None:
    """An alias that is remembered wrongly would call the wrong handlers in every test."""
    quick_sdk.remember()
    shared, own = hooks.EventAliaser(None), hooks.EventAliaser(None)
    own._alias_name_cache = {}

    for name in ("before-call.s3.PutObject", "creating-client-class.s3", "docs.*.autoscaling.x"):
        assert shared._alias_event_name(name) == own._alias_event_name(name)
        assert name in hooks.EventAliaser.shared_names


def test_other_aliases_are_kept_apart() -> None:
    """Whoever has aliases of its own must not find those of others."""
    quick_sdk.remember()

    other = hooks.EventAliaser(None, {"s3": "store"})

    assert other._alias_event_name("before-call.s3.PutObject") == "before-call.store.PutObject"


def test_methods_are_told_from_one_another() -> None:
    """Two methods of one object are bound alike and take different things."""
    quick_sdk.remember()
    handlers = _Handlers()

    assert hooks.accepts_kwargs(handlers.taking)
    assert not hooks.accepts_kwargs(handlers.refusing)
