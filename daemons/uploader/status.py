"""What the uploader leaves for people and monitors, and how it is shown.

`status.json` and `metrics.prom` are written after each pass; docs/formats.md names every field.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from daemons.uploader.gate import GateState
from daemons.uploader.report import PassCounts
from daemons.uploader.service import Uploader
from daemons.uploader.settings import Settings
from shared.metrics import Board, Metric, age_metric
from shared.status import Status, StatusFile, per_hour, render_head

RETRY_REQUEST = "retry-parked"
"""A file of this name in the state folder asks the daemon to try parked files again."""
_PARKED_SHOWN = 1000
_MEANINGS = {
    "uploaded": "Files sent to S3",
    "already_there": "Files whose content S3 held already",
    "removed": "Files removed from disk after proof",
    "failed": "Attempts that failed, parked and held back files included",
    "bytes": "Bytes sent to S3",
}


class StatusWriter:
    """Writes both files, and sees requests that people leave beside them."""

    def __init__(self, folder: Path, settings: Settings, board: Board | None = None) -> None:
        self._folder = folder
        self._root = settings.directory.absolute()
        self._started_at = datetime.now(UTC)
        self._file = StatusFile(folder, "uploader", started_at=self._started_at, board=board)

    def write(self, service: Uploader, counts: PassCounts) -> None:
        """Write what is true after a pass; a state folder out of order stops no upload."""
        now = datetime.now(UTC)
        pending = service.oldest_pending_ns
        details: Mapping[str, object] = {
            "root": str(self._root),
            "root_missing": service.root_missing,
            "last_pass": asdict(counts),
            "totals": asdict(service.totals),
            "oldest_pending_at": None if pending is None else _moment(pending).isoformat(),
            "files_per_hour": per_hour(service.totals.removed, self._started_at, now),
            "parked_files": len(service.parked),
            "parked": [
                {"path": file.path, "reason": file.reason, "since": file.since.isoformat()}
                for file in islice(service.parked, _PARKED_SHOWN)
            ],
            "unusable_folders": dict(service.folder_faults),
            "buckets": {
                name: {"state": gate.state.value, "code": gate.code, "reason": gate.reason}
                for name, gate in service.gates.items()
            },
        }
        self._file.write_or_warn(
            details,
            self._metrics(service, now),
            now=now,
            last_success_at=service.last_success_at,
        )

    def retry_requested(self) -> bool:
        """Say whether somebody asked for parked files to be tried again; asked once, told once."""
        try:
            (self._folder / RETRY_REQUEST).unlink()
        except OSError:
            return False
        return True

    def _metrics(self, service: Uploader, now: datetime) -> list[Metric]:
        totals = asdict(service.totals)
        pending = service.oldest_pending_ns
        oldest_at = None if pending is None else _moment(pending)
        closed = sum(gate.state is not GateState.OPEN for gate in service.gates.values())
        return [
            *(
                Metric(
                    f"files_{name}_total" if name != "bytes" else "sent_bytes_total",
                    "counter",
                    meaning,
                    float(totals[name]),
                )
                for name, meaning in _MEANINGS.items()
            ),
            Metric("parked_files", "gauge", "Files that need a person", len(service.parked)),
            Metric("buckets_refused", "gauge", "Buckets that take nothing at present", closed),
            age_metric(
                "oldest_pending_age_seconds", "Age of the oldest file kept back", oldest_at, now
            ),
        ]


def request_retry(folder: Path) -> None:
    """Ask the daemon of this state folder, now or at its next start, to try parked files again."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / RETRY_REQUEST).touch()


def render_status(status: Status, now: datetime) -> str:
    """Return the status as a few lines for a person."""
    details = status.details
    totals = details.get("totals", {})
    lines = render_head(status, str(details.get("root")), now, success="last sent")
    if isinstance(totals, dict):
        lines.append(
            f"  since start {totals.get('uploaded')} uploaded ({totals.get('bytes')} bytes), "
            f"{totals.get('already_there')} already there, {totals.get('failed')} failures"
        )
    lines += _problems(details)
    return "\n".join(lines) + "\n"


def _problems(details: Mapping[str, object]) -> list[str]:
    lines = []
    if missing := details.get("root_missing"):
        lines.append(f"  root        {missing}")
    buckets = details.get("buckets")
    if isinstance(buckets, dict):
        lines += [
            f"  bucket      {name}: {gate['code']}; {gate['reason']}"
            for name, gate in buckets.items()
            if gate["state"] != GateState.OPEN.value
        ]
    folders = details.get("unusable_folders")
    if isinstance(folders, dict):
        lines += [f"  folder      {reason}" for reason in folders.values()]
    parked = details.get("parked")
    if isinstance(parked, list):
        lines += [f"  parked      {file['path']!r}: {file['reason']}" for file in parked]
    return lines


def _moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)
