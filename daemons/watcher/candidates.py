"""The CIDs that are not in the ledger, and what is known of each. No I/O, and no clock.

What was learnt of a CID lasts until something happens to it: a new result, a new report, a claim
that was lost. Then its lease is read again, and only then.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from daemons.watcher.outcome import Ending, Outcome, Target
from daemons.watcher.plan import Leave, Retry, Standing, is_own_fault
from shared.handshake.claims import SeenLease
from shared.handshake.layout import JobFolder, closest_name
from shared.handshake.lease import LeaseState
from shared.handshake.listing import Job, Result

_RESULTS_NOTED = 8
_FOLDERS_LISTED = 2000


@dataclass(slots=True)
class Candidate:
    """A complete job whose CID is not in the ledger."""

    job: Job
    standing: Standing = Standing.NEW
    seen: SeenLease | None = None
    due: float = 0.0
    """When it may be claimed, on our clock."""
    not_before: float = 0.0
    """The same, after it halted here."""
    report: str = ""
    """ETag of the failure report that was there when its lease was last read."""
    results: dict[str, Result] = field(default_factory=dict)
    """Results that lie there, by name, of which we have taken note."""
    halts: int = 0
    done_before_halt: int = 0

    @property
    def cid(self) -> str:
        """The CID."""
        return self.job.folder.cid


class Candidates:
    """All of them, in a bounded number: a CID has five digits."""

    def __init__(self, *, attempts: int) -> None:
        self._attempts = attempts
        self._all: dict[str, Candidate] = {}
        self._reports: Mapping[str, str] = {}
        self._done = 0

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(list(self._all.values()))

    def get(self, cid: str) -> Candidate | None:
        """Return a candidate, if it is one."""
        return self._all.get(cid)

    def of(self, *standings: Standing) -> list[Candidate]:
        """Return those of some standings, in CID order."""
        found = [one for one in self._all.values() if one.standing in standings]
        return sorted(found, key=lambda one: one.cid)

    def add(self, job: Job) -> None:
        """Take note of a complete job; of several for one CID the last folder counts."""
        cid = job.folder.cid
        known = self._all.get(cid)
        if known is None:
            self._all[cid] = Candidate(job)
        elif job.folder >= known.job.folder:
            known.job = job

    def keep(self, cids: AbstractSet[str]) -> None:
        """Forget every CID but these: its job is gone."""
        self._all = {cid: one for cid, one in self._all.items() if cid in cids}

    def drop(self, cid: str) -> None:
        """Forget a CID: it is done."""
        self._all.pop(cid, None)

    def note_result(self, result: Result) -> None:
        """Take note of a result: the CID may have been done, by us or by the scripts.

        One without a table is no result yet: it was begun, by somebody who may be dead.
        """
        one = self._all.get(result.runout.cid)
        if one is None or one.standing not in {Standing.NEW, Standing.SCRIPTS}:
            return
        name, table = str(result.runout), closest_name(one.cid)
        if result.manifest is None and table not in result.files:
            return
        known = one.results.get(name)
        news = known is None or (known.manifest is None and result.manifest is not None)
        if news and len(one.results) >= _RESULTS_NOTED:
            return
        one.results[name] = result
        if news:
            one.standing = Standing.SCRIPTS if result.manifest is None else Standing.UNREAD

    def note_reports(self, reports: Mapping[str, str], *, full: bool) -> None:
        """Take note of the failure reports, CID to ETag; what changed tells of a lease's change."""
        self._reports = reports
        for one in self._all.values():
            report = reports.get(one.cid, "")
            if one.standing is Standing.NEW:
                changed = bool(report) and report != one.report
            elif one.standing is Standing.PARKED:
                changed = full or report != one.report
            else:
                changed = full and one.standing is Standing.UNREADABLE
            if changed:
                one.standing = Standing.UNREAD

    def ask_holders(self) -> None:
        """Have the leases read of all CIDs that others had claimed when they were last read."""
        for one in self._all.values():
            claimed = one.seen is not None and one.seen.lease.state is LeaseState.CLAIMED
            if one.standing is Standing.HELD and claimed:
                one.standing = Standing.UNREAD

    def learn(self, cid: str, seen: SeenLease | None, verdict: Retry | Leave) -> None:
        """Take note of what a lease said."""
        one = self._all[cid]
        one.report = self._reports.get(cid, "")
        one.seen = seen
        if isinstance(verdict, Leave):
            one.standing = Standing.PARKED
            return
        one.standing = Standing.NEW if seen is None else Standing.HELD
        one.due = verdict.due

    def claimable(self, now: float) -> list[Candidate]:
        """Return those that may be claimed now, in CID order; those that halted come last.

        Whether what halted one is around it, or in it, the others tell.
        """
        found = [
            one
            for one in self.of(Standing.NEW, Standing.HELD)
            if max(one.due, one.not_before) <= now
        ]
        return sorted(found, key=lambda one: one.halts > 0)

    def target(self, one: Candidate) -> Target:
        """Return what is attempted; until its outcome is known, its lease counts as unread."""
        one.standing = Standing.UNREAD
        own_fault = is_own_fault(
            halts=one.halts,
            attempts=self._attempts,
            others_went_well=self._done > one.done_before_halt,
        )
        return Target(one.job, one.seen, own_fault)

    def settle(self, outcome: Outcome, *, not_before: float) -> None:
        """Take note of what became of an attempt; one that halted is left alone for a while."""
        one = self._all.get(outcome.target.cid)
        match outcome.ending:
            case Ending.PROCESSED | Ending.ADOPTED | Ending.RECORDED:
                self._done += outcome.ending is not Ending.RECORDED
                self.drop(outcome.target.cid)
            case Ending.HALTED if one is not None:
                one.done_before_halt = one.done_before_halt if one.halts else self._done
                one.halts += 1
                one.not_before = not_before


class JobsSeen:
    """One listing of jobs, in the order of their names, and where the next one has to begin.

    A job may be sent on any day after those that were listed, and in any order within the newest
    day; one that was incomplete may be complete the next time. So the next listing begins before
    the first of these, but never more than a bounded number of folders back: what is older is found
    by the next full look.
    """

    def __init__(self, start: JobFolder | None) -> None:
        self.start = start
        self.complete: set[str] = set()
        self.unfinished = 0
        self._starts: list[JobFolder | None] = []
        self._before_day: JobFolder | None = start
        self._day = ""
        self._recent: deque[JobFolder | None] = deque([start], maxlen=_FOLDERS_LISTED)

    def take(self, job: Job) -> None:
        """Take note of the next job."""
        before = self._recent[-1]
        if job.folder.stamp != self._day:
            self._day, self._before_day = job.folder.stamp, before
        self._recent.append(job.folder)
        if job.complete:
            self.complete.add(job.folder.cid)
        else:
            self.unfinished += 1
            self._starts = self._starts or [before]

    def resume(self) -> JobFolder | None:
        """Return the folder behind which the next listing begins; None: at the beginning."""
        floor = self._recent[0]
        starts = [start for start in (*self._starts, self._before_day) if start is not None]
        if len(starts) <= len(self._starts):
            return floor
        return min(starts) if floor is None else max(floor, min(starts))
