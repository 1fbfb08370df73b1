"""What the dispatcher says and counts: one line an event, one line a pass, how fast it goes."""

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

import structlog
from structlog.typing import FilteringBoundLogger

from daemons.dispatcher.job import Ending, Result
from daemons.dispatcher.plan import Send
from daemons.dispatcher.quarantine import Held

log: FilteringBoundLogger = structlog.get_logger()

_HOUR_SECONDS = 3600.0
_REMEMBERED_MAX = 100_000


@dataclass(slots=True)
class PassCounts:
    """Counts of one pass, or of all passes since the start."""

    sent: int = 0
    recorded: int = 0
    """Found whole in the bucket, and only written into the ledger."""
    answered: int = 0
    """Answered by the archive when they were about to be sent."""
    changed: int = 0
    """Left to the next pass: their chunk was another file by then."""
    failed: int = 0
    """Those whose chunk is at fault, also from earlier passes."""
    waiting: int = 0
    """To be sent, and not reached by this pass."""
    bytes: int = 0
    """Seeds sent to S3."""

    def fields(self) -> Mapping[str, object]:
        """Return all counts, for the line `pass_finished`."""
        return asdict(self)

    def add(self, other: "PassCounts") -> None:
        """Add what a later pass has done; what is left is as it left it."""
        for item in fields(self):
            if item.name not in {"failed", "waiting"}:
                setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))
        self.failed, self.waiting = other.failed, other.waiting


@dataclass(slots=True)
class Rate:
    """How many an hour, over the last hour; pure."""

    began: float
    """On the monotonic clock."""
    _times: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_MAX))

    def count(self, now: float) -> None:
        """One more."""
        self._times.append(now)

    def per_hour(self, now: float) -> float:
        """Return the rate; of a process younger than an hour, over its life."""
        while self._times and self._times[0] <= now - _HOUR_SECONDS:
            self._times.popleft()
        seconds = min(_HOUR_SECONDS, max(1.0, now - self.began))
        return round(len(self._times) * _HOUR_SECONDS / seconds, 1)


def tell_sent(cid: str, action: Send, result: Result, seconds: float) -> None:
    """A job is complete."""
    if result.ending is Ending.ALREADY_THERE:
        log.info("cid_recorded", cid=cid, job=str(action.folder))
        return
    log.info(
        "cid_sent",
        cid=cid,
        job=str(action.folder),
        why=action.reason,
        size_bytes=result.size_bytes,
        duration_seconds=round(seconds, 3),
    )


def tell_failed(held: Held) -> None:
    """A chunk is at fault; the log's tail is in the state folder."""
    facts = {"cid": held.cid, "attempts": held.attempts, "exit_status": held.exit_status}
    if held.final:
        log.error("cid_quarantined", **facts, reason=held.reason)
    else:
        log.warning("cid_failed", **facts, reason=held.reason)
