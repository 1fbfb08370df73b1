"""One look at everything below a root, for commands that look once and end."""

from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path

from anyio import to_thread

from shared.fswatch.clock import Clock, Moment, SystemClock
from shared.fswatch.intake import Taken
from shared.fswatch.items import (
    Candidates,
    FoundBy,
    Noticed,
    RootMissing,
    StillChanging,
    WatchItem,
)
from shared.fswatch.options import WatchOptions
from shared.fswatch.root import RootGuard, RootState
from shared.fswatch.scan import ScanBatch
from shared.fswatch.stability import (
    LocalFile,
    Observation,
    Settled,
    StabilityRule,
    judge,
)
from shared.fswatch.sweep import Sweep

_SYSTEM_CLOCK = SystemClock()


async def scan_once(
    root: Path, options: WatchOptions, *, clock: Clock = _SYSTEM_CLOCK
) -> AsyncGenerator[WatchItem, None]:
    """The items of one full scan, ended by a `ScanFinished`, or a single `RootMissing`.

    Nothing is waited for: a file that is not settled is a `StillChanging`, and that includes any
    whose mtime lies in the future. Whoever leaves early closes it with `contextlib.aclosing`.
    """
    with closing(RootGuard(root)) as guard:
        if await to_thread.run_sync(guard.check) is RootState.MISSING:
            yield RootMissing(str(root), guard.missing_reason)
            return
    found_by = FoundBy.FIRST_SCAN
    with closing(Sweep(root, "", options.rules, found_by=found_by, clock=clock)) as sweep:
        while not sweep.is_finished:
            chunk = await sweep.pull()
            for batch in chunk.batches:
                settled, changing = _sorted_out(batch, chunk.at, options.stability)
                sweep.tally.add(batch, Taken(settled, len(changing), len(changing)))
                for oddity in batch.oddities:
                    yield Noticed(oddity)
                for path in changing:
                    yield StillChanging(path)
                if settled:
                    yield Candidates(batch.directory, settled, found_by)
        yield sweep.finished(number=1)


def _sorted_out(
    batch: ScanBatch, at: Moment, rule: StabilityRule
) -> tuple[tuple[LocalFile, ...], list[str]]:
    """The settled files of a batch, and the paths of the others."""
    settled: list[LocalFile] = []
    changing: list[str] = []
    for file in batch.files:
        now = Observation(file.identity, at.monotonic, at.wall_ns)
        if isinstance(judge(None, now, rule), Settled):
            settled.append(file)
        else:
            changing.append(file.path)
    return tuple(settled), changing
