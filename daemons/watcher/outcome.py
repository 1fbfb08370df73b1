"""What is attempted, and what becomes of it."""

from dataclasses import dataclass
from enum import Enum

from daemons.watcher.plan import Blamed, Halted
from shared.handshake.claims import SeenLease
from shared.handshake.layout import Runout
from shared.handshake.listing import Job


class Ending(Enum):
    """How an attempt at a CID ended."""

    PROCESSED = "processed"
    ADOPTED = "adopted"
    """A former owner had pushed the result; it was only committed."""
    RECORDED = "recorded"
    """Somebody who shares the ledger was faster."""
    TAKEN = "taken"
    """Somebody else has claimed it."""
    FAILED = "failed"
    PARKED = "parked"
    RELEASED = "released"
    """We are about to stop."""
    LOST = "lost"
    """Somebody else took it over."""
    HALTED = "halted"
    """Something around it is wrong; its lease was given back."""


DONE = frozenset({Ending.PROCESSED, Ending.ADOPTED})


@dataclass(frozen=True, slots=True)
class Target:
    """A CID to attempt."""

    job: Job
    seen: SeenLease | None = None
    """Its lease, over which it is claimed; None where none is."""
    own_fault: bool = False
    """What halts it is its own fault; see `plan.is_own_fault`."""

    @property
    def cid(self) -> str:
        """The CID."""
        return self.job.folder.cid


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt."""

    target: Target
    ending: Ending
    reason: str = ""
    why: Blamed | Halted | None = None
    attempts: int = 0
    runout: Runout | None = None
    rows: int = 0
    seconds: float = 0.0


class AttemptEnded(Exception):
    """An attempt ends before its result; carries whose fault it is."""

    def __init__(self, why: Blamed | Halted) -> None:
        super().__init__(why.reason)
        self.why = why
