"""What botocore works out anew for each session, worked out once for a process of tests.

Of opening a client, which thousands of tests and daemons do here, a third is spent on two questions
whose answers never change: how an event is called today, and whether a function takes keywords. The
names are private to botocore; where they have another form, `remember` fails.
"""

from functools import lru_cache
from typing import Any

from botocore import hooks

_REMEMBERED = 10_000


def remember() -> None:
    """Let all sessions of this process share the answers; harmless when done twice."""
    aliaser: Any = hooks.EventAliaser
    if hasattr(aliaser, "shared_names"):
        return
    aliaser.shared_names = {}
    begin = aliaser.__init__

    def begin_sharing(self: Any, event_emitter: object, event_aliases: object = None) -> None:
        begin(self, event_emitter, event_aliases)
        assert self._alias_name_cache == {}, "botocore keeps its names elsewhere now"
        if self._event_aliases == hooks.EVENT_ALIASES:
            self._alias_name_cache = aliaser.shared_names

    aliaser.__init__ = begin_sharing
    known = lru_cache(_REMEMBERED)(hooks.accepts_kwargs)
    # Bound methods are new objects each time; what they are bound to plays no part.
    hooks.accepts_kwargs = lambda function: known(getattr(function, "__func__", function))
