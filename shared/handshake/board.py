"""Where every CID stands, how fast it goes and what needs a person, from what was seen. Pure.

Each CID is in one state, the first row that holds:

| seen                                                          | state       | who is next    |
|---------------------------------------------------------------|-------------|----------------|
| the collector reports another result than the central file's  | conflict    | a person       |
| PROD says that it was collected                               | collected   | nobody         |
| its lease is committed, or EC2's ledger has it                | processed   | collector      |
| a whole result of the scripts, and no living claim            | processed   | collector      |
| its lease is parked, or holds something that is no lease      | parked      | a person       |
| its lease is claimed                                          | claimed     | that watcher   |
| a result with a manifest, and the lease was not looked at     | processed   | collector      |
| its lease is released, or its job is complete                 | waiting     | a watcher      |
| PROD says that it was sent                                    | sent        | see below      |
| the dispatcher holds its chunk in quarantine                  | quarantined | a person       |
| the archive has answered it                                   | answered    | nobody         |
| a job without its marker                                      | incomplete  | dispatcher     |
| the dispatcher has its chunk                                  | new         | dispatcher     |

`sent` is what is left of a CID whose job cannot be seen: `from-prod/` may not be listed, or the job
is gone, and then nobody will compute it.

Pace: of the last 1, 6 and 24 hours the shortest in which ten CIDs or more were finished, else the
longest; those finished in it after the first, divided by the time since the first. All moments are
S3's (LastModified), so no restart of a daemon changes it, and silence lowers it.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.handshake.facts import Facts, SeenClaim, SeenSummary
from shared.handshake.lease import LeaseState

SILENT_AFTER = timedelta(minutes=10)
"""A claim without a heartbeat for so long has no owner any more: several times the longest beat."""
OLD_AFTER = timedelta(hours=1)
"""Who has something to do and has said or done nothing for so long is worth a line."""

_WINDOWS = tuple(timedelta(hours=hours) for hours in (1, 6, 24))
_ENOUGH = 10
_SHORTEST_SPAN = timedelta(seconds=10)


class State(StrEnum):
    """Where a CID stands, in the order of its life."""

    NEW = "new"
    ANSWERED = "answered"
    QUARANTINED = "quarantined"
    INCOMPLETE = "incomplete"
    SENT = "sent"
    WAITING = "waiting"
    CLAIMED = "claimed"
    PARKED = "parked"
    PROCESSED = "processed"
    COLLECTED = "collected"
    CONFLICT = "conflict"


NEEDS_A_PERSON = frozenset({State.PARKED, State.QUARANTINED, State.CONFLICT})
_TO_DO = frozenset({State.NEW, State.INCOMPLETE, State.SENT, State.WAITING, State.CLAIMED})
_NOT_SENT = frozenset({State.NEW, State.ANSWERED, State.QUARANTINED, State.INCOMPLETE})


@dataclass(frozen=True, slots=True)
class Pace:
    """How many an hour."""

    per_hour: float
    window: timedelta
    count: int
    """How many were finished in the window."""


@dataclass(frozen=True, slots=True)
class Row:
    """One CID for a table."""

    cid: str
    state: State
    since: datetime | None
    """On S3's clock; None where S3 does not know."""
    reason: str


@dataclass(frozen=True, slots=True)
class Board:
    """Where everything stands."""

    now: datetime
    states: Mapping[str, State]
    facts: Facts
    sent: int
    """CIDs that were sent, whatever has become of them."""
    sending: Pace | None
    processing: Pace | None
    remaining: int
    """CIDs that are still to be processed, without those that need a person first."""
    warnings: Sequence[str]

    @property
    def counts(self) -> Mapping[State, int]:
        """How many CIDs are in each state."""
        counts = dict.fromkeys(State, 0)
        for state in self.states.values():
            counts[state] += 1
        return counts

    @property
    def is_alive(self) -> bool:
        """Whether somebody computes: a claim has its heartbeat, or something was finished lately.

        Where the scripts work there are no claims, and a CID may take them long.
        """
        claims = list(self.facts.claims.values())
        if any(not self.is_silent(claim) for claim in _held(self)):
            return True
        lately = self.now - (SILENT_AFTER if claims else OLD_AFTER)
        finished = _given(result.finished_at for result in self.facts.results.values())
        return any(moment > lately for moment in finished)

    @property
    def time_left(self) -> timedelta | None:
        """Until everything that needs no person is processed; None: not known."""
        if not self.remaining:
            return timedelta(0)
        if self.processing is None or not self.is_alive:
            return None
        hours = self.remaining / self.processing.per_hour
        return timedelta(hours=hours) if hours < 24 * 365 * 100 else None

    def rows(self, *wanted: State) -> Iterator[Row]:
        """Yield the CIDs in these states, in their order."""
        return self.rows_of(*sorted(cid for cid, state in self.states.items() if state in wanted))

    def rows_of(self, *cids: str) -> Iterator[Row]:
        """Yield these CIDs, as far as anything is known of them."""
        notes = _notes(self.facts)
        for cid in cids:
            state = self.states.get(cid)
            if state is not None:
                yield Row(cid, state, _since(cid, state, self.facts), _reason(cid, self, notes))

    def told(self, cid: str) -> Iterator[str]:
        """Yield what each summary and ledger says of a CID."""
        for seen in self.facts.summaries:
            summary = seen.summary
            states = ", ".join(state for state, cids in summary.cids.items() if cid in cids)
            note = summary.notes.get(cid, "")
            if states or note:
                yield f"{summary.service}: {'; '.join(filter(None, (states, note)))}"
        for name, (state, cids) in sorted(self.facts.ledgers.items()):
            if cid in cids:
                yield f"{name}: {state}"

    def is_silent(self, claim: SeenClaim) -> bool:
        """Tell whether the owner of a claim has not been heard of for too long."""
        return self.now - claim.written_at > SILENT_AFTER

    def is_old(self, seen: SeenSummary) -> bool:
        """Tell whether a daemon has said nothing for long although it has something to do."""
        if self.now - seen.written_at <= OLD_AFTER:
            return False
        cids = seen.summary.cids
        late = any(self.states.get(cid) is State.NEW for cid in cids.get("new", ()))
        return late or ("collected" in cids and self._waits_for_collection())

    def _waits_for_collection(self) -> bool:
        limit = self.now - OLD_AFTER
        for cid, state in self.states.items():
            result = self.facts.results.get(cid)
            finished_at = None if result is None else result.finished_at
            if state is State.PROCESSED and finished_at is not None and finished_at < limit:
                return True
        return False


def make_board(facts: Facts, now: datetime) -> Board:
    """Decide where every CID stands; `now` is brought forward to the newest moment seen."""
    newest = max(_moments(facts), default=now)
    states = dict(_states(facts))
    remaining = sum(state in _TO_DO for state in states.values())
    board = Board(
        now=max(now, newest),
        states=states,
        facts=facts,
        sent=sum(state not in _NOT_SENT for state in states.values()),
        sending=pace_of(_given(job.sent_at for job in facts.jobs.values()), max(now, newest)),
        processing=pace_of(
            _given(result.finished_at for result in facts.results.values()), max(now, newest)
        ),
        remaining=remaining,
        warnings=(),
    )
    return replace(board, warnings=tuple(_warnings(board, newest - now)))


def pace_of(moments: Iterable[datetime], now: datetime) -> Pace | None:
    """Return how fast it has gone lately; None when nothing can be said."""
    ordered = sorted(moments)
    for window in _WINDOWS:
        recent = ordered[bisect_left(ordered, now - window) :]
        if len(recent) >= _ENOUGH or window == _WINDOWS[-1]:
            return _pace(recent, now, window)
    return None


def _pace(recent: Sequence[datetime], now: datetime, window: timedelta) -> Pace | None:
    if len(recent) <= 1 or (span := now - recent[0]) < _SHORTEST_SPAN:
        return None
    return Pace((len(recent) - 1) / (span / timedelta(hours=1)), window, len(recent))


def _states(facts: Facts) -> Iterator[tuple[str, State]]:
    said = {state: facts.said(state) for state in State}
    known = set(facts.jobs).union(facts.results, facts.claims, *said.values())
    for cid in known:
        state = _said_at_the_end(cid, said) or _in_bucket(cid, facts, said)
        if state is not None:
            yield cid, state


_Said = Mapping[State, AbstractSet[str]]


def _said_at_the_end(cid: str, said: _Said) -> State | None:
    for state in (State.CONFLICT, State.COLLECTED, State.PROCESSED):
        if cid in said[state]:
            return state
    return None


def _in_bucket(cid: str, facts: Facts, said: _Said) -> State | None:
    result, claim = facts.results.get(cid), facts.claims.get(cid)
    of_scripts = result is not None and result.finished_at is not None and not result.has_manifest
    if claim is not None:
        return _of_claim(claim, of_scripts=of_scripts)
    if result is not None and result.finished_at is not None:
        return State.PROCESSED
    return _of_job(cid, facts, said)


def _of_claim(claim: SeenClaim, *, of_scripts: bool) -> State:
    state = None if claim.lease is None else claim.lease.state
    if state is LeaseState.COMMITTED or (of_scripts and state is not LeaseState.CLAIMED):
        return State.PROCESSED
    if state is LeaseState.CLAIMED:
        return State.CLAIMED
    return State.WAITING if state is LeaseState.RELEASED else State.PARKED


def _of_job(cid: str, facts: Facts, said: _Said) -> State | None:
    job = facts.jobs.get(cid)
    if job is not None and job.sent_at is not None:
        return State.WAITING
    for state in (State.SENT, State.QUARANTINED, State.ANSWERED):
        if cid in said[state]:
            return state
    if job is not None:
        return State.INCOMPLETE
    # A collector may speak of a CID of which there is nothing else to see.
    return State.NEW if cid in said[State.NEW] else None


def _since(cid: str, state: State, facts: Facts) -> datetime | None:
    if state in {State.CLAIMED, State.PARKED}:
        claim = facts.claims.get(cid)
        return None if claim is None else claim.written_at
    if state in {State.PROCESSED, State.COLLECTED}:
        result = facts.results.get(cid)
        return None if result is None else result.finished_at
    job = facts.jobs.get(cid)
    if job is None or state not in {State.WAITING, State.INCOMPLETE}:
        return None
    return job.sent_at or job.begun_at


def _reason(cid: str, board: Board, notes: Mapping[str, str]) -> str:
    claim = board.facts.claims.get(cid)
    if claim is not None and board.states[cid] in {State.PARKED, State.WAITING, State.CLAIMED}:
        return _words(claim)
    if board.states[cid] is State.SENT and board.facts.jobs_seen:
        return "PROD has sent it, and its job is not in the bucket"
    return notes.get(cid, "")


def _words(claim: SeenClaim) -> str:
    lease = claim.lease
    if lease is None:
        return f"its lease cannot be read: {claim.fault}"
    if lease.state is LeaseState.CLAIMED:
        return f"by {lease.owner.host} since {lease.since}"
    if lease.attempts:
        return f"{lease.reason} (attempt {lease.attempts})"
    return lease.reason


def _notes(facts: Facts) -> Mapping[str, str]:
    notes: dict[str, str] = {}
    for seen in facts.summaries:
        for cid, note in seen.summary.notes.items():
            notes[cid] = f"{notes[cid]}; {note}" if cid in notes else note
    return notes


def _warnings(board: Board, behind: timedelta) -> Iterator[str]:
    counts, facts = board.counts, board.facts
    if behind > timedelta(minutes=1):
        seconds = int(behind.total_seconds())
        yield f"this machine's clock is {seconds} s behind S3's; ages are counted from S3's"
    for seen in facts.summaries:
        if board.is_old(seen):
            yield f"{seen.summary.service} has something to do and has said nothing for long"
    if counts[State.SENT] and facts.jobs_seen:
        yield f"{counts[State.SENT]} CIDs were sent by PROD's word, and have no job in the bucket"
    told = any("collected" in seen.summary.cids for seen in facts.summaries)
    if counts[State.PROCESSED] and not told and not facts.said("collected"):
        yield "nobody says what was collected: there is no summary of it, and no ledger here"
    if counts[State.WAITING] and facts.claims_seen and not _somebody_works(board):
        yield f"{counts[State.WAITING]} CIDs wait, and no watcher is heard of"
    if facts.claims_seen and (silent := sum(map(board.is_silent, _held(board)))):
        yield f"{silent} claims are without heartbeat; a watcher that runs takes them over"


def _somebody_works(board: Board) -> bool:
    """Tell whether a watcher lives, or has had no time yet to be seen."""
    recently = board.now - SILENT_AFTER
    facts = board.facts
    if any(not board.is_silent(claim) for claim in _held(board)):
        return True
    finished = _given(result.finished_at for result in facts.results.values())
    if any(moment > board.now - OLD_AFTER for moment in finished):
        return True
    sent = _given(
        facts.jobs[cid].sent_at
        for cid, state in board.states.items()
        if state is State.WAITING and cid in facts.jobs
    )
    return not any(moment < recently for moment in sent)


def _held(board: Board) -> Iterator[SeenClaim]:
    for cid, claim in board.facts.claims.items():
        if board.states.get(cid) is State.CLAIMED:
            yield claim


def _moments(facts: Facts) -> Iterator[datetime]:
    yield from _given(job.sent_at or job.begun_at for job in facts.jobs.values())
    yield from _given(result.finished_at for result in facts.results.values())
    yield from (claim.written_at for claim in facts.claims.values())
    yield from (seen.written_at for seen in facts.summaries)


def _given(moments: Iterable[datetime | None]) -> Iterator[datetime]:
    return (moment for moment in moments if moment is not None)
