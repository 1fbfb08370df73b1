"""The board as people read it: sums first, then what needs a person, then who works. Pure.

Whatever came from outside was cleaned where it was read (`fields.one_line`), so a line is a line on
any terminal. Rule: however many CIDs there are, the table stays one that fits on a screen or two.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from shared.handshake.board import NEEDS_A_PERSON, Board, Pace, Row, State
from shared.handshake.facts import SeenClaim, SeenSummary
from shared.handshake.lease import LeaseState
from shared.handshake.summary import pack_cids

ROWS_MAX = 30
"""Rows of one part of the table."""
ROWS_ASKED_MAX = 1000
"""Rows of a state that was asked for; the rest are given as ranges."""
_REASON_MAX = 160

_MEANINGS = {
    State.NEW: "chunks on PROD, not sent yet",
    State.ANSWERED: "answered by TAP, need nothing",
    State.QUARANTINED: "bad chunks, held back by the dispatcher",
    State.INCOMPLETE: "jobs without their marker",
    State.SENT: "sent by PROD's word, no job to be seen",
    State.WAITING: "complete jobs that nobody works on",
    State.CLAIMED: "being computed",
    State.PARKED: "failed too often, given up",
    State.PROCESSED: "computed, not collected yet",
    State.COLLECTED: "merged on PROD",
    State.CONFLICT: "a second result differs",
}


def board_lines(board: Board, where: str) -> list[str]:
    """Return the whole table; `where` names the hand-shake."""
    parts = [
        _sums(board, where),
        _rows("needs a person", board, list(board.rows(*NEEDS_A_PERSON))),
        _claims(board),
        _sources(board),
        _listed("not seen", board.facts.unseen),
        _listed("makes no sense", board.facts.faults),
        _listed("watch out", board.warnings),
    ]
    return [line for part in parts if part for line in (*part, "")][:-1]


def state_lines(board: Board, state: State) -> list[str]:
    """Return the CIDs in one state, a line each."""
    rows = board.rows(state)
    lines = [_row(board, row, _MEANINGS.get(state, "")) for row in islice(rows, ROWS_ASKED_MAX)]
    if rest := pack_cids(row.cid for row in rows):
        lines.append(f"  and {rest}")
    return lines or [f"  no CID is {state}"]


def duration(span: timedelta) -> str:
    """Return a span of time in one unit and the next smaller one."""
    seconds = max(0, int(span.total_seconds()))
    for size, name, below, small in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= size:
            rest = seconds % size // below
            # "17 min 3 s" says more than anybody wants to know beyond ten minutes.
            whole = f"{seconds // size} {name}"
            return whole if not rest or seconds >= 10 * size else f"{whole} {rest} {small}"
    return f"{seconds} s"


def moment(at: datetime | None) -> str:
    """Return a moment as people write it, in UTC."""
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M:%SZ}"


def _sums(board: Board, where: str) -> list[str]:
    lines = [f"{where} at {moment(board.now)}", ""]
    lines += [
        f"  {state:<12}{count:>8,}  {_MEANINGS[state]}"
        for state, count in board.counts.items()
        if count
    ]
    lines.append(f"  {'total':<12}{len(board.states):>8,}  {board.sent:,} of them sent")
    lines += ["", f"  {'pace':<12}{_pace(board.processing, 'processed', 'finished')}"]
    if board.sending is not None:
        lines.append(f"  {'':<12}{_pace(board.sending, 'sent', 'sent')}")
    lines.append(f"  {'time left':<12}{_time_left(board)}")
    return lines


def _pace(pace: Pace | None, what: str, counted: str) -> str:
    if pace is None:
        return f"not known: fewer than two CIDs were {counted} in the last 24 h"
    hours = pace.window // timedelta(hours=1)
    rate = f"{pace.per_hour:,.0f}" if pace.per_hour >= 100 else f"{pace.per_hour:.1f}"  # noqa: PLR2004 - three digits say enough
    return f"{rate} {what} an hour ({pace.count:,} were {counted} in the last {hours} h)"


def _time_left(board: Board) -> str:
    left = board.time_left
    if not board.remaining:
        return "nothing is left to compute"
    are = "CID is" if board.remaining == 1 else "CIDs are"
    if not board.is_alive:
        return f"not known, nobody is heard of; {board.remaining:,} {are} left to compute"
    if left is None:
        return f"not known; {board.remaining:,} {are} left to compute"
    those = "CID that is" if board.remaining == 1 else "CIDs that are"
    return f"{duration(left)} for the {board.remaining:,} {those} left to compute"


def _rows(title: str, board: Board, rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    lines = [f"{title} ({len(rows):,})"]
    lines += [_row(board, row, "") for row in rows[:ROWS_MAX]]
    return lines + _more(len(rows), "`--state parked` and so on list them")


def _row(board: Board, row: Row, otherwise: str) -> str:
    age = "" if row.since is None else f"{duration(board.now - row.since)} ago"
    return f"  {row.cid}  {row.state:<12}{age:<18}{cut(row.reason or otherwise)}".rstrip()


def _claims(board: Board) -> list[str]:
    claims = sorted(
        (cid, claim)
        for cid, claim in board.facts.claims.items()
        if board.states.get(cid) is State.CLAIMED
    )
    if not claims:
        return []
    lines = [f"claimed ({len(claims):,})"]
    lines += [f"  {cid}  {claim_line(board, claim)}" for cid, claim in claims[:ROWS_MAX]]
    return lines + _more(len(claims), "`--state claimed` lists them")


def claim_line(board: Board, claim: SeenClaim) -> str:
    """Return what a lease says, on one line."""
    lease = claim.lease
    if lease is None:
        return f"cannot be read: {cut(claim.fault)}"
    heard = f"{duration(board.now - claim.written_at)} ago"
    words = f"{lease.owner.host} ({lease.owner.process[:12]}), since {lease.since}"
    if lease.state is LeaseState.CLAIMED:
        words += f", heartbeat {heard}" + (", SILENT" if board.is_silent(claim) else "")
    else:
        words = f"{lease.state} {heard} by {words}"
    if lease.generation > 1:
        words += f", generation {lease.generation}"
    return words + (f", failed {lease.attempts} times before" if lease.attempts else "")


def _sources(board: Board) -> list[str]:
    lines = [_summary(board, seen) for seen in board.facts.summaries]
    lines += [
        f"  {name:<16}{len(cids):,} {state}, read here"
        for name, (state, cids) in sorted(board.facts.ledgers.items())
    ]
    return ["who says so", *lines] if lines else []


def _summary(board: Board, seen: SeenSummary) -> str:
    said = ", ".join(f"{len(cids):,} {state}" for state, cids in seen.summary.cids.items() if cids)
    old = "  OLD" if board.is_old(seen) else ""
    age = duration(board.now - seen.written_at)
    return f"  {seen.summary.service:<16}{age} ago on {seen.summary.host}: {said or 'nothing'}{old}"


def _listed(title: str, lines: Iterable[str]) -> list[str]:
    shown = list(lines)
    if not shown:
        return []
    return [title, *(f"  {line}" for line in shown[:ROWS_MAX]), *_more(len(shown), "--json")]


def _more(count: int, hint: str) -> list[str]:
    return [f"  and {count - ROWS_MAX:,} more; {hint}"] if count > ROWS_MAX else []


def cut(text: str) -> str:
    """Return the text, not too long for a row."""
    return text if len(text) <= _REASON_MAX else f"{text[: _REASON_MAX - 3]}..."


def indented(text: str) -> Iterator[str]:
    """Yield the lines of a text, set off."""
    return (f"    {line}" for line in text.splitlines())
