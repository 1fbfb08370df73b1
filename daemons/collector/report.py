"""What the collector says: one line an event, one line a pass, nothing twice."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import structlog
from structlog.typing import FilteringBoundLogger

from daemons.collector.job import Ending, Outcome

log: FilteringBoundLogger = structlog.get_logger()

_NAMES_SHOWN = 20


@dataclass(slots=True)
class PassCounts:
    """Counts of one pass."""

    listed: int = 0
    """Runouts that the listing showed."""
    collected: int = 0
    already_there: int = 0
    """CIDs that were recorded because the central folder had their rows."""
    compared: int = 0
    """Second results whose rows are those of the central table."""
    conflicts: int = 0
    """Results whose rows are others; they stay in the inbox."""
    orphans: int = 0
    waiting: int = 0
    refused: int = 0
    """Results that cannot be merged until a person has acted."""
    failed: int = 0
    """Conflicts, refusals, and results that S3 did not hand over."""
    pulled_bytes: int = 0
    tagged: int = 0
    """CIDs whose objects have the tag by which they may expire."""

    def fields(self) -> Mapping[str, object]:
        """Return all counts, for the line `pass_finished`."""
        return asdict(self)

    def add(self, other: "PassCounts") -> None:
        """Add another pass's counts."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))


def tell(outcome: Outcome, counts: PassCounts, *, news: bool) -> None:
    """Count an outcome, and log it when it says something new."""
    runout = outcome.found.result.runout
    facts = {"cid": runout.cid, "runout": str(runout)}
    counts.pulled_bytes += outcome.pulled
    match outcome.ending:
        case Ending.COLLECTED:
            counts.collected += 1
            log.info("runout_collected", **facts, size_bytes=outcome.pulled)
        case Ending.SAME if outcome.found.recorded:
            counts.compared += 1
            log.info("runout_compared", **facts, reason=outcome.reason or "it has the same rows")
        case Ending.SAME:
            counts.already_there += 1
            log.info("runout_already_there", **facts)
        case Ending.DIFFERENT:
            counts.conflicts += 1
            counts.failed += 1
            if news:
                log.error("runout_in_conflict", **facts, reason=outcome.reason)
        case Ending.ORPHAN:
            counts.orphans += 1
            if news:
                log.warning("runout_orphaned", **facts, reason=outcome.reason)
        case _:
            _tell_unfinished(outcome, counts, facts, news=news)
    _tell_left(outcome, facts)


def _tell_unfinished(
    outcome: Outcome, counts: PassCounts, facts: Mapping[str, str], *, news: bool
) -> None:
    if outcome.ending is Ending.FAILED:
        counts.failed += 1
        code = outcome.error.code if outcome.error else ""
        request = outcome.error.answer.request_id if outcome.error else ""
        log.warning(
            "runout_not_pulled", **facts, code=code, reason=outcome.reason, request_id=request
        )
    elif outcome.ending is Ending.REFUSED:
        counts.refused += 1
        counts.failed += 1
        if news:
            log.error("runout_refused", **facts, reason=outcome.reason)
    else:
        counts.waiting += 1
        if news and outcome.usual:
            log.info("runout_waits", **facts, reason=outcome.reason)
        elif news:
            log.warning("runout_incomplete", **facts, reason=outcome.reason)


def _tell_left(outcome: Outcome, facts: Mapping[str, str]) -> None:
    if outcome.left and outcome.ending in {Ending.COLLECTED, Ending.SAME}:
        log.warning(
            "files_not_merged",
            **facts,
            files=list(outcome.left[:_NAMES_SHOWN]),
            reason="the central folder has others of these names, or no file may have them",
        )
