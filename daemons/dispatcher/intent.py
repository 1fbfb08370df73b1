"""Which folder was chosen for the CID in hand, on disk before its first request.

A request of a life that was killed may be carried out after the next life has listed the bucket;
then only this file knows that the folder exists. It holds one job's name, and these calls block.
"""

from contextlib import suppress
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from shared.files import write_durably
from shared.handshake.layout import JobFolder, parse_job_folder

log: FilteringBoundLogger = structlog.get_logger()

NAME = "job-in-hand"
_LONGEST = 1000


class Intent:
    """The job in hand."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / NAME

    def load(self) -> JobFolder | None:
        """Return what an earlier life had in hand, if anything."""
        try:
            with self._file.open("rb") as stream:
                text = stream.read(_LONGEST)
        except FileNotFoundError:
            return None
        try:
            return parse_job_folder(text.decode().strip())
        except ValueError as error:
            # The listing finds the job in all but the rarest case, so nobody need be stopped.
            log.warning("intent_ignored", path=str(self._file), reason=str(error))
            return None

    def choose(self, folder: JobFolder) -> None:
        """Take a job in hand; durable when this returns."""
        write_durably(self._file, f"{folder}\n".encode())

    def done(self) -> None:
        """Nothing is in hand; need not be durable, for the ledger says the same."""
        with suppress(FileNotFoundError):
            self._file.unlink()
