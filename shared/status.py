"""What a daemon tells people and monitors: `status.json` and `metrics.prom` in its state folder.

Both are replaced as a whole after each pass, so a reader never sees half of one. Rule: a file holds
points in time, not ages; whoever reads computes the age, so a dead daemon's file grows old.
"""

import json
import math
import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from shared.errors import PermanentError, UsageError
from shared.files import write_durably
from shared.lock import is_held
from shared.metrics import SINCE_SUCCESS, Board, Metric, Report, age_metric
from shared.redact import redact_fields

log: FilteringBoundLogger = structlog.get_logger()

SCHEMA = 1
"""Raised when a reader of an older version could misunderstand the document."""

STATUS_NAME = "status.json"
METRICS_NAME = "metrics.prom"
_PREFIX = "towpath_"
_LONGEST_LIST = 10_000
_SYSTEM_FOLDER = Path("/var/lib/towpath")


@dataclass(frozen=True, slots=True)
class Status:
    """What a daemon last wrote."""

    service: str
    pid: int
    host: str
    started_at: datetime
    written_at: datetime
    last_success_at: datetime | None
    details: Mapping[str, object]
    running: bool
    """Somebody has the lock on the folder that this was read from."""

    def age(self, now: datetime) -> timedelta:
        """Return how long ago the daemon wrote."""
        return now - self.written_at

    def since_success(self, now: datetime) -> timedelta | None:
        """Return how long ago something last went well; silence is an alarm."""
        return None if self.last_success_at is None else now - self.last_success_at


class StatusFile:
    """Writes the state of one daemon, in a folder of its own."""

    def __init__(
        self, folder: Path, service: str, *, started_at: datetime, board: Board | None = None
    ) -> None:
        """Write into this folder; what is written there also goes onto the board, for others."""
        self._board = board
        self._folder = folder
        self._service = service
        self._started_at = started_at

    def write(
        self,
        details: Mapping[str, object],
        metrics: Sequence[Metric],
        *,
        now: datetime,
        last_success_at: datetime | None,
    ) -> None:
        """Replace both files; blocks, and raises OSError when the folder cannot be written.

        Lists are bounded by the caller: what is read back must be what was written.
        """
        if self._board is not None:
            self._board.report = Report(self._service, now, last_success_at, tuple(metrics))
        document = {
            "schema": SCHEMA,
            "service": self._service,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started_at": _written(self._started_at),
            "written_at": _written(now),
            "last_success_at": None if last_success_at is None else _written(last_success_at),
            "details": redact_fields(details, longest_list=_LONGEST_LIST),
        }
        common = _common_metrics(self._started_at, now, last_success_at)
        self._folder.mkdir(parents=True, exist_ok=True)
        text = render_metrics([*common, *metrics], self._service)
        write_durably(self._folder / STATUS_NAME, json.dumps(document, indent=2).encode() + b"\n")
        write_durably(self._folder / METRICS_NAME, text.encode("utf-8", "backslashreplace"))

    def write_or_warn(
        self,
        details: Mapping[str, object],
        metrics: Sequence[Metric],
        *,
        now: datetime,
        last_success_at: datetime | None,
    ) -> None:
        """Do the same, but a state folder out of order stops no work: it is logged."""
        try:
            self.write(details, metrics, now=now, last_success_at=last_success_at)
        except OSError as error:
            log.warning("status_not_written", folder=str(self._folder), reason=str(error))


def read_status(folder: Path) -> Status | None:
    """Return what a daemon wrote into its folder; None if it never did."""
    path = folder / STATUS_NAME
    try:
        return _parse_status(path.read_bytes(), running=is_held(folder))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PermanentError(
            f"status {str(path)!r} cannot be read: {error}; is it of another version?"
        ) from error


def _parse_status(text: bytes, *, running: bool) -> Status:
    """Take a document apart."""
    found = json.loads(text)
    if found["schema"] != SCHEMA:
        raise ValueError(f"schema {found['schema']!r} is not {SCHEMA}")
    last = found["last_success_at"]
    return Status(
        service=str(found["service"]),
        pid=int(found["pid"]),
        host=str(found["host"]),
        started_at=datetime.fromisoformat(found["started_at"]),
        written_at=datetime.fromisoformat(found["written_at"]),
        last_success_at=None if last is None else datetime.fromisoformat(last),
        details=dict(found["details"]),
        running=running,
    )


def render_head(status: Status, subject: str, now: datetime, *, success: str) -> list[str]:
    """Return the lines that every daemon's status begins with.

    `subject` is what it serves, `success` what it calls the last thing that went well.
    """
    since = status.since_success(now)
    state = "running" if status.running else "not running; this is what it said last"
    return [
        f"{status.service} of {subject} (process {status.pid} on {status.host})",
        f"  state       {state}",
        f"  written     {ago(status.age(now).total_seconds())}",
        f"  {success:<11} {'never' if since is None else ago(since.total_seconds())}",
    ]


def ago(seconds: float) -> str:
    """Say how long ago something was."""
    return f"{max(0.0, seconds):.0f} s ago"


def per_hour(count: int, since: datetime, now: datetime) -> float:
    """Return how many that makes an hour."""
    hours = (now - since).total_seconds() / 3600
    return round(count / hours, 1) if hours > 0 else 0.0


def render_metrics(metrics: Iterable[Metric], service: str) -> str:
    """Return node_exporter's textfile format, each metric explained once."""
    lines: list[str] = []
    ranked = sorted(metrics, key=lambda metric: metric.name)
    for name, members in groupby(ranked, key=lambda metric: metric.name):
        samples = list(members)
        meaning = samples[0].meaning.replace("\\", "\\\\").replace("\n", "\\n")
        lines += [f"# HELP {_PREFIX}{name} {meaning}", f"# TYPE {_PREFIX}{name} {samples[0].kind}"]
        for sample in samples:
            labels = {"service": service, **sample.labels}
            pairs = ",".join(f'{label}="{_escaped(value)}"' for label, value in labels.items())
            lines.append(f"{_PREFIX}{name}{{{pairs}}} {_number(sample.value)}")
    return "\n".join(lines) + "\n"


def default_state_folder(service: str, environ: Mapping[str, str]) -> Path:
    """Return where a service keeps its state unless it is told otherwise.

    | who runs it                    | folder                                                      |
    |--------------------------------|-------------------------------------------------------------|
    | systemd with `StateDirectory=` | `$STATE_DIRECTORY` (the first, if there are several)        |
    | root                           | `/var/lib/towpath/<service>`                                |
    | anybody else                   | `$XDG_STATE_HOME/towpath/<service>`, else `~/.local/state/` |
    """
    given = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given)
    if os.geteuid() == 0:
        return _SYSTEM_FOLDER / service
    xdg = environ.get("XDG_STATE_HOME", "")
    if xdg.startswith("/"):
        return Path(xdg) / "towpath" / service
    home = environ.get("HOME", "")
    if not home:
        raise UsageError("there is no folder for the state; set HOME or XDG_STATE_HOME")
    return Path(home) / ".local" / "state" / "towpath" / service


def _common_metrics(
    started_at: datetime, now: datetime, last_success_at: datetime | None
) -> list[Metric]:
    """Return what every daemon is watched by."""
    common = [
        Metric(
            "start_timestamp_seconds", "gauge", "When the daemon started", started_at.timestamp()
        ),
        Metric("status_timestamp_seconds", "gauge", "When this file was written", now.timestamp()),
    ]
    if last_success_at is None:
        return common
    at, age = last_success_at.timestamp(), "Its age when this file was written"
    return [
        *common,
        Metric("last_success_timestamp_seconds", "gauge", "When something last went well", at),
        age_metric(SINCE_SUCCESS, age, last_success_at, now),
    ]


def _written(moment: datetime) -> str:
    """Return a moment as ISO 8601 in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _escaped(value: str) -> str:
    """Escape a label's value."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    """Write a number as Prometheus reads it; a truth value is one, too."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value + 0)
