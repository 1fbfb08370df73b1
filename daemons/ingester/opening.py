"""Open the ingester: its state folder, what it keeps of runs, and the schedule where there is one.

A run opens the rest itself, anew each time. Rule: two runs never work on the same files, which the
lock on the data folder sees to; the one on the state folder says that there is one at all.
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, tzinfo
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from anyio import to_thread

from daemons.ingester.cron import Schedule, Timetable
from daemons.ingester.records import Records
from daemons.ingester.runs.interval import load_interval
from daemons.ingester.runs.results import RunResult
from daemons.ingester.service import Ingester, NextRun, RunLocked, Surroundings
from daemons.ingester.settings import Settings
from shared.errors import AlreadyRunning, SuiteError, UsageError
from shared.files import ready_folder
from shared.lifecycle import Control
from shared.lock import hold_lock

_LOCAL_ZONE = Path("/etc/localtime")


@asynccontextmanager
async def open_daemon(
    settings: Settings, state_folder: Path, control: Control
) -> AsyncIterator["RecordedIngester"]:
    """Open everything for the length of a block; `shared.errors` say what stands in the way."""
    await to_thread.run_sync(partial(ready_folder, state_folder, "state folder", mode=0o700))
    _check_summary(settings)
    records = Records(settings, state_folder, control.board)
    surroundings = Surroundings(
        state_folder,
        os.environ,
        records.ended,
        await to_thread.run_sync(_next_run, settings, state_folder),
        at_run_begin=records.begun,
    )
    yield RecordedIngester(settings, surroundings, control, records)


class RecordedIngester(Ingester):
    """An ingester that leaves behind what people and monitors want to know of its runs."""

    def __init__(
        self, settings: Settings, surroundings: Surroundings, control: Control, records: Records
    ) -> None:
        super().__init__(settings, surroundings, control)
        self._state = surroundings.state
        self._records = records

    async def run(self, control: Control) -> None:
        """Do a run whenever one is due; AlreadyRunning where another does so for this state."""
        with hold_lock(self._state, notes=self._state):
            await self._records.waiting()
            await super().run(control)

    async def run_once(self) -> RunResult:
        """Do one run, and keep what became of it."""
        with ExitStack() as stack:
            with suppress(AlreadyRunning):
                # Between the runs of one with a schedule, others may be started by hand.
                stack.enter_context(hold_lock(self._state, notes=self._state))
            try:
                result = await super().run_once()
            except RunLocked:
                raise
            except (SuiteError, OSError, ExceptionGroup) as error:
                # Also what nobody expected: a run that crashes each night must not stay a secret.
                await self._records.refused(error)
                raise
            await self._records.call_hook(result)
        return result


def _check_summary(settings: Settings) -> None:
    """Refuse before hours of work what could not be written after them."""
    path = settings.json_summary
    if path is None:
        return
    failed = f"--json-summary {str(path)!r} cannot be written"
    if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        raise UsageError(
            f"{failed}: its folder is not there, or not ours; make it, or name another"
        )
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise UsageError(
            f"{failed}: {(error.strerror or str(error)).lower()}; name another file"
        ) from error
    if is_folder:
        raise UsageError(f"{failed}: it is a folder; name a file in it")


def _next_run(settings: Settings, state: Path) -> NextRun | None:
    if settings.schedule is None:
        return None
    schedule = Schedule(settings.schedule)
    last_attempt = load_interval(state).last_attempt_at
    return Timetable(schedule, local_zone(os.environ), last_attempt).next_run


def local_zone(environ: Mapping[str, str]) -> tzinfo:
    """Return the zone of this machine with its rules of summer time, as far as it can be found."""
    name = environ.get("TZ", "").removeprefix(":")
    with suppress(ZoneInfoNotFoundError, ValueError, OSError):
        if name and not name.startswith("/"):
            return ZoneInfo(name)
        with Path(name or _LOCAL_ZONE).open("rb") as stream:
            return ZoneInfo.from_file(stream, key=name or "local time")
    return datetime.now(UTC).astimezone().tzinfo or UTC
