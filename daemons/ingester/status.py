"""What the ingester leaves for people and monitors, and how it is shown.

`status.json` and `metrics.prom` are written when a run begins and when it has ended;
docs/ingester.md names every field. Success is a complete run.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from daemons.ingester.archive.episode import format_time
from daemons.ingester.runs.interval import Interval
from daemons.ingester.runs.results import RunResult, SiteResult
from daemons.ingester.runs.summary import duration
from shared.errors import PermanentError
from shared.metrics import Board, Metric
from shared.status import Status, StatusFile, ago, read_status, render_head

_SITES_SHOWN = 1000
_ERRORS_SHOWN = 20
_MEANINGS: Mapping[str, tuple[str, str]] = {
    "pre_sync_downloads": ("downloaded_files", "Files that S3 had and we lacked"),
    "new_episodes": ("new_episodes", "Episodes that feeds brought"),
    "audio_downloads": ("audio_files", "Audio files downloaded"),
    "transcribed": ("transcribed_episodes", "Episodes transcribed"),
    "transcription_failures": ("failed_transcriptions", "Episodes that could not be"),
    "entry_files_written": ("search_entry_files", "Files of search entries written"),
    "upload_total": ("uploaded_files", "Files uploaded"),
    "error_count": ("errors", "What failed in the last run"),
}


class StatusWriter:
    """Writes both files; a state folder out of order stops no run."""

    def __init__(self, folder: Path, root: Path, board: Board | None = None) -> None:
        self._folder = folder
        self._root = root.absolute()
        self._file = StatusFile(folder, "ingester", started_at=datetime.now(UTC), board=board)

    def write(
        self,
        interval: Interval,
        result: RunResult | None = None,
        *,
        running: bool = False,
        trouble: str = "",
    ) -> None:
        """Write how the last run went, or that one is under way; blocks."""
        details: Mapping[str, object] = {
            "root": str(self._root),
            "run_under_way": running,
            "trouble": trouble,
            "failures_in_a_row": interval.failures,
            "last_attempt_at": _written(interval.last_attempt_at),
            "last_run": self._last_run() if result is None else _run(result),
        }
        self._file.write_or_warn(
            details,
            [*_overall(interval, running=running), *([] if result is None else _metrics(result))],
            now=datetime.now(UTC),
            last_success_at=interval.last_success_at,
        )

    def _last_run(self) -> object:
        """Return what was written of the last run that ended."""
        try:
            before = read_status(self._folder)
        except PermanentError:
            return None
        return None if before is None else before.details.get("last_run")


def _run(result: RunResult) -> Mapping[str, object]:
    return {
        "started_at": format_time(result.started_at),
        "ended_at": format_time(result.ended_at),
        "took": duration(result.ended_at - result.started_at),
        "interrupted": result.interrupted,
        "errors": result.error_count,
        "counts": dict(result.fields()),
        "sites": [_site(site) for site in result.sites[:_SITES_SHOWN]],
    }


def _site(site: SiteResult) -> Mapping[str, object]:
    errors = [
        f"{error.phase}: {error.item + ': ' if error.item else ''}{error.message}"
        for error, _ in zip(site.errors(), range(_ERRORS_SHOWN), strict=False)
    ]
    return {
        "site": site.site_id,
        "phases": {phase.value: each.status.value for phase, each in site.outcomes.items()},
        "errors": site.error_count,
        "first_errors": errors,
    }


def _overall(interval: Interval, *, running: bool) -> Iterator[Metric]:
    yield Metric("failed_runs", "gauge", "Runs that failed in a row", interval.failures)
    yield Metric("run_under_way", "gauge", "1: a run is under way", float(running))


def _metrics(result: RunResult) -> Iterator[Metric]:
    """Yield what the last run did to each site; a run is a process of its own, so no counters."""
    for site in result.sites[:_SITES_SHOWN]:
        for attribute, (name, meaning) in _MEANINGS.items():
            value = float(getattr(site, attribute))
            yield Metric(f"last_run_{name}", "gauge", meaning, value, {"site": site.site_id})
    seconds = (result.ended_at - result.started_at).total_seconds()
    yield Metric("last_run_seconds", "gauge", "How long the last run took", seconds)


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)


def render_status(status: Status, now: datetime) -> str:
    """Return the status as a few lines for a person."""
    details = status.details
    lines = render_head(status, str(details.get("root")), now, success="last good")
    if details.get("run_under_way") and status.running:
        lines.append("  run         is under way")
    if trouble := details.get("trouble"):
        lines.append(f"  trouble     {trouble}")
    if failures := details.get("failures_in_a_row"):
        lines.append(f"  failures    {failures} in a row")
    run = details.get("last_run")
    if isinstance(run, dict):
        lines += _shown_run(run, now)
    return "\n".join(lines) + "\n"


def _shown_run(run: Mapping[str, object], now: datetime) -> Iterator[str]:
    ended = datetime.fromisoformat(str(run["ended_at"]))
    how = "interrupted" if run["interrupted"] else _errors(run["errors"])
    yield f"  last run    ended {ago((now - ended).total_seconds())} after {run['took']}, {how}"
    counts, sites = run["counts"], run["sites"]
    if isinstance(counts, dict):
        yield "  counts      " + ", ".join(f"{name} {count}" for name, count in counts.items())
    for site in sites if isinstance(sites, list) else ():
        if site["errors"]:
            yield f"  {site['site']:<11} {_errors(site['errors'])}"
            yield from (f"    {line}" for line in _texts(site["first_errors"]))


def _errors(count: object) -> str:
    return "1 error" if count == 1 else f"{count} errors"


def _texts(listed: object) -> Sequence[str]:
    return [str(line) for line in listed] if isinstance(listed, list) else ()
