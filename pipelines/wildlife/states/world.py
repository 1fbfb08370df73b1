"""What every state has around it besides its event. No state reads clock or environment itself."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from pipelines.wildlife.models.payload import Payload
from pipelines.wildlife.settings import RunSettings
from pipelines.wildlife.storage.protocol import Storage


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _nobody_looks(_done: int, _total: int) -> None:
    """Take a progress that nobody asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Storage, settings, time."""

    storage: Storage
    settings: RunSettings
    local: bool = False
    """Whether folders may be named in the input document."""
    now: Callable[[], datetime] = field(default=_utc_now)
    seconds_left: Callable[[], float] = field(default=lambda: float("inf"))
    """Until the platform ends the state."""
    progress: Callable[[int, int], None] = field(default=_nobody_looks)
    """Called with what is done and how much there is, for people who look on."""


Event: TypeAlias = Mapping[str, Any]
State: TypeAlias = Callable[[Event, World], Awaitable[Event]]
"""Takes an event and gives it back whole, with its own keys added."""


def parse_payload(event: Event) -> Payload:
    """Return what a state behind the guard was given; ValueError if the guard did not write it."""
    return Payload.model_validate(event)
