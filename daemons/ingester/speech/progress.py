"""How far an episode is and how long it will take: from what was measured, never a wish. Pure.

The pace, seconds of work for a second of audio, is that of the chunks done in this run, the late
ones counting more. Before the first one there is no pace, and no time is named. While a chunk is
under way its expected time runs down, and stays at a tenth when it takes longer than expected.
"""

from dataclasses import dataclass

_WEIGHT = 0.5
_LEAST_SHARE = 0.1


@dataclass(slots=True)
class Pace:
    """What recognition has cost so far; one for all episodes of a run."""

    ratio: float | None = None
    """Seconds of work for a second of audio; None while nothing is known."""

    def note(self, audio_seconds: float, work_seconds: float) -> None:
        """Learn from a chunk that is done."""
        if audio_seconds <= 0:
            return
        seen = max(work_seconds, 0.0) / audio_seconds
        self.ratio = seen if self.ratio is None else self.ratio + _WEIGHT * (seen - self.ratio)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an episode stands."""

    chunk: int
    """Which one is under way, from 1; how many are done at the end."""
    chunks: int
    done_seconds: float
    """Of audio."""
    total_seconds: float
    left_seconds: float | None
    """Of work; None while nobody can know."""

    @property
    def percent(self) -> int:
        """Audio done, of a hundred."""
        return int(100 * self.done_seconds / self.total_seconds) if self.total_seconds else 100


def estimate(
    pace: Pace,
    *,
    chunk: tuple[int, int],
    before_seconds: float,
    chunk_seconds: float,
    later_seconds: float,
    in_chunk_seconds: float,
) -> Progress:
    """Return how far an episode is and how long it will take still.

    Its audio is what lies before the chunk under way, that chunk, and what comes later;
    `in_chunk_seconds` is how long that chunk has been worked on. `chunk` is its number and how
    many there are.
    """
    total = before_seconds + chunk_seconds + later_seconds
    if pace.ratio is None:
        return Progress(*chunk, before_seconds, total, None)
    expected = chunk_seconds * pace.ratio
    left_of_chunk = max(expected - in_chunk_seconds, expected * _LEAST_SHARE)
    share = 1 - left_of_chunk / expected if expected else 0.0
    left = left_of_chunk + later_seconds * pace.ratio
    return Progress(*chunk, before_seconds + max(share, 0.0) * chunk_seconds, total, left)


def format_left(seconds: float | None) -> str:
    """Say a time as people do, no finer than it is known."""
    if seconds is None:
        return "time left not known yet"
    if seconds < 60:  # noqa: PLR2004 - seconds of a minute
        return f"about {max(5, round(seconds / 5) * 5)} s left"
    minutes = round(seconds / 60)
    if minutes < 60:  # noqa: PLR2004 - minutes of an hour
        return f"about {minutes} min left"
    return f"about {minutes // 60} h {minutes % 60:02} min left"
