"""What is to be done with the scenes that a search found for a region, and why not. Pure.

| a scene                                            | then                        |
|----------------------------------------------------|-----------------------------|
| covers no more of the region than the threshold    | it is none of the region's  |
| is there, as a raster or in the list of finished   | present                     |
| was left out by an earlier run                     | skipped, for its reason     |
| is the same as another, processed later            | skipped                     |
| else                                               | to be done                  |

An item that should be a scene and cannot be read is a failure: nobody knows what it would cover.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pipelines.glacier.finished import Finished
from pipelines.glacier.landsat.scenes import (
    Left,
    Scene,
    each_once,
    finished_moments,
    in_time_order,
)
from pipelines.glacier.step.grid import Grid
from pipelines.glacier.step_events import SceneDone


@dataclass(frozen=True, slots=True)
class Limits:
    """Which scenes are wanted."""

    covered: float
    """The fraction of the region that a scene's footprint must exceed."""
    filled: float | None = None
    """The fraction of the region that its pixels must exceed; None: any are enough."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A region's scenes, sorted out."""

    found: tuple[str, ...]
    """All that are the region's, in the order of their times; what cannot be read comes last."""
    to_do: tuple[Scene, ...]
    """In the order of their times."""
    done: tuple[SceneDone, ...]
    """Those of which something can be said at once."""


def plan_region(
    region: str,
    covered: Mapping[Scene, float],
    broken: Sequence[Left],
    limits: Limits,
    *,
    on_disk: Collection[str],
    finished: Finished,
) -> Plan:
    """Sort a region's scenes out; `on_disk` are the names of its rasters."""
    own = [scene for scene, fraction in covered.items() if fraction > limits.covered]
    known = [each for each in finished.values() if each.region == region]
    there = finished_moments(on_disk)
    there |= finished_moments(each.id for each in known if each.status == "present")
    skipped = {each.id: each.reason for each in known if each.status == "skipped"}
    present = [scene for scene in own if scene.moment in there]
    absent = [scene for scene in own if scene.moment not in there]
    kept, repeated = each_once([scene for scene in absent if scene.subset_id not in skipped])
    left = [
        *(
            Left(scene.subset_id, skipped[scene.subset_id])
            for scene in absent
            if scene.subset_id in skipped
        ),
        *repeated,
    ]
    return Plan(
        found=(
            *(scene.subset_id for scene in in_time_order(own)),
            *(each.id for each in broken),
        ),
        to_do=in_time_order(kept),
        done=(
            *(SceneDone(region, scene.subset_id, "present") for scene in in_time_order(present)),
            *(SceneDone(region, each.id, "skipped", each.reason) for each in left),
            *(SceneDone(region, each.id, "failed", each.reason) for each in broken),
        ),
    )


def reason_to_drop(valid: int, grid: Grid, area_km2: float, limits: Limits) -> str:
    """Return why a clipped scene is not kept, empty if it is; `valid` counts its pixels."""
    if not valid:
        # The footprint of an item is that of the whole scene, its corners without pixels included.
        return "it has no pixel in the region"
    if limits.filled is None:
        return ""
    filled = grid.area_km2(valid) / area_km2
    if filled > limits.filled:
        return ""
    return f"its pixels cover {filled:.4f} of the region, not more than {limits.filled:g}"


def errored_line(region: str, subset_id: str, error: str) -> str:
    """Return the line for a scene that failed, as the list of such downloads has it."""
    return f"REGION: {region}, SUBSET ID: {subset_id}, Err: {' '.join(error.split())}\n"
