"""Phase 4: whoever has a part in the index is told, run after run, until it is accepted.

| mode    | what is told                                                       | the marker goes  |
|---------|--------------------------------------------------------------------|------------------|
| `cloud` | `srt-indexing-{site}`: build it                                    | once accepted    |
| `local` | `search-api-{site}`: load the one that was built here and uploaded | once accepted    |
| `none`  | nobody                                                             | by hand          |

What is accepted may still fail where nobody sees it: `IndexWait` looks for the new index in S3.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

import anyio
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.ingester.account.functions import CallFailed, CallRefused
from daemons.ingester.account.roles import INDEXING, SEARCHING, function_name
from daemons.ingester.archive.folders import INDEX_PATH
from daemons.ingester.phases.index_marker import PendingMarker
from daemons.ingester.phases.outcome import Outcome
from shared.s3.errors import NotFound, ObjectError
from shared.s3.store import ObjectStore
from shared.s3.uri import S3Uri

log: FilteringBoundLogger = structlog.get_logger()

_ABSENT = datetime(1, 1, 1, tzinfo=UTC)
_POLL_SECONDS = 5.0
_TELL_SECONDS = 30.0


class IndexMode(StrEnum):
    """Who builds the index."""

    CLOUD = "cloud"
    LOCAL = "local"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class IndexOrder:
    """What is to be done about a site's index that is due."""

    site_id: str
    mode: str = IndexMode.CLOUD
    reason: str = "files were uploaded"
    """Why it is due, for the marker."""

    @property
    def function(self) -> str:
        """Who is told; empty for nobody."""
        if self.mode == IndexMode.NONE:
            return ""
        told = SEARCHING if self.mode == IndexMode.LOCAL else INDEXING
        return function_name(told, self.site_id)

    @property
    def payload(self) -> bytes:
        """What is said."""
        return b'{"forceFreshDBFileDownload": true}' if self.mode == IndexMode.LOCAL else b"{}"


@dataclass(slots=True)
class IndexReport:
    """What came of the phase."""

    outcome: Outcome = field(default_factory=Outcome)
    triggered: bool = False
    """Somebody was to be told."""
    accepted: bool = False
    confirmed: bool | None = None
    """Whether the new index was seen in S3; None where nobody waited."""


class Invokes(Protocol):
    """Who invokes functions."""

    async def invoke_event(self, name: str, payload: bytes) -> None:
        """Have a function run some time soon."""


async def trigger_index(
    functions: Invokes,
    marker: PendingMarker,
    order: IndexOrder,
    *,
    wait: "IndexWait | None" = None,
) -> IndexReport:
    """Have an index that is due built, or loaded; the marker stays until that is accepted.

    With `wait`, and where a function builds the index, it is waited for.
    """
    report = IndexReport()
    try:
        # Also one that nothing was uploaded for: if the call fails, the next run makes it.
        await to_thread.run_sync(marker.set, order.reason)
    except OSError as error:
        report.outcome.fatal = f"the note that an index is due cannot be written: {error}"
        return report
    if not order.function:
        report.outcome.skipped = "nobody is told with --index-mode none; it stays noted as due"
        return report
    watch = wait if order.mode == IndexMode.CLOUD else None
    before = None if watch is None else await watch.look()
    report.triggered = True
    try:
        await functions.invoke_event(order.function, order.payload)
    except (CallFailed, CallRefused) as error:
        report.outcome.fatal = f"{error}; the next run tries again"
        return report
    report.accepted = True
    log.info("index_triggered", site=order.site_id, function=order.function)
    await _clear(marker, report)
    if watch is not None:
        report.confirmed = await watch.until_later(before)
        if not report.confirmed:
            report.outcome.warnings.add(INDEX_PATH, watch.complaint)
    return report


async def _clear(marker: PendingMarker, report: IndexReport) -> None:
    try:
        await to_thread.run_sync(marker.clear)
    except OSError as error:
        said = f"accepted, but the note that it is due stays, and with it the next call: {error}"
        report.outcome.warnings.add(INDEX_PATH, said)


@dataclass(frozen=True, slots=True)
class IndexWait:
    """Looks for a site's new index in S3, for a while."""

    store: ObjectStore
    bucket: str
    seconds: float
    alive: Callable[[], None] = lambda: None
    """Called at every look."""
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep

    @property
    def complaint(self) -> str:
        """What to say when it did not appear."""
        return (
            f"index not confirmed: no newer one within {self.seconds:g} s; look at the log of the "
            "function that builds it"
        )

    async def look(self) -> datetime | None:
        """Return when the index was written, by the clock of S3; None if that is not known."""
        try:
            held = await self.store.head(S3Uri(self.bucket, INDEX_PATH))
        except NotFound:
            return _ABSENT
        except ObjectError as error:
            log.warning("index_not_looked_at", bucket=self.bucket, reason=str(error))
            return None
        return held.modified_at

    async def until_later(self, before: datetime | None) -> bool:
        """Wait for an index that is newer than `before`; where that is not known, than the first.

        The two times are S3's own: our clock need not agree with it.
        """
        told_at = anyio.current_time()
        with anyio.move_on_after(self.seconds):
            while True:
                self.alive()
                now = await self.look()
                before = now if before is None else before
                if now is not None and before is not None and now > before:
                    log.info("index_confirmed", bucket=self.bucket, written_at=now.isoformat())
                    return True
                if anyio.current_time() - told_at >= _TELL_SECONDS:
                    told_at = anyio.current_time()
                    log.info("index_awaited", bucket=self.bucket)
                await self.sleep(_POLL_SECONDS)
        return False
