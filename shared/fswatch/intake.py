"""Turn looks at files into what the consumer is told: settled now, waited for, or told already.

No I/O and no clock of its own: looks and the moment of the looks come in, items go out. Memory is
bounded: what there is no room to remember is told again or left to the next scan, never lost.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from shared.fswatch.clock import Moment
from shared.fswatch.items import Candidates, FoundBy, Noticed, Oddity, StillChanging, WatchItem
from shared.fswatch.names import parent_of
from shared.fswatch.stability import (
    LocalFile,
    NotYet,
    Observation,
    Settled,
    StabilityRule,
    judge,
)
from shared.fswatch.waiting import Waiter, Waiting

_MOST_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of files that were found."""

    settled: tuple[LocalFile, ...]
    unsettled: int
    overlooked: int
    """Of the unsettled, those that there was no room to wait for."""


class Intake:
    """What a watch remembers of single files from one scan to the next."""

    def __init__(self, rule: StabilityRule, waiting: Waiting) -> None:
        self._rule = rule
        self._waiting = waiting
        # Hashes and not paths, because very many may be remembered. A collision hides a file from
        # events, never from a scan, and so costs one interval.
        self._handed_over: set[int] = set()
        self._noticed: set[int] = set()
        self._met_in_scan: set[int] = set()

    def change_rule(self, rule: StabilityRule) -> None:
        """Judge by another rule from now on; who was waited for under the old one is forgotten."""
        self._rule = rule
        self._waiting.clear()

    def begin_scan(self) -> None:
        """A full scan begins: what was handed over before will be handed over again."""
        self._handed_over.clear()
        self._met_in_scan.clear()

    def end_scan(self) -> None:
        """A full scan has ended: an oddity that it did not meet is news the next time."""
        self._noticed = self._met_in_scan.copy()

    def take(self, files: Iterable[LocalFile], found_by: FoundBy, at: Moment) -> Taken:
        """Judge files that were found.

        `at` is just before the look: that makes a file seem younger than it is, never older.
        A file that is waited for already is left to its next look, and one found by an event whose
        very content was handed over since the last scan began is dropped.
        """
        settled: list[LocalFile] = []
        unsettled = overlooked = 0
        for file in files:
            if file.path in self._waiting:
                unsettled += 1
                continue
            now = Observation(file.identity, at.monotonic, at.wall_ns)
            verdict = judge(None, now, self._rule)
            if isinstance(verdict, NotYet):
                unsettled += 1
                waiter = Waiter(verdict.since, found_by)
                overlooked += not self._waiting.add(file.path, verdict.look_again_at, waiter)
            elif self._is_news(file, found_by):
                settled.append(file)
        return Taken(tuple(settled), unsettled, overlooked)

    def look_again(
        self, looks: Sequence[tuple[LocalFile, Waiter]], at: Moment
    ) -> Iterator[WatchItem]:
        """Judge files that were waited for; their waiters have been taken out for this."""
        settled: dict[FoundBy, list[LocalFile]] = {}
        for file, waiter in looks:
            now = Observation(file.identity, at.monotonic, at.wall_ns)
            verdict = judge(waiter.since, now, self._rule)
            if isinstance(verdict, Settled):
                if self._is_news(file, waiter.found_by):
                    settled.setdefault(waiter.found_by, []).append(file)
                continue
            if waiter.since.identity != file.identity and not waiter.told:
                waiter.told = True
                yield StillChanging(file.path)
            waiter.since = verdict.since
            self._waiting.add(file.path, verdict.look_again_at, waiter)
        for found_by, files in settled.items():
            yield from by_directory(files, found_by)

    def notice(self, oddities: Iterable[Oddity]) -> Iterator[Noticed]:
        """The oddities that have not been told yet."""
        for oddity in oddities:
            mark = hash((oddity.path, oddity.kind))
            if mark not in self._noticed:
                yield Noticed(oddity)
            for memory in (self._noticed, self._met_in_scan):
                _remember(memory, mark)

    def _is_news(self, file: LocalFile, found_by: FoundBy) -> bool:
        mark = hash(file)
        if found_by is FoundBy.EVENT and mark in self._handed_over:
            return False
        _remember(self._handed_over, mark)
        return True


def by_directory(files: Iterable[LocalFile], found_by: FoundBy) -> Iterator[Candidates]:
    """Settled files of several directories, in order, as one item for each directory."""
    ordered = sorted(files, key=_directory_and_path)
    for directory, group in groupby(ordered, key=lambda file: parent_of(file.path)):
        yield Candidates(directory, tuple(group), found_by)


def _directory_and_path(file: LocalFile) -> tuple[str, str]:
    return parent_of(file.path), file.path


def _remember(memory: set[int], mark: int) -> None:
    if len(memory) < _MOST_REMEMBERED:
        memory.add(mark)
