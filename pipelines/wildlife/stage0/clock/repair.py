"""The repair of one picture's time. Pure.

`offset_seconds` is the error of the camera's clock, ahead of the true time where it is positive:
so it is subtracted, from what the clock showed, before the zone is applied. A `delta_seconds` is
added. A drift is subtracted as it has grown since the clock was set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.wildlife.stage0.clock.rules import ClockError, Clocks
from pipelines.wildlife.stage0.clock.timestamps import Shown
from pipelines.wildlife.stage0.clock.zones import Zone, localise

NO_RULE = "no_correction_rule"
DRIFT_WITHOUT_ANCHOR = "drift_without_anchor"
_MILLION = 1_000_000
_MICROSECONDS = 6


@dataclass(frozen=True, slots=True)
class Repaired:
    """A picture's time before and after."""

    original: datetime
    """As the clock had it, in UTC."""
    corrected: datetime
    zone: str
    seconds: float = 0.0
    """Added to what the clock showed."""
    rule_id: str | None = None
    flags: tuple[str, ...] = ()


def repair(shown: Shown, camera: str, clocks: Clocks) -> Repaired:
    """Apply the one rule that counts for this camera at this time."""
    zone = clocks.zone_of(camera)
    if shown.offset is not None:
        zone = Zone(str(shown.offset), shown.offset)
    original = localise(shown.at, zone).moment
    seconds, rule_id, flags = _decide(shown.at, original, zone, camera, clocks)
    corrected = localise(shown.at + timedelta(seconds=seconds), zone)
    if corrected.flag:
        flags = [*flags, corrected.flag]
    return Repaired(original, corrected.moment, zone.name, seconds, rule_id, tuple(flags))


def _decide(
    at: datetime, original: datetime, zone: Zone, camera: str, clocks: Clocks
) -> tuple[float, str | None, Sequence[str]]:
    """Return the seconds to add, by which rule, and what is to be said of it."""
    correction = clocks.correction_at(camera, original)
    if correction is not None:
        return correction.delta_seconds, correction.rule_id, []
    error = clocks.error_of(camera)
    if error is None:
        return 0.0, None, [NO_RULE]
    flags = [DRIFT_WITHOUT_ANCHOR] if error.drift_ppm and error.last_sync is None else []
    ahead = error.offset_seconds + _drifted(at, zone, error)
    # Adding zero makes a zero of a negative zero.
    return round(-ahead, _MICROSECONDS) + 0.0, error.rule_id, flags


def _drifted(at: datetime, zone: Zone, error: ClockError) -> float:
    """Return the seconds that a clock has gained since it was set."""
    if not error.drift_ppm or error.last_sync is None:
        return 0.0
    moment = localise(at - timedelta(seconds=error.offset_seconds), zone).moment
    return error.drift_ppm * (moment - error.last_sync).total_seconds() / _MILLION
