"""What the watcher leaves for people and monitors, and how it is shown.

`status.json` and `metrics.prom` are written after each pass and with each heartbeat;
docs/formats.md names every field.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from daemons.watcher.plan import Standing
from daemons.watcher.service import Watcher
from daemons.watcher.settings import Settings
from daemons.watcher.workspace import Workspace
from shared.metrics import Board, Metric
from shared.status import Status, StatusFile, per_hour, read_status, render_head

_SHOWN = 1000
_MEANINGS = {
    "processed": "CIDs computed, pushed and committed",
    "adopted": "Results of former owners that were committed",
    "recorded": "CIDs that were found done by others",
    "failed": "Attempts that failed by the job's own fault",
    "parked": "CIDs that were parked",
    "halted": "Attempts that something around them ended",
    "lost": "Claims that others took over",
}


class StatusWriter:
    """Writes both files."""

    def __init__(
        self, folder: Path, settings: Settings, workspace: Workspace, board: Board | None = None
    ) -> None:
        self._settings = settings
        self._workspace = workspace
        self._folder = folder
        self._started_at = datetime.now(UTC)
        self._file = StatusFile(folder, "watcher", started_at=self._started_at, board=board)

    def write(self, service: Watcher) -> None:
        """Write what is true now; a state folder out of order stops no watcher."""
        now = datetime.now(UTC)
        totals = asdict(service.totals)
        parked = service.candidates.of(Standing.PARKED)
        details: Mapping[str, object] = {
            "root": str(self._settings.root.absolute()),
            "bucket": self._settings.bucket,
            "prefix": self._settings.prefix,
            "work_folder": str(self._workspace.folder),
            "instance": self._workspace.instance,
            "state_folder": str(self._folder),
            "at_hand": service.jobs.at_hand,
            "trouble": service.trouble,
            "last_pass": asdict(service.counts),
            "totals": totals,
            "cids_per_hour": per_hour(service.totals.processed, self._started_at, now),
            "parked": [
                {"cid": one.cid, "reason": _reason(service, one.cid)}
                for one in islice(parked, _SHOWN)
            ],
        }
        counts = service.counts
        metrics = [
            *(
                Metric(f"jobs_{name}_total", "counter", meaning, float(totals[name]))
                for name, meaning in _MEANINGS.items()
            ),
            Metric("parked_jobs", "gauge", "Jobs that need a person", len(parked)),
            Metric("waiting_jobs", "gauge", "Complete jobs that are not done", counts.waiting),
            Metric("unfinished_jobs", "gauge", "Jobs without their marker", counts.unfinished),
            Metric("in_trouble", "gauge", "1: nothing can be done", bool(service.trouble)),
        ]
        self._file.write_or_warn(details, metrics, now=now, last_success_at=service.last_success_at)


def _reason(service: Watcher, cid: str) -> str:
    one = service.candidates.get(cid)
    if one is not None and one.seen is not None:
        return one.seen.lease.reason
    return service.parked.get(cid, "")


def render_status(status: Status, now: datetime) -> str:
    """Return the status, and that of the other watchers of this ledger, as lines for a person."""
    lines = _lines(status, now)
    folder = status.details.get("state_folder")
    if isinstance(folder, str):
        for other in sorted(Path(folder).glob("watcher-*")):
            found = read_status(other)
            if found is not None:
                lines += _lines(found, now)
    return "\n".join(lines) + "\n"


def _lines(status: Status, now: datetime) -> list[str]:
    details = status.details
    lines = render_head(status, str(details.get("root")), now, success="last look")
    totals, last = details.get("totals"), details.get("last_pass")
    lines.append(f"  works in    {details.get('work_folder')}")
    lines.append(f"  at hand     {details.get('at_hand') or 'nothing'}")
    if isinstance(totals, dict):
        lines.append(
            f"  since start {totals.get('processed')} processed, {totals.get('adopted')} adopted, "
            f"{totals.get('failed')} failures, {totals.get('lost')} lost; "
            f"{details.get('cids_per_hour')} an hour"
        )
    if isinstance(last, dict):
        lines.append(
            f"  waiting     {last.get('waiting')} jobs, {last.get('unfinished')} unfinished"
        )
    if trouble := details.get("trouble"):
        lines.append(f"  trouble     {trouble}")
    parked = details.get("parked")
    if isinstance(parked, list):
        lines += [f"  parked      {one['cid']}: {one['reason']}" for one in parked]
    return lines
