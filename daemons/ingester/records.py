"""What a run leaves behind: summary, history, interval, status, and a call of the failure hook.

| a run               | summary, history, status | interval.json | hook                |
|---------------------|--------------------------|---------------|---------------------|
| ended, no errors    | yes                      | yes           | no                  |
| ended with errors   | yes                      | yes           | yes                 |
| was interrupted     | yes                      | yes           | no: somebody did it |
| could not begin     | status only              | yes           | yes                 |
| crashed             | yes, as interrupted      | yes           | yes                 |
| changes nothing     | summary only             | no            | no                  |

Rule: what is written here comes after the work, so that a disk that takes none of it is logged and
changes nothing about the run.
"""

import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.ingester.runs.history import History, summary_document
from daemons.ingester.runs.hook import call_hook
from daemons.ingester.runs.interval import Interval, load_interval, save_interval
from daemons.ingester.runs.results import RunResult
from daemons.ingester.runs.summary import summary_lines
from daemons.ingester.settings import Settings
from daemons.ingester.status import StatusWriter
from shared.files import write_durably
from shared.journal import stderr_is_journal
from shared.log import write_line
from shared.metrics import Board

log: FilteringBoundLogger = structlog.get_logger()

_INFO, _ERROR = "<6>", "<3>"
"""What systemd reads as the priority of a line."""
_STDOUT = 1


class Records:
    """Keeps what there is to know about runs in the state folder."""

    def __init__(
        self, settings: Settings, state: Path, board: Board | None = None, out: TextIO | None = None
    ) -> None:
        self._settings = settings
        self._state = state
        self._out = out
        self._status = StatusWriter(state, settings.root, board)
        self._summary: Path | None = None

    async def waiting(self) -> None:
        """Write that we are there, and nothing is under way."""
        await to_thread.run_sync(self._waiting)

    async def begun(self) -> None:
        """Write that a run is under way."""
        await to_thread.run_sync(self._begun)

    async def ended(self, result: RunResult) -> None:
        """Keep a run's result; quick, for it is awaited after an interruption, too."""
        await to_thread.run_sync(self._ended, result)

    async def refused(self, error: Exception) -> None:
        """Keep that a run could not begin, or not go on, and call the hook."""
        reason = "; ".join(dict.fromkeys(_reasons(error)))
        interval = await to_thread.run_sync(self._refused, reason)
        await self._call_hook(None, interval, reason)

    async def call_hook(self, result: RunResult) -> None:
        """Call the hook if the run that `ended` was given has errors; takes a minute at most."""
        if result.has_errors and not result.interrupted:
            interval = await to_thread.run_sync(load_interval, self._state)
            await self._call_hook(self._summary, interval, next(summary_lines(result)))

    async def _call_hook(self, summary: Path | None, interval: Interval, reason: str) -> None:
        if command := self._settings.failure_hook:
            await call_hook(command, summary, interval.failures, reason)

    def _waiting(self) -> None:
        self._status.write(load_interval(self._state))

    def _begun(self) -> None:
        interval = load_interval(self._state).begun(datetime.now(UTC))
        self._save(interval)
        self._status.write(interval, running=True)

    def _ended(self, result: RunResult) -> None:
        interval = load_interval(self._state)
        interval = interval.ended(result, self._settings.confined_by)
        self._save(interval)
        self._summary = _kept("history", lambda: History(self._state).add(result))
        if (path := self._settings.json_summary) is not None:
            _kept("json_summary", lambda: _write_summary(path, result))
        self._status.write(interval, result)
        print_summary(result, self._out)

    def _refused(self, reason: str) -> Interval:
        interval = load_interval(self._state).refused(datetime.now(UTC))
        self._save(interval)
        self._status.write(interval, trouble=reason)
        return interval

    def _save(self, interval: Interval) -> None:
        _kept("interval", lambda: save_interval(self._state, interval))


def _reasons(error: BaseException) -> Iterator[str]:
    """Yield what is wrong, one line a cause."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _reasons(inner)
    else:
        yield from str(error).splitlines() or [repr(error)]


def print_summary(result: RunResult, out: TextIO | None = None) -> None:
    """Print what a run did; in the journal what failed is an error, the rest is none."""
    marked = out is None and stderr_is_journal(os.environ, _STDOUT)
    mark = _INFO if marked else ""
    for line in summary_lines(result):
        mark = _ERROR if marked and line == "errors:" else mark
        write_line(out or sys.stdout, f"{mark}{line}")


def _write_summary(path: Path, result: RunResult) -> None:
    write_durably(path, summary_document(result))


def _kept(what: str, write: "Callable[[], Path | None]") -> Path | None:
    """Write something that nothing depends on; returns what came of it."""
    try:
        return write()
    except OSError as error:
        log.warning("record_not_written", record=what, reason=str(error))
        return None
