"""What all sites of a run share."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio

from daemons.ingester.account.sessions import Central
from daemons.ingester.project.loading import ProjectSite
from daemons.ingester.speech.transcribe import Transcriber
from daemons.ingester.syncing.transfer import no_step
from daemons.ingester.web.fetch import Web


@dataclass(frozen=True, slots=True)
class RunTools:
    """What all sites of a run share."""

    web: Web
    central: Central | None
    """None with --local-only."""
    transcriptions: anyio.CapacityLimiter
    transcriber_for: Callable[[ProjectSite], Transcriber]
    """UsageError where the settings name no recogniser; asked when there is something to do."""
    started_at: datetime
    """When the run began."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    alive: Callable[[], None] = lambda: None
    step: Callable[[str], None] = no_step
    """Called with a name at every point where a process may die."""
