"""A wall clock that is hours off, for all of one daemon that takes part in the hand-shake."""

import sys
from datetime import datetime, timedelta, tzinfo
from typing import Any


def shift_clocks(service: str, hours: float) -> None:
    """Set the clock of what has been imported of a daemon and of the hand-shake."""
    by = timedelta(hours=hours)

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + by

    told = (f"daemons.{service}", "shared.handshake")
    for name, module in list(sys.modules.items()):
        if name.startswith(told) and hasattr(module, "datetime"):
            setattr(module, "datetime", Shifted)  # noqa: B010 - the name is another module's
