"""Look at files in a worker thread and hand over what the intake makes of them.

Handing over waits for the consumer; that is what keeps a watch no faster than its consumer.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

from anyio import to_thread

from shared.fswatch.clock import Clock, Moment, moment
from shared.fswatch.intake import Intake, by_directory
from shared.fswatch.items import Candidates, FoundBy, Oddity, WatchItem
from shared.fswatch.names import SkipRules
from shared.fswatch.stability import LocalFile
from shared.fswatch.sweep import Sweep
from shared.fswatch.tree import Look, look_at

HandOver = Callable[[WatchItem], Awaitable[None]]


class Delivery:
    """One root, what is known of its files, and the way to the consumer."""

    def __init__(
        self, root: Path, rules: SkipRules, *, clock: Clock, intake: Intake, hand_over: HandOver
    ) -> None:
        self._root = root
        self.rules = rules
        self.clock = clock
        self.intake = intake
        self.hand_over = hand_over

    def now(self) -> float:
        """The monotonic time."""
        return self.clock.monotonic()

    async def look_at(self, paths: Sequence[str]) -> tuple[Moment, list[tuple[str, Look]]]:
        """What is at these paths, and the moment just before the looks."""
        at = moment(self.clock)
        return at, await to_thread.run_sync(look_at, self._root, paths)

    async def deliver(self, files: Iterable[LocalFile], at: Moment) -> None:
        """Hand over those files that an event named and that are settled and news."""
        taken = self.intake.take(files, FoundBy.EVENT, at)
        for item in by_directory(taken.settled, FoundBy.EVENT):
            await self.hand_over(item)

    async def notice(self, oddities: Iterable[Oddity]) -> None:
        """Hand over the oddities that are news."""
        for item in self.intake.notice(oddities):
            await self.hand_over(item)

    def sweep(self, directory: str, found_by: FoundBy) -> Sweep:
        """Begin a walk through a directory of the root."""
        return Sweep(self._root, directory, self.rules, found_by=found_by, clock=self.clock)

    async def walk(self, sweep: Sweep) -> None:
        """Hand over the next chunk of a walk."""
        chunk = await sweep.pull()
        for batch in chunk.batches:
            await self.notice(batch.oddities)
            taken = self.intake.take(batch.files, sweep.found_by, chunk.at)
            sweep.tally.add(batch, taken)
            if taken.settled:
                await self.hand_over(Candidates(batch.directory, taken.settled, sweep.found_by))
