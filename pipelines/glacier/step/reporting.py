"""What the step tells while it works: events for whoever runs it, and a log for people.

The log goes to stderr and into a file; each line of the file has time, level, and the same words.
Rule: an event is written whole and flushed before the next thing is begun, so that a step that is
killed has told everything it finished.
"""

import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from pipelines.glacier.finished import FINISHED_VARIABLE, Finished, parse_finished
from pipelines.glacier.step.errors import told
from pipelines.glacier.step_events import (
    EVENTS_VARIABLE,
    Found,
    SceneDone,
    SceneStatus,
    StepEvent,
    StepStatus,
    Summary,
    to_line,
)
from shared.errors import ExitStatus, UsageError
from shared.files import make_folders
from shared.log import message, write_line
from shared.redact import redact_text

log: FilteringBoundLogger = structlog.get_logger()

_TIME = "%Y-%m-%dT%H:%M:%SZ"
_FINISHED_LINES_MAX = 1_000_000


@dataclass(slots=True)
class Reporter:
    """Counts scenes, writes events, and knows how the step went."""

    events: TextIO | None = None
    """None: nobody reads them."""
    counts: dict[SceneStatus, int] = field(default_factory=dict)
    found: int = 0
    _lock: Lock = field(default_factory=Lock)

    def scenes_found(self, region: str, scenes: Sequence[str]) -> None:
        """Tell which scenes of a region are to be done."""
        with self._lock:
            self.found += len(scenes)
            self._write(Found(region, tuple(scenes)))
        log.info("scenes_found", glacier_region=region, scenes=len(scenes))

    def scene_done(self, done: SceneDone, error: BaseException | None = None) -> None:
        """Tell what became of a scene; `error` is logged with the place where it happened."""
        with self._lock:
            self.counts[done.status] = self.counts.get(done.status, 0) + 1
            self._write(done)
        fields = {"glacier_region": done.region, "scene": done.id}
        match done.status:
            case "failed":
                log.error("scene_failed", **fields, reason=done.reason, exc_info=error)
            case "skipped":
                log.info("scene_skipped", **fields, reason=done.reason)
            case "present":
                log.info("scene_present", **fields)
            case "written":
                log.info("scene_written", **fields)

    def region_failed(self, region: str, error: BaseException) -> None:
        """Tell that a region failed as a whole; it counts as one scene."""
        reason = told(error)
        with self._lock:
            self.counts["failed"] = self.counts.get("failed", 0) + 1
            self._write(SceneDone(region, region, "failed", reason))
        log.error("region_failed", glacier_region=region, reason=reason, exc_info=error)

    def summary(self) -> Summary:
        """Return how it went so far."""
        counts = {name: self.counts.get(name, 0) for name in _STATUSES}
        return Summary(self._status(), self.found, **counts)

    def finish(self, stdout: TextIO) -> ExitStatus:
        """Tell the summary, also on stdout; returns the exit status."""
        summary = self.summary()
        with self._lock:
            self._write(summary)
        stdout.write(to_line(summary))
        stdout.flush()
        return ExitStatus.UNEXPECTED if summary.status == "failed" else ExitStatus.DONE

    def _status(self) -> StepStatus:
        if self.counts.get("failed"):
            return "failed"
        return "success" if self.found else "no_data"

    def _write(self, event: StepEvent) -> None:
        if self.events is not None:
            self.events.write(to_line(event))
            self.events.flush()


_STATUSES: tuple[SceneStatus, ...] = ("written", "present", "skipped", "failed")


@contextmanager
def open_reporter(environ: Mapping[str, str] = os.environ) -> Iterator[Reporter]:
    """Append events to the file that the environment names, if it names one."""
    name = environ.get(EVENTS_VARIABLE)
    if not name:
        yield Reporter()
        return
    try:
        stream = Path(name).open("a", encoding="utf-8")  # noqa: SIM115 - closed below
    except OSError as error:
        raise UsageError(
            f"variable {EVENTS_VARIABLE} names {name!r}, which cannot be written: {error.strerror}"
        ) from error
    with stream:
        yield Reporter(stream)


def load_finished(environ: Mapping[str, str] = os.environ) -> Finished:
    """Return the scenes that need not be done, from the file that the environment names."""
    name = environ.get(FINISHED_VARIABLE)
    if not name:
        return {}
    try:
        with Path(name).open(encoding="utf-8", errors="replace") as stream:
            return parse_finished(islice(stream, _FINISHED_LINES_MAX))
    except OSError as error:
        raise UsageError(
            f"variable {FINISHED_VARIABLE} names {name!r}, which cannot be read: {error.strerror}"
        ) from error


@contextmanager
def logging_into(path: Path) -> Iterator[None]:
    """Write everything that is logged into a file as well; `configure_logging` comes first."""
    try:
        make_folders(path.parent)
        stream = path.open("a", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(
            f"log {str(path)!r} cannot be written: {error.strerror}; see --base_dir and --log_name"
        ) from error
    before = structlog.get_config()["processors"]
    with stream:
        # Before the last one, which makes a line of the event for stderr.
        structlog.configure(processors=[*before[:-1], _Copy(stream), before[-1]])
        try:
            yield
        except BaseException as error:
            # On stderr it is told by whoever turns it into an exit status.
            stamp = datetime.now(UTC).strftime(_TIME)
            trace = "".join(f"    | {line}" for line in traceback.format_exception(error))
            write_line(stream, f"{stamp} ERROR step_crashed\n{redact_text(trace)}")
            raise
        finally:
            structlog.configure(processors=before)


class _Copy:
    """Writes what passes by into a file."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        time = datetime.now(UTC).strftime(_TIME)
        level = str(event.get("level", "info")).upper()
        trace = str(event.get("exception", "")).splitlines()
        lines = [f"{time} {level} {message(event)}", *(f"    | {line}" for line in trace)]
        write_line(self._stream, "\n".join(lines))
        return event
