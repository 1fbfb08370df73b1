"""What the uploader leaves for people and monitors, and how it is shown.

`status.json` and `metrics.prom` are written after each pass, and while one gets on; docs/formats.md
names every field.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path

import anyio
from anyio import to_thread

from daemons.uploader.gate import GateState
from daemons.uploader.service import Uploader
from daemons.uploader.settings import Settings
from shared.errors import UsageError
from shared.metrics import Board, Metric, age_metric
from shared.status import STATUS_NAME, Status, StatusFile, per_hour, render_head

RETRY_REQUEST = "retry-parked"
"""A file of this name in the state folder asks the daemon to try parked files again."""
_PARKED_SHOWN = 1000
_BETWEEN_SECONDS = 30.0
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

    def write(self, service: Uploader) -> None:
        """Write what is true now; a state folder out of order stops no upload."""
        self.prepared(service)()

    def prepared(self, service: Uploader) -> Callable[[], None]:
        """Return what writes the present state: it blocks, and does not look at the service again.

        So the state is taken in the loop that changes it, and written in a thread.
        """
        now = datetime.now(UTC)
        pending = service.oldest_pending_ns
        totals = service.counts_so_far()
        details: Mapping[str, object] = {
            "root": str(self._root),
            "root_missing": service.root_missing,
            "last_pass": asdict(service.last_pass),
            "totals": asdict(totals),
            "oldest_pending_at": None if pending is None else _moment(pending).isoformat(),
            "files_per_hour": per_hour(totals.removed, self._started_at, now),
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
        return partial(
            self._file.write_or_warn,
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
        totals = asdict(service.counts_so_far())
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


class Reporter:
    """Has the status written: at the end of each pass, and while one gets on.

    A backlog makes a pass as long as it takes, and monitors would think the daemon dead. Rule: only
    progress has anything written, so that a loop that hangs falls silent.
    """

    def __init__(self, writer: StatusWriter, *, between_seconds: float = _BETWEEN_SECONDS) -> None:
        """While a pass gets on, write at most once in so many seconds."""
        self._writer = writer
        self._between_seconds = between_seconds
        self._progressed = anyio.Event()
        self._writing = anyio.Lock()
        self._due = 0.0

    def progress(self) -> None:
        """Tell that something was brought to an end: a request, or a file."""
        self._progressed.set()

    async def run(self, service: Uploader) -> None:
        """Write while the service gets on, until cancelled."""
        while True:
            await self._progressed.wait()
            self._progressed = anyio.Event()
            if anyio.current_time() >= self._due:
                await self.write(service)

    async def write(self, service: Uploader) -> None:
        """Write now; one at a time, so that what is newer comes last."""
        async with self._writing:
            self._due = anyio.current_time() + self._between_seconds
            await to_thread.run_sync(self._writer.prepared(service))


def request_retry(folder: Path) -> None:
    """Ask the daemon of this state folder, now or at its next start, to try parked files again.

    Raises:
        UsageError: none has ever reported there, so that nobody would see the request.
    """
    if not (folder / STATUS_NAME).is_file():
        raise UsageError(
            f"no uploader has reported into {str(folder)!r}; start one, or repeat the options that "
            "it was started with"
        )
    # The folder may be another user's than ours: a link in it must not lead us out of it.
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
    with suppress(FileExistsError):
        os.close(os.open(folder / RETRY_REQUEST, flags, 0o600))


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
    last = details.get("last_pass")
    if isinstance(last, dict) and (count := last.get("unremovable")):
        lines.append(f"  on disk     {count} that are in S3 and cannot be removed; see the log")
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
