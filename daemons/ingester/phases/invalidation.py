"""Phase 5: a site's distribution forgets the files that a run may have replaced.

A failure is an error of the site and undoes nothing: what is cached expires by itself.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import structlog
from structlog.typing import FilteringBoundLogger

from daemons.ingester.account.functions import CallFailed, CallRefused
from daemons.ingester.phases.outcome import Outcome

log: FilteringBoundLogger = structlog.get_logger()

PATHS = ("/episode-manifest/*", "/search-entries/*")
_MILLISECOND = 1000


class Invalidates(Protocol):
    """Who has a distribution forget paths."""

    async def invalidate(self, distribution: str, paths: Sequence[str], reference: str) -> str:
        """Create one invalidation and return its id."""


async def invalidate(distributions: Invalidates, distribution: str, reference: str) -> Outcome:
    """Create one invalidation for what a run uploads; the same `reference` never makes two."""
    try:
        created = await distributions.invalidate(distribution, PATHS, reference)
    except (CallFailed, CallRefused) as error:
        return Outcome(fatal=str(error))
    log.info("distribution_invalidated", distribution=distribution, invalidation=created)
    return Outcome()


def run_reference(site_id: str, started_at: datetime) -> str:
    """Return a text that is the same throughout a run of a site, and another for another run."""
    return f"towpath-{site_id}-{int(started_at.timestamp() * _MILLISECOND)}"
