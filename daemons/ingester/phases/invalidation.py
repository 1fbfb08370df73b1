"""Phase 5: a site's distribution forgets the files that a run may have replaced.

A failure is an error of the site and undoes nothing. It stays noted, as an upload does that was
killed before it came here, until a run has made the distribution forget.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.ingester.account.functions import CallFailed, CallRefused
from daemons.ingester.phases.index_marker import PendingMarker
from daemons.ingester.phases.outcome import Outcome

log: FilteringBoundLogger = structlog.get_logger()

PATHS = ("/episode-manifest/*", "/search-entries/*")
STALE = "files were uploaded that caches may have"
"""Why an invalidation is due, for its marker."""
_MILLISECOND = 1000


class Invalidates(Protocol):
    """Who has a distribution forget paths."""

    async def invalidate(self, distribution: str, paths: Sequence[str], reference: str) -> str:
        """Create one invalidation and return its id."""


async def invalidate(
    distributions: Invalidates, marker: PendingMarker, distribution: str, reference: str
) -> Outcome:
    """Create one invalidation for what runs have uploaded; the marker stays until it is accepted.

    The same `reference` never makes two.

    Raises:
        OSError: the marker cannot be written, or does not go: it is done again by the next run.
    """
    await to_thread.run_sync(marker.set, STALE)
    try:
        created = await distributions.invalidate(distribution, PATHS, reference)
    except (CallFailed, CallRefused) as error:
        return Outcome(fatal=f"{error}; the next run tries again")
    log.info("distribution_invalidated", distribution=distribution, invalidation=created)
    await to_thread.run_sync(marker.clear)
    return Outcome()


def run_reference(site_id: str, started_at: datetime) -> str:
    """Return a text that is the same throughout a run of a site, and another for another run."""
    return f"towpath-{site_id}-{int(started_at.timestamp() * _MILLISECOND)}"
