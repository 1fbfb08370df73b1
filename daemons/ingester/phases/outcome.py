"""The phases of a site in their order, and how each of them can end. Pure.

| status    | because                                                             | exit status |
|-----------|---------------------------------------------------------------------|-------------|
| `ok`      | nothing failed; warnings are no failures                            | 0           |
| `partial` | some items failed, the others are done                              | 1           |
| `failed`  | the phase as a whole could not be done                              | 1           |
| `skipped` | it was not wanted, or there was nothing to do it for                | 0           |
| `blocked` | an earlier failure stands in its way; the reason is given there     | 1           |

Rule: what failed is in the outcome, item by item, and in no log alone; the log's level changes
nothing.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from daemons.ingester.notes import Notes


class Phase(StrEnum):
    """A phase, under the name that the summary and `--skip-...` have for it, in order."""

    PRE_SYNC = "pre-sync"
    CONSISTENCY = "consistency-check"
    RSS = "rss-retrieval"
    AUDIO = "audio-processing"
    SEARCH_ENTRIES = "search-entries"
    UPLOAD = "s3-sync"
    INDEXING = "cloud-indexing"
    INVALIDATION = "cloudfront-invalidation"


class PhaseStatus(StrEnum):
    """How a phase ended."""

    OK = "ok"
    PARTIAL = "partial"
    FAILED = "failed"
    SKIPPED = "skipped"
    BLOCKED = "blocked"

    @property
    def is_bad(self) -> bool:
        """Whether the run has errors because of it."""
        return self in (PhaseStatus.PARTIAL, PhaseStatus.FAILED, PhaseStatus.BLOCKED)


@dataclass(slots=True)
class Outcome:
    """What came of one phase of one site."""

    problems: Notes = field(default_factory=Notes)
    """Items that failed: errors of the phase."""
    warnings: Notes = field(default_factory=Notes)
    """What somebody should know and nothing failed for."""
    fatal: str = ""
    """Why the phase as a whole failed; empty where it did not."""
    blocked: str = ""
    """Why it could not begin."""
    skipped: str = ""
    """Why it was not wanted."""
    told: bool = False
    """Whether an earlier phase has said why: one cause is one error."""
    duration_ms: int = 0

    @property
    def reason(self) -> str:
        """Why the phase as a whole ended as it did, where that needs a reason."""
        return self.blocked or self.fatal or self.skipped

    @property
    def faults(self) -> tuple[str, ...]:
        """What stood in the way of the phase as a whole, and what ended it."""
        return tuple(filter(None, (self.blocked, self.fatal)))

    @property
    def errors(self) -> tuple[str, ...]:
        """Those of the faults that are errors of their own."""
        return () if self.told else self.faults

    @property
    def status(self) -> PhaseStatus:
        """How it ended; the worst counts."""
        if self.blocked:
            return PhaseStatus.BLOCKED
        if self.fatal:
            return PhaseStatus.FAILED
        if self.problems.count:
            return PhaseStatus.PARTIAL
        return PhaseStatus.SKIPPED if self.skipped else PhaseStatus.OK
