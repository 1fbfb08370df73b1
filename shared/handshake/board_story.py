"""Everything that is known of one CID, for whoever wants to mend it. Pure."""

from collections.abc import Iterable, Sequence

from shared.handshake.board import Board
from shared.handshake.board_lines import claim_line, duration, indented, moment
from shared.handshake.facts import Story
from shared.handshake.failure import FailureReport
from shared.handshake.fields import one_line
from shared.s3.store import ObjectInfo

_OBJECTS_MAX = 20


def story_lines(board: Board, story: Story) -> list[str]:
    """Return what PROD says of the CID, its job, its lease, its results and why it failed."""
    row = next(iter(board.rows_of(story.cid)), None)
    if row is None:
        return [f"CID {story.cid}: nothing is known of it"]
    head = f"CID {row.cid}: {row.state}"
    if row.since is not None:
        head += f", {duration(board.now - row.since)} ago ({moment(row.since)})"
    parts = [
        [head, *([f"  {row.reason}"] if row.reason else [])],
        [f"  {line}" for line in board.told(story.cid)],
        _jobs(story),
        _lease(board, story),
        _results(story),
        _report(story.report),
    ]
    return [line for part in parts if part for line in (*part, "")][:-1]


def _jobs(story: Story) -> list[str]:
    lines = []
    for job in story.jobs:
        lines.append(f"job {job.folder}: {'complete' if job.complete else 'no marker yet'}")
        marker = [] if job.marker is None else [job.marker]
        lines += _objects([*job.seeds.values(), *marker], str(job.folder))
    return lines


def _lease(board: Board, story: Story) -> list[str]:
    claim = board.facts.claims.get(story.cid)
    if claim is None:
        return ["lease: none was seen"]
    lines = [f"lease: {claim_line(board, claim)}"]
    lease = claim.lease
    if lease is not None:
        lines.append(f"  generation {lease.generation}, beat {lease.beat}, job {lease.job}")
        lines.append(f"  owner {lease.owner.process}, instance {lease.owner.instance}")
        lines += [f"  result {lease.runout}"] if lease.runout is not None else []
        lines += [f"  reason {lease.reason}"] if lease.reason else []
    return lines


def _results(story: Story) -> list[str]:
    lines = []
    for result in story.results:
        made_by = "no manifest" if result.manifest is None else "with its manifest"
        lines.append(f"result {result.runout}: {made_by}")
        manifest = [] if result.manifest is None else [result.manifest]
        lines += _objects([*result.files.values(), *manifest], str(result.runout))
    return lines


def _objects(found: Sequence[ObjectInfo], folder: str) -> Iterable[str]:
    for info in found[:_OBJECTS_MAX]:
        name = one_line(info.uri.key.partition(f"{folder}/")[2])
        yield f"  {moment(info.modified_at)}  {info.size:>12,}  {name}"
    if len(found) > _OBJECTS_MAX:
        yield f"  and {len(found) - _OBJECTS_MAX} more"


def _report(report: FailureReport | None) -> list[str]:
    if report is None:
        return []
    status = "none" if report.exit_status is None else report.exit_status
    return [
        f"failure of step {report.step}: {_without_step(report)}",
        f"  attempts {report.attempts}, exit status {status}",
        f"  on {report.host} at {report.failed_at}",
        *(["  the end of its log:", *indented(report.log_tail)] if report.log_tail else []),
    ]


def _without_step(report: FailureReport) -> str:
    """Return the reason, which begins with the step where it stands alone, without that."""
    return report.reason.removeprefix("step ").removeprefix(f"{report.step}: ")
