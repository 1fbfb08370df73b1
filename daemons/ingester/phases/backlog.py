"""Which episodes wait for a transcript, in what order, and how long it will take. Pure.

| audio that is here                                        | is                                   |
|-----------------------------------------------------------|--------------------------------------|
| has a transcript that is not empty                        | done                                 |
| has a newer version                                       | left for ever: that one counts       |
| has no entry in the manifest                              | an orphan: nobody could find it      |
| S3 may have its transcript, and it could not be had today | left for the next run                |
| is not asked for by `--only-episode`                      | left                                 |
| anything else                                             | waiting                              |

The newest come first: they are what visitors look for, and a backlog may take weeks.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from daemons.ingester.archive.episode import Episode
from daemons.ingester.archive.folders import Folder, comparable, episode_path, transcript_path
from daemons.ingester.archive.holdings import (
    Holdings,
    Identity,
    by_identity,
    identity_of,
    older_versions,
)
from daemons.ingester.speech.progress import Pace, estimate


@dataclass(frozen=True, slots=True)
class Waiting:
    """An episode that is to be transcribed."""

    episode: Episode
    audio: str
    """Where its audio lies, relative to the site, as the disk calls it."""

    @property
    def transcript(self) -> str:
        """Where its transcript will lie: named exactly as in the manifest."""
        return transcript_path(self.episode.podcast_id, self.episode.file_key)

    @property
    def seconds(self) -> float | None:
        """How long it is, as its feed says; None where that is not known."""
        value = self.episode.record.get("durationInSeconds")
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            return None
        return float(value)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What was found; paths are relative to the site."""

    waiting: tuple[Waiting, ...]
    orphans: tuple[str, ...]
    undecided: tuple[str, ...]
    """Audio that is left because S3 may have its transcript."""
    older: int
    """Audio without a transcript that has a newer version."""


def plan_backlog(
    holdings: Holdings,
    episodes: Iterable[Episode],
    *,
    only: str = "",
    avoid: Collection[str] = (),
    avoid_folders: Collection[Folder] = (),
) -> Backlog:
    """Sort the audio of a site by the table above.

    `avoid` are paths, and `avoid_folders` folders, of which it is not known what S3 has there.
    """
    entries = by_identity(episodes)
    unsure = {each for path in avoid if (each := _identity_at(path)) is not None}
    older = older_versions(
        holdings.identities(Folder.AUDIO, Folder.TRANSCRIPTS) | unsure, entries.keys()
    )
    nothing_sure = Folder.TRANSCRIPTS in avoid_folders
    waiting: list[Waiting] = []
    orphans: list[str] = []
    undecided: list[str] = []
    passed = 0
    for identity, audio in holdings.files[Folder.AUDIO].items():
        if holdings.has(Folder.TRANSCRIPTS, identity):
            continue
        if identity in older:
            passed += 1
        elif identity not in entries:
            orphans.append(audio)
        elif nothing_sure or identity in unsure:
            undecided.append(audio)
        elif only in identity[1]:
            waiting.append(Waiting(entries[identity], audio))
    waiting.sort(key=_age, reverse=True)
    return Backlog(tuple(waiting), tuple(orphans), tuple(undecided), passed)


@dataclass(frozen=True, slots=True)
class UnderWay:
    """An episode that is being transcribed."""

    seconds: float | None
    """How long it is."""
    since: float
    """When that began, on the clock of `seconds_left`."""


def seconds_left(
    pace: Pace,
    under_way: Sequence[UnderWay],
    later: Sequence[float | None],
    *,
    now: float,
    at_once: int,
) -> float | None:
    """Return how long a site will take still; None while nobody can know.

    An episode whose length is not known is taken for an average one of those that wait with it.
    """
    known = [
        seconds
        for seconds in (*(each.seconds for each in under_way), *later)
        if seconds is not None
    ]
    if pace.ratio is None or not known:
        return None
    usual = sum(known) / len(known)
    total = sum(usual if seconds is None else seconds for seconds in later) * pace.ratio
    for each in under_way:
        progress = estimate(
            pace,
            chunk=(1, 1),
            before_seconds=0.0,
            chunk_seconds=usual if each.seconds is None else each.seconds,
            later_seconds=0.0,
            in_chunk_seconds=now - each.since,
        )
        total += progress.left_seconds or 0.0
    return total / max(at_once, 1)


def _age(waiting: Waiting) -> tuple[str, Identity]:
    return waiting.episode.date, identity_of(waiting.episode)


def _identity_at(path: str) -> Identity | None:
    """Return whose transcript a path throws doubt on: audio may change, entries do not matter."""
    found = episode_path(comparable(path))
    if found is None or found.folder is Folder.SEARCH_ENTRIES:
        return None
    return found.podcast_id, found.file_key
