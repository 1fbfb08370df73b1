"""All that was detected, as columns. Pure.

A million rows take 150 MB so; as objects they would take most of a gigabyte.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from math import nan

from pipelines.wildlife.stage2.frames import Frame, frame_of, may_have_frames

_STILL = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Some rows as they come in, a column each."""

    ids: Sequence[int]
    """The digits of `det-…`."""
    pictures: Sequence[int]
    """The digits of `evt-…`."""
    sources: Sequence[str]
    """URIs of the pictures."""
    kinds: Iterable[tuple[str, str]]
    """Camera and species."""
    moments: Sequence[int]
    """Microseconds since 1970."""
    confidences: Sequence[float]
    doubtful: Sequence[bool]
    latitudes: Sequence[float | None]
    longitudes: Sequence[float | None]
    """Neither counts without the other."""
    crops: Sequence[str | None]


class Detections:
    """Rows that only become more; their columns may be read by anybody."""

    def __init__(self, crops_below: str = "") -> None:
        self.ids = array("Q")
        self.pictures = array("Q")
        self.moments = array("q")
        self.confidences = array("d")
        self.doubtful = bytearray()
        self.latitudes, self.longitudes = array("d"), array("d")
        """Not a number where the position is not known."""
        self._frames, self._videos = array("i"), array("i")
        self._video_numbers: dict[str, int] = {}
        self._video_names: list[str] = []
        # Nearly all crops lie in one folder, whose name is kept once; the others lie by their rows.
        self._crops_below = crops_below
        self._crops: list[str | None] = []
        self._crops_elsewhere: dict[int, str] = {}
        self._groups: defaultdict[tuple[str, str], array[int]] = defaultdict(partial(array, "I"))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.ids)

    @property
    def groups(self) -> Mapping[tuple[str, str], Sequence[int]]:
        """The rows of each camera and species."""
        return self._groups

    def extend(self, rows: Rows) -> None:
        """Add rows."""
        first = len(self.ids)
        self.ids.extend(rows.ids)
        self.pictures.extend(rows.pictures)
        self.moments.extend(rows.moments)
        self.confidences.extend(rows.confidences)
        self.doubtful.extend(rows.doubtful)
        self.latitudes.extend(_known(rows.latitudes, rows.longitudes))
        self.longitudes.extend(_known(rows.longitudes, rows.latitudes))
        self._add_sources(rows.sources)
        self._add_crops(first, rows.crops)
        groups = self._groups
        for number, kind in enumerate(rows.kinds, first):
            groups[kind].append(number)

    def frame_numbers(self, rows: Sequence[int]) -> Sequence[int | None]:
        """Return the numbers of rows' frames; None for a still picture."""
        if not self._video_names:
            return [None] * len(rows)
        numbers = self._frames
        return [None if (number := numbers[row]) == _STILL else number for row in rows]

    def videos(self, rows: Iterable[int]) -> Sequence[str]:
        """Return the videos that rows' frames are of, each as often as there are frames."""
        if not self._video_names:
            return []
        numbers = self._videos
        return [self._video_names[number] for row in rows if (number := numbers[row]) != _STILL]

    def crops(self, rows: Iterable[int]) -> Sequence[str | None]:
        """Return the URIs of rows' crops, None where none was stored."""
        below, names, elsewhere = self._crops_below, self._crops, self._crops_elsewhere
        return [
            elsewhere.get(row) if (name := names[row]) is None else below + name for row in rows
        ]

    def _add_sources(self, sources: Sequence[str]) -> None:
        if not may_have_frames(sources):
            self._frames.extend(repeat(_STILL, len(sources)))
            self._videos.extend(repeat(_STILL, len(sources)))
            return
        frames = [frame_of(source) for source in sources]
        self._frames.extend([_STILL if frame is None else frame.number for frame in frames])
        self._videos.extend([_STILL if frame is None else self._number(frame) for frame in frames])

    def _number(self, frame: Frame) -> int:
        number = self._video_numbers.setdefault(frame.video, len(self._video_names))
        if number == len(self._video_names):
            self._video_names.append(frame.video)
        return number

    def _add_crops(self, first: int, crops: Sequence[str | None]) -> None:
        below, behind = self._crops_below, len(self._crops_below)
        named = [crop for crop in crops if crop is not None]
        # What begins alike is between the first and the last of its order.
        if len(named) == len(crops) > 0 and all(
            crop.startswith(below) for crop in (min(named), max(named))
        ):
            self._crops.extend([crop[behind:] for crop in named])
            return
        for row, crop in enumerate(crops, first):
            if crop is None or crop.startswith(below):
                self._crops.append(crop and crop[behind:])
            else:
                self._crops.append(None)
                self._crops_elsewhere[row] = crop


def _known(values: Sequence[float | None], others: Sequence[float | None]) -> Iterable[float]:
    """Return values, and not a number where the value or the other one is not known."""
    return [
        nan if value is None or other is None else value
        for value, other in zip(values, others, strict=True)
    ]
