"""What is known of the folder of positions: its names, and the chunks that have settled. Pure.

Names are cheap and tell almost everything: which CIDs have a chunk, which are answered. Only the
chunks that are neither sent nor answered have to be looked at until they have settled. Memory is
bounded: a CID has five digits.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from daemons.dispatcher.plan import answer_cid, chunk_cid, is_misnamed
from shared.fswatch.names import SkipRules
from shared.fswatch.stability import FileIdentity, LocalFile

_MISNAMED_KEPT = 100


@dataclass(frozen=True, slots=True)
class Survey:
    """The CIDs that the names in the folder of positions speak of."""

    chunks: frozenset[str] = frozenset()
    answers: frozenset[str] = frozenset()
    misnamed: frozenset[str] = frozenset()
    """Names of files that somebody meant as chunks, a bounded number."""


def survey_names(names: Iterable[str]) -> Survey:
    """Sort names into chunks and answers; all others are none of ours."""
    chunks: set[str] = set()
    answers: set[str] = set()
    misnamed: set[str] = set()
    for name in names:
        if cid := chunk_cid(name):
            chunks.add(cid)
        elif cid := answer_cid(name):
            answers.add(cid)
        elif is_misnamed(name) and len(misnamed) < _MISNAMED_KEPT:
            misnamed.add(name)
    return Survey(frozenset(chunks), frozenset(answers), frozenset(misnamed))


@dataclass(frozen=True, slots=True)
class OpenChunks(SkipRules):
    """Passes over every name but those of chunks that are still to be sent.

    A folder of a hundred thousand chunks, nearly all of them done, costs a look at its names.
    """

    done: AbstractSet[str] = field(default=frozenset(), compare=False)
    """CIDs that were sent or answered; it changes while it is in use."""

    def skips(self, name: str) -> bool:
        """Whether this one name is passed over."""
        cid = chunk_cid(name)
        return cid is None or cid in self.done


@dataclass(slots=True)
class Backlog:
    """The chunks that have settled.

    A full scan replaces what was known when it has ended, so that a chunk which was removed, or is
    being written anew, is forgotten.
    """

    _chunks: dict[str, FileIdentity] = field(default_factory=dict)
    _next: dict[str, FileIdentity] = field(default_factory=dict)

    @property
    def chunks(self) -> Mapping[str, FileIdentity]:
        """The settled chunks by CID."""
        return self._chunks

    def take(self, files: Iterable[LocalFile]) -> bool:
        """Take in settled files; True when a chunk among them is news."""
        news = False
        for file in files:
            if cid := chunk_cid(file.path):
                news |= self._chunks.get(cid) != file.identity
                self._chunks[cid] = self._next[cid] = file.identity
        return news

    def end_scan(self) -> None:
        """Forget what the scan that has ended did not meet."""
        self._chunks, self._next = self._next, {}

    def forget_all(self) -> None:
        """The folder is not there: nothing is known."""
        self._chunks, self._next = {}, {}

    def drop(self, cid: str) -> None:
        """Forget a chunk that is done, or another file by now."""
        self._chunks.pop(cid, None)
        self._next.pop(cid, None)
