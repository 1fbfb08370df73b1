"""Where local runs are noted: a folder each, with the history and what the detection printed.

    <state directory>/runs/<execution>/history.jsonl, detection-1.log, detection-2.log

Rule: whoever executes a run holds the lock on its folder; a run without an end whose lock is free
was killed.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipelines.wildlife.machine.history import Sink
from shared.errors import ExitStatus, PermanentError, UsageError
from shared.files import make_folders
from shared.lock import hold_lock, is_held

_RUNS = "runs"
_HISTORY = "history.jsonl"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
_HISTORY_BYTES_MAX = 64 * 1024 * 1024


class NotesUnusable(PermanentError):
    """What is noted of runs cannot be written or read."""

    status = ExitStatus.CREDENTIALS
    """Which the commands here say as their own number for configuration."""


def execution_name(session_id: str, started_at: datetime) -> str:
    """Return the name of an execution, which no other one of the session has. Pure."""
    return f"{session_id}-{started_at:%Y%m%dT%H%M%S}"


@dataclass(frozen=True, slots=True)
class LocalRun:
    """The folder of one execution."""

    folder: Path

    @property
    def name(self) -> str:
        """The execution's name."""
        return self.folder.name

    @property
    def history(self) -> Path:
        """Its events."""
        return self.folder / _HISTORY

    @property
    def is_alive(self) -> bool:
        """Whether somebody executes it now."""
        return is_held(self.folder)

    @property
    def noted_at(self) -> datetime:
        """When something was last put into the folder."""
        with _noting(self.folder):
            return datetime.fromtimestamp(int(self.folder.stat().st_mtime), UTC)

    def outputs(self) -> Sequence[Path]:
        """Return what attempts of the detection printed, in their order."""
        return sorted(self.folder.glob("detection-*.log"))

    def read(self, start: int = 0) -> bytes:
        """Return whole lines of the history from a position on, within bounds. Blocks."""
        try:
            with _noting(self.folder), self.history.open("rb") as stream:
                stream.seek(start)
                whole, end, _ = stream.read(_HISTORY_BYTES_MAX).rpartition(b"\n")
        except FileNotFoundError:
            return b""
        return whole + end


@contextmanager
def begin_run(state_folder: Path, name: str) -> Iterator[tuple[LocalRun, Sink]]:
    """Make the folder of a run, and hold it while the block lasts.

    Raises:
        UsageError: there is a run of this name.
        NotesUnusable: nothing can be noted there, or no more.
    """
    run = LocalRun(state_folder / _RUNS / name)
    with _noting(state_folder):
        make_folders(run.folder.parent)
        try:
            run.folder.mkdir()
        except FileExistsError as error:
            raise UsageError(f"execution {name!r} has been begun already; try again") from error
        stream = run.history.open("ab", buffering=0)
    with stream, hold_lock(run.folder):

        def keep(line: bytes) -> None:
            with _noting(run.folder):
                stream.write(line)

        yield run, keep


def find_runs(state_folder: Path) -> Sequence[LocalRun]:
    """Return all runs, those that began last first."""
    folder = state_folder / _RUNS
    try:
        with _noting(state_folder):
            names = [entry.name for entry in os.scandir(folder) if entry.is_dir()]
    except FileNotFoundError:
        return ()
    # The time comes last in a name, and the session is whatever somebody chose.
    names.sort(key=lambda name: name.rpartition("-")[2], reverse=True)
    return [LocalRun(folder / name) for name in names if _NAME.fullmatch(name)]


def find_run(state_folder: Path, name: str) -> LocalRun:
    """Return a run by its name, or the newest one; UsageError where there is none."""
    runs = find_runs(state_folder)
    if name:
        runs = [run for run in runs if run.name == name]
    if not runs:
        what = f"execution {name[:100]!r}" if name else "any execution"
        raise UsageError(f"there is no note of {what} in {str(state_folder)!r}")
    return runs[0]


@contextmanager
def _noting(folder: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise NotesUnusable(
            f"runs cannot be noted in {str(folder)!r}: {reason}; give another --state-directory"
        ) from error
