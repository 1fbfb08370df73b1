"""Which detections are one sighting: those of a species before a camera within some time. Pure.

The order in which detections came plays no part: ties are broken by identity, sums are exact.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from math import isnan

from pipelines.wildlife.sphere import Position, mean_position
from pipelines.wildlife.stage2.detected import Detections

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PER_SECOND, _DAY_SECONDS = 1_000_000, 86_400
_ID_BYTES = 8
_SECONDS = len("1970-01-01T00:00:00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """What makes a sighting."""

    window: timedelta = timedelta(minutes=10)
    gap: bool = False
    """The window reaches from the last detection, not from the first one."""
    min_duration: timedelta = timedelta(seconds=5)
    """Of a sighting that is in videos alone; a still picture always counts."""
    without: frozenset[str] = frozenset()
    """Species whose sightings are counted and left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Detections of one species before one camera."""

    identity: int
    """The digits of `obs-…`."""
    camera_id: str
    species: str
    rows: Sequence[int]
    """In the order of their time."""
    start: int
    end: int
    position: Position | None
    """Mean of the rows that have one."""


class Sightings:
    """Sightings as columns, by camera, species and start; each is made into a value when asked."""

    def __init__(self, detections: Detections) -> None:
        self.detections = detections
        self.ids = array("Q")
        self.starts = array("q")
        self.left_out = 0
        """Of species that are left out."""
        self.too_short = 0
        """In videos, and too short to count."""
        self._kinds: list[tuple[str, str]] = []
        self._kind_of = array("I")
        self._rows = array("I")
        self._ends = array("I")
        self._latitudes, self._longitudes = array("d"), array("d")

    def __len__(self) -> int:
        """Return the number of sightings."""
        return len(self.ids)

    def __getitem__(self, number: int) -> Sighting:
        """Return one sighting."""
        rows = self._rows[self._ends[number - 1] if number else 0 : self._ends[number]]
        camera_id, species = self._kinds[self._kind_of[number]]
        return Sighting(
            identity=self.ids[number],
            camera_id=camera_id,
            species=species,
            rows=rows,
            start=self.starts[number],
            end=self.end(number),
            position=self.position(number),
        )

    def position(self, number: int) -> Position | None:
        """Return where one sighting was, if that is known."""
        latitude = self._latitudes[number]
        return None if isnan(latitude) else (latitude, self._longitudes[number])

    def end(self, number: int) -> int:
        """Return when one sighting ended."""
        return self.detections.moments[self._rows[self._ends[number] - 1]]

    def species(self) -> frozenset[str]:
        """Return the species that were seen."""
        return frozenset(species for _, species in self._kinds)

    def sizes(self) -> Iterator[int]:
        """Yield the number of rows of each sighting."""
        return (behind - first for first, behind in pairwise([0, *self._ends]))

    def by_start(self) -> Sequence[int]:
        """Return all numbers in the order of start, camera and species."""
        return sorted(range(len(self)), key=self.starts.__getitem__)

    def add(self, kind: tuple[str, str], rows: Sequence[int]) -> None:
        """Add one of a camera and a species; all of these come one after the other."""
        if not self._kinds or self._kinds[-1] != kind:
            self._kinds.append(kind)
        start = self.detections.moments[rows[0]]
        latitudes = list(map(self.detections.latitudes.__getitem__, rows))
        longitudes = list(map(self.detections.longitudes.__getitem__, rows))
        mean = mean_position(latitudes, longitudes)
        self.ids.append(_identity(*kind, start))
        self.starts.append(start)
        self._kind_of.append(len(self._kinds) - 1)
        self._rows.extend(rows)
        self._ends.append(len(self._rows))
        self._latitudes.append(mean[0])
        self._longitudes.append(mean[1])


def compress(detections: Detections, rules: Compression) -> Sightings:
    """Join detections to sightings."""
    sightings = Sightings(detections)
    for kind in sorted(detections.groups):
        # Two passes with a key that is no Python function take a third of the time of one with it.
        rows = sorted(detections.groups[kind], key=detections.ids.__getitem__)
        rows.sort(key=detections.moments.__getitem__)
        moments = [detections.moments[row] for row in rows]
        for first, behind in split(moments, rules.window // _MICROSECOND, gap=rules.gap):
            members = rows[first:behind]
            if kind[1] in rules.without:
                sightings.left_out += 1
            elif _is_too_short(detections, members, rules):
                sightings.too_short += 1
            else:
                sightings.add(kind, members)
    return sightings


def split(moments: Sequence[int], window: int, *, gap: bool) -> Iterator[tuple[int, int]]:
    """Cut ascending moments into runs, each from its first place to the one behind its last.

    One joins a run if it is no more than the window after its first; with `gap`, after its last.
    """
    first = 0
    anchor = moments[0] if moments else 0
    for number, moment in enumerate(moments):
        if moment - anchor > window:
            yield first, number
            first, anchor = number, moment
        elif gap:
            anchor = moment
    if moments:
        yield first, len(moments)


def moment_of(microseconds: int) -> datetime:
    """Return the time of a row."""
    seconds, rest = divmod(microseconds, _PER_SECOND)
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.replace(microsecond=rest) if rest else moment


def microseconds_of(moment: datetime) -> int:
    """Return a time as rows have it."""
    since = moment - _EPOCH
    # Dividing by a timedelta says the same, and takes ten times as long.
    return (since.days * _DAY_SECONDS + since.seconds) * _PER_SECOND + since.microseconds


def _is_too_short(detections: Detections, rows: Sequence[int], rules: Compression) -> bool:
    lasted = detections.moments[rows[-1]] - detections.moments[rows[0]]
    if lasted >= rules.min_duration // _MICROSECOND:
        return False
    return len(detections.videos(rows)) == len(rows)


def _identity(camera_id: str, species: str, start: int) -> int:
    second = f"{moment_of(start).isoformat()[:_SECONDS]}Z"
    digest = sha256(f"{camera_id}|{species}|{second}".encode()).digest()
    return int.from_bytes(digest[:_ID_BYTES], "big")
