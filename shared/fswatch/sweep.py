"""A walk in progress: pulled chunk by chunk in a worker thread, at the pace of its consumer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from anyio import to_thread

from shared.fswatch.clock import Clock, Moment, moment
from shared.fswatch.intake import Taken
from shared.fswatch.items import FoundBy, ScanFinished
from shared.fswatch.names import SkipRules
from shared.fswatch.scan import MOST_IN_A_BATCH, ScanBatch, scan_subtree

MOST_IN_A_CHUNK = 2 * MOST_IN_A_BATCH
_MOST_BATCHES = 100


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some batches of a walk, and the moment just before they were looked at."""

    at: Moment
    batches: Sequence[ScanBatch]


@dataclass(slots=True)
class Tally:
    """What a walk has met so far."""

    directories: int = 0
    files: int = 0
    unsettled: int = 0
    overlooked: int = 0
    oddities: int = 0

    def add(self, batch: ScanBatch, taken: Taken) -> None:
        """Count one batch and what became of its files."""
        self.directories += batch.opens_directory
        self.files += len(batch.files)
        self.unsettled += taken.unsettled
        self.overlooked += taken.overlooked
        self.oddities += len(batch.oddities)


class Sweep:
    """One walk through the root or a directory in it. Close it: it holds descriptors."""

    def __init__(
        self, root: Path, relative: str, rules: SkipRules, *, found_by: FoundBy, clock: Clock
    ) -> None:
        self._batches = scan_subtree(root, relative, rules)
        self._clock = clock
        self.found_by = found_by
        self.tally = Tally()
        self.began_at = clock.monotonic()
        self.is_finished = False
        self.has_failed = False
        """Whether it ended early because the root was gone."""
        self.working_seconds = 0.0
        """The time spent walking, without the time in which the consumer was busy."""

    async def pull(self) -> Chunk:
        """The next chunk; empty when nothing is left, and then `is_finished` is set."""
        at = moment(self._clock)
        # A generator that stopped half-way in an abandoned thread could not be closed, so
        # cancellation waits for the chunk, which is short.
        try:
            batches = await to_thread.run_sync(_next_batches, self._batches)
        except OSError:
            batches = []
            self.has_failed = True
        self.working_seconds += self._clock.monotonic() - at.monotonic
        self.is_finished = not batches
        return Chunk(at, batches)

    def finished(self, number: int) -> ScanFinished:
        """The account of this walk as the scan with this number."""
        return ScanFinished(
            number=number,
            found_by=self.found_by,
            directories=self.tally.directories,
            files_seen=self.tally.files,
            unsettled=self.tally.unsettled,
            overlooked=self.tally.overlooked,
            oddities=self.tally.oddities,
            duration=timedelta(seconds=self._clock.monotonic() - self.began_at),
        )

    def close(self) -> None:
        """Let go of the descriptors."""
        self._batches.close()


def _next_batches(batches: Iterator[ScanBatch]) -> list[ScanBatch]:
    """Enough batches to be worth a change of thread, few enough to be short; none at the end."""
    taken: list[ScanBatch] = []
    entries = 0
    for batch in batches:
        taken.append(batch)
        entries += len(batch.files) + len(batch.oddities)
        if entries >= MOST_IN_A_BATCH or len(taken) >= _MOST_BATCHES:
            break
    return taken
