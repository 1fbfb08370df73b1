"""The board as programs read it: `status --json`. Pure; docs/formats.md names every field."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta

from shared.handshake.board import NEEDS_A_PERSON, Board, Pace, Row, State
from shared.handshake.facts import SeenClaim, Story
from shared.handshake.layout import Layout
from shared.handshake.listing import Job, Result
from shared.handshake.summary import pack_cids
from shared.s3.store import ObjectInfo

SCHEMA = 1
"""Raised when a reader of an older version could misunderstand the document."""


def board_record(board: Board, layout: Layout) -> dict[str, object]:
    """Return the whole board."""
    members: dict[State, list[str]] = {state: [] for state in State}
    for cid, state in board.states.items():
        members[state].append(cid)
    return {
        **_head(board, layout),
        "counts": {state.value: len(cids) for state, cids in members.items()},
        "total": len(board.states),
        "sent": board.sent,
        "remaining": board.remaining,
        "hours_left": _hours(board.time_left),
        "processing": _pace(board.processing),
        "sending": _pace(board.sending),
        "cids": {state.value: pack_cids(cids) for state, cids in members.items()},
        "people": [_row(row) for row in board.rows(*NEEDS_A_PERSON)],
        "claimed": [
            {"cid": cid, **_claim(board, claim)}
            for cid, claim in sorted(board.facts.claims.items())
            if board.states.get(cid) is State.CLAIMED
        ],
        "summaries": [
            {
                "service": seen.summary.service,
                "host": seen.summary.host,
                "written_at": _at(seen.written_at),
                "age_seconds": (board.now - seen.written_at).total_seconds(),
                "old": board.is_old(seen),
                "per_hour": seen.summary.per_hour,
                "counts": {state: len(cids) for state, cids in seen.summary.cids.items()},
            }
            for seen in board.facts.summaries
        ],
        "ledgers": {
            name: {"state": state, "count": len(cids)}
            for name, (state, cids) in sorted(board.facts.ledgers.items())
        },
    }


def state_record(board: Board, layout: Layout, state: State) -> dict[str, object]:
    """Return the CIDs in one state."""
    rows = [_row(row) for row in board.rows(state)]
    return {**_head(board, layout), "state": state.value, "rows": rows}


def story_record(board: Board, layout: Layout, story: Story) -> dict[str, object]:
    """Return what is known of one CID."""
    row = next(iter(board.rows_of(story.cid)), None)
    claim = board.facts.claims.get(story.cid)
    report = story.report
    return {
        **_head(board, layout),
        "cid": story.cid,
        "state": None if row is None else row.state.value,
        "since": None if row is None else _at(row.since),
        "reason": "" if row is None else row.reason,
        "told": list(board.told(story.cid)),
        "jobs": [_job(job) for job in story.jobs],
        "lease": None if claim is None else _claim(board, claim),
        "results": [_result(result) for result in story.results],
        "failure": None if report is None else {**asdict(report), "job": str(report.job)},
    }


def _head(board: Board, layout: Layout) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "bucket": layout.bucket,
        "prefix": layout.prefix,
        "at": _at(board.now),
        "warnings": list(board.warnings),
        "unseen": list(board.facts.unseen),
        "faults": list(board.facts.faults),
    }


def _row(row: Row) -> dict[str, object]:
    return {
        "cid": row.cid,
        "state": row.state.value,
        "since": _at(row.since),
        "reason": row.reason,
    }


def _claim(board: Board, claim: SeenClaim) -> dict[str, object]:
    lease = claim.lease
    if lease is None:
        return {"state": None, "written_at": _at(claim.written_at), "fault": claim.fault}
    return {
        "state": lease.state.value,
        "written_at": _at(claim.written_at),
        "silent": board.is_silent(claim),
        "host": lease.owner.host,
        "process": lease.owner.process,
        "instance": lease.owner.instance,
        "since": lease.since,
        "generation": lease.generation,
        "attempts": lease.attempts,
        "job": str(lease.job),
        "runout": None if lease.runout is None else str(lease.runout),
        "reason": lease.reason,
    }


def _job(job: Job) -> dict[str, object]:
    marker = [] if job.marker is None else [job.marker]
    objects = [_object(info) for info in (*job.seeds.values(), *marker)]
    return {"folder": str(job.folder), "complete": job.complete, "objects": objects}


def _result(result: Result) -> dict[str, object]:
    manifest = [] if result.manifest is None else [result.manifest]
    objects = [_object(info) for info in (*result.files.values(), *manifest)]
    return {"folder": str(result.runout), "manifest": bool(manifest), "objects": objects}


def _object(info: ObjectInfo) -> Mapping[str, object]:
    return {"key": info.uri.key, "size": info.size, "modified_at": _at(info.modified_at)}


def _pace(pace: Pace | None) -> Mapping[str, object] | None:
    if pace is None:
        return None
    hours = _hours(pace.window)
    return {"per_hour": pace.per_hour, "window_hours": hours, "count": pace.count}


def _hours(span: timedelta | None) -> float | None:
    return None if span is None else span / timedelta(hours=1)


def _at(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
