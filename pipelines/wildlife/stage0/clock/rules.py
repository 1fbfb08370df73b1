"""What is known of cameras' clocks, and which of it counts for a picture. Pure.

| # | known from                              | says                                             |
|---|-----------------------------------------|--------------------------------------------------|
| 1 | a correction of the camera for the time | seconds to add; the newest of several            |
| 2 | the camera's row in the table           | the clock's error, and how it drifts             |
| 3 | the camera's entry                      | the clock's error                                |
| 4 | the entry of the camera's type          | the clock's error, and whether it has summer time |
| 5 | nothing                                 | no correction                                    |

The first counts, alone. The zone is that of the camera's row, else its entry, else its type's,
whichever first names one, also under a correction of the first kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipelines.wildlife.stage0.clock.zones import Zone
from pipelines.wildlife.stage0.exif.position import Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """Seconds to add to what a camera showed within a span of time."""

    correction_id: str
    camera_id: str
    delta_seconds: float
    begin: datetime | None
    """Of the span, and part of it; None is always."""
    end: datetime | None
    """Not part of it any more."""
    rule_id: str
    created_at: datetime

    def covers(self, moment: datetime) -> bool:
        """Tell whether it is for this moment, as the camera's clock has it."""
        begun = self.begin is None or self.begin <= moment
        return begun and (self.end is None or moment < self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockError:
    """How far a clock is ahead, and how it is set."""

    rule_id: str
    offset_seconds: float
    """Ahead of the true time; negative is behind."""
    zone: Zone | None = None
    drift_ppm: float = 0.0
    """What it gains on top, in millionths."""
    last_sync: datetime | None = None
    """When it was set; without that nobody knows since when it drifts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """All that is known."""

    default_zone: Zone
    corrections: Mapping[str, Sequence[Correction]] = field(default_factory=dict)
    """By camera, the newest first."""
    rows: Mapping[str, ClockError] = field(default_factory=dict)
    entries: Mapping[str, ClockError] = field(default_factory=dict)
    systems: Mapping[str, ClockError] = field(default_factory=dict)
    """By type of camera."""
    types: Mapping[str, str] = field(default_factory=dict)
    positions: Mapping[str, Position] = field(default_factory=dict)
    """Where cameras hang, for pictures without a position."""

    def correction_at(self, camera: str, moment: datetime) -> Correction | None:
        """Return the correction of a camera that counts at a moment."""
        of_camera = self.corrections.get(camera, ())
        return next((each for each in of_camera if each.covers(moment)), None)

    def error_of(self, camera: str) -> ClockError | None:
        """Return what counts where there is no correction."""
        return next(iter(self._known(camera)), None)

    def zone_of(self, camera: str) -> Zone:
        """Return how a camera's clock is set."""
        return next((each.zone for each in self._known(camera) if each.zone), self.default_zone)

    def _known(self, camera: str) -> Sequence[ClockError]:
        found = (
            self.rows.get(camera),
            self.entries.get(camera),
            self.systems.get(self.types.get(camera, "")),
        )
        return [each for each in found if each is not None]


def newest_first(corrections: Sequence[Correction]) -> Mapping[str, Sequence[Correction]]:
    """Sort corrections by camera, the newest first; the identifier decides between equals."""
    sorted_ = sorted(corrections, key=lambda each: (each.created_at, each.correction_id))
    found: dict[str, list[Correction]] = {}
    for correction in reversed(sorted_):
        found.setdefault(correction.camera_id, []).append(correction)
    return found
