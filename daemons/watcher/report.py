"""What the watcher says: one line an attempt, one line a pass."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import structlog
from structlog.typing import FilteringBoundLogger

from daemons.watcher.outcome import Ending, Outcome

log: FilteringBoundLogger = structlog.get_logger()

IDLE = "IDLE"
"""What people look for in the log: there was nothing to do."""


@dataclass(slots=True)
class PassCounts:
    """Counts of one pass."""

    processed: int = 0
    """Computed, pushed and committed."""
    adopted: int = 0
    """Committed results that a former owner had pushed."""
    recorded: int = 0
    """Found to be done by others."""
    taken: int = 0
    """Claims that somebody else won."""
    lost: int = 0
    """Claims that somebody else took over."""
    released: int = 0
    failed: int = 0
    """Attempts that failed by the job's own fault, parked ones included."""
    parked: int = 0
    halted: int = 0
    waiting: int = 0
    """Complete jobs that are left: claimed by others, pausing, or not come to."""
    set_aside: int = 0
    """Parked jobs as of now."""
    unfinished: int = 0
    """Jobs without their marker as of now."""

    @property
    def attempted(self) -> int:
        """Claims that were won."""
        done = self.processed + self.adopted + self.failed
        return done + self.lost + self.released + self.halted

    @property
    def state(self) -> str:
        """Return `IDLE` when nothing was worked on."""
        return "BUSY" if self.attempted or self.recorded else IDLE

    def fields(self) -> Mapping[str, object]:
        """Return all counts, for the line `pass_finished`."""
        return {"state": self.state, **asdict(self)}

    def add(self, other: "PassCounts") -> None:
        """Add another pass's counts; what is counted as of now is replaced."""
        for item in fields(self):
            value = getattr(other, item.name)
            if item.name not in {"waiting", "set_aside", "unfinished"}:
                value += getattr(self, item.name)
            setattr(self, item.name, value)


def tell(outcome: Outcome, counts: PassCounts) -> None:
    """Log and count what became of one attempt."""
    cid = outcome.target.cid
    seconds = round(outcome.seconds, 3)
    match outcome.ending:
        case Ending.PROCESSED:
            counts.processed += 1
            facts = {"runout": str(outcome.runout), "rows": outcome.rows}
            log.info("job_processed", cid=cid, **facts, duration_seconds=seconds)
        case Ending.ADOPTED:
            counts.adopted += 1
            log.info("result_adopted", cid=cid, runout=str(outcome.runout))
        case Ending.RECORDED:
            counts.recorded += 1
            log.debug("job_recorded", cid=cid, reason="a watcher of this ledger has done it")
        case Ending.TAKEN:
            counts.taken += 1
            log.debug("claim_not_won", cid=cid)
        case Ending.LOST:
            counts.lost += 1
            log.warning("lease_lost", cid=cid, reason=outcome.reason, duration_seconds=seconds)
        case Ending.RELEASED:
            counts.released += 1
            log.info("lease_released", cid=cid, reason=outcome.reason, duration_seconds=seconds)
        case _:
            _tell_failure(outcome, counts)


def _tell_failure(outcome: Outcome, counts: PassCounts) -> None:
    facts: dict[str, object] = {
        "cid": outcome.target.cid,
        "step": outcome.why.step if outcome.why else "",
        "reason": outcome.reason,
        "duration_seconds": round(outcome.seconds, 3),
    }
    if outcome.ending is Ending.HALTED:
        counts.halted += 1
        log.error("job_halted", **facts, tail=outcome.why.tail if outcome.why else "")
        return
    counts.failed += 1
    if outcome.ending is Ending.PARKED:
        counts.parked += 1
        log.error("job_parked", **facts, attempts=outcome.attempts)
    else:
        log.warning("job_failed", **facts, attempts=outcome.attempts)
