"""Look at single files: those whose next look is due, and what events named."""

from collections import deque

from shared.fswatch.delivery import Delivery
from shared.fswatch.feed import EventFeed
from shared.fswatch.hints import Hints
from shared.fswatch.items import FoundBy, Oddity
from shared.fswatch.stability import LocalFile
from shared.fswatch.sweep import Sweep
from shared.fswatch.tree import Seen
from shared.fswatch.waiting import Waiting

_MOST_LOOKS = 1000
_MOST_BRANCHES = 4096


class Follower:
    """Follows up what is known or hinted, a bounded piece each round."""

    def __init__(
        self, delivery: Delivery, *, waiting: Waiting, hints: Hints, feed: EventFeed
    ) -> None:
        self._delivery = delivery
        self._waiting = waiting
        self._hints = hints
        self._feed = feed
        self._branches: deque[str] = deque()
        self._branch: Sweep | None = None

    @property
    def is_busy(self) -> bool:
        """Whether there is work for another round already."""
        return bool(self._hints or self._branches or self._branch)

    def drop_branches(self) -> None:
        """A full scan begins, or the root is another: directories to look into are forgotten."""
        self._branches.clear()
        if self._branch is not None:
            self._branch.close()
            self._branch = None

    async def look_again(self) -> None:
        """Look at the files whose next look is due."""
        due = self._waiting.take_due(self._delivery.now(), _MOST_LOOKS)
        if not due:
            return
        at, looks = await self._delivery.look_at(list(due))
        files = [(seen, due[path]) for path, seen in looks if isinstance(seen, LocalFile)]
        for item in self._delivery.intake.look_again(files, at):
            await self._delivery.hand_over(item)
        await self._delivery.notice(seen for _, seen in looks if isinstance(seen, Oddity))

    async def follow_hints(self) -> bool:
        """Look at the paths that events named; True when the root itself was among them."""
        hinted = self._hints.take(_MOST_LOOKS)
        paths = [path for path in hinted if path and self._is_open(path)]
        if paths:
            at, looks = await self._delivery.look_at(paths)
            await self._delivery.deliver(
                (seen for _, seen in looks if isinstance(seen, LocalFile)), at
            )
            await self._delivery.notice(seen for _, seen in looks if isinstance(seen, Oddity))
            self._branch_into([path for path, seen in looks if seen is Seen.DIRECTORY])
            if any(seen is Seen.BLOCKED for _, seen in looks):
                self._feed.rearm()
        return "" in hinted

    def _is_open(self, path: str) -> bool:
        """A file that is waited for has its next look, and what is skipped has none."""
        return path not in self._waiting and not self._delivery.rules.skips_path(path)

    def _branch_into(self, directories: list[str]) -> None:
        self._branches.extend(directories)
        if len(self._branches) > _MOST_BRANCHES:
            self._branches.clear()
            self._hints.add_everything()

    async def walk_branch(self) -> None:
        """Walk on in a directory that an event named: what was put in it may have no event."""
        if self._branch is None:
            if not self._branches:
                return
            self._branch = self._delivery.sweep(self._branches.popleft(), FoundBy.EVENT)
        await self._delivery.walk(self._branch)
        if self._branch.is_finished:
            self._branch = None
