"""What the glacier chapter judges by must be able to fail."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pipelines.glacier.job_record import JobRecord, RunEntry, SceneEntry
from pipelines.glacier.regions import Bounds
from pipelines.glacier.step.grid import Grid
from scripts.demo.ended import Ended
from scripts.demo.glacier_facts import Ending, Found
from scripts.demo.glacier_land import GLACIERS, glaciers_of
from scripts.demo.glacier_truth import Comparison, Truth
from scripts.demo.glacier_verdict import judge
from tests.support.glacier_scenes import Place, Scene, pattern, sampled

_BOUNDS = Bounds(-159850, -3173900, -159650, -3173700)
_GRID = Grid.of(_BOUNDS, 10.0)
_FAILED = "134_Arsuk"


def _scenes(*zones: int) -> list[Scene]:
    places = [Place.around(_BOUNDS, epsg) for epsg in zones]
    return [Scene(place, pattern(place)) for place in places]


def test_a_dozen_regions_have_one_to_four_tiles() -> None:
    """The chapter shows what it claims to show, in either scale."""
    counts = Counter(len(glacier.tiles) for glacier in GLACIERS)
    tiles = [tile for glacier in GLACIERS for tile in glacier.tiles]

    assert (len(GLACIERS), sorted(counts)) == (12, [1, 2, 3, 4])
    assert len(set(tiles)) == len(tiles)
    assert [glacier.name for glacier in GLACIERS] == sorted(each.name for each in GLACIERS)
    assert {len(each.zones) for each in glaciers_of("small")} == {1, 2}


def test_the_truth_is_that_of_the_tests() -> None:
    """A raster that is right everywhere is found right."""
    scenes = _scenes(32622)

    assert Truth(_GRID).compare(sampled(_GRID, scenes), scenes) == Comparison(400)


def test_a_neighbour_is_told_from_a_wrong_value() -> None:
    """The warp may hit the pixel beside; it may make none up."""
    scenes = _scenes(32622)
    raster = sampled(_GRID, scenes)
    raster[3, 3] = raster[3, 4]
    raster[7, 7] = 0

    found = Truth(_GRID).compare(raster, scenes)

    assert found == Comparison(400, shifted=1, wrong=1)
    assert Truth(_GRID).compare(raster[1:], scenes).wrong == 380


def test_across_zones_a_pixel_lies_among_its_neighbours() -> None:
    """Resampled twice it is no source pixel any more; a hole or a flash is still wrong."""
    scenes = _scenes(32622, 32623)
    raster = sampled(_GRID, scenes)
    raster[5, 5] = 0
    raster[6, 6] = 60_000

    assert Truth(_GRID).compare(raster, scenes) == Comparison(400, wrong=2)


def _ending() -> Ending:
    done = Ended(0, ["done"])
    services = {each.name: "lambda" if len(each.tiles) <= 2 else "batch" for each in GLACIERS}
    return Ending(
        planned=done,
        plan_touched=[],
        glaciers=GLACIERS,
        services=services,
        synced=done,
        first=Ended(1, [f"failed: --regions {_FAILED}"]),
        after_first={_FAILED: _record("failed")},
        attempts=[143, 0],
        had_begun=True,
        second=done,
        pulled=done,
        checked=done,
    )


def _record(status: Any) -> JobRecord:
    scenes = (SceneEntry("a", "written"), SceneEntry("b", "skipped", "coverage"))
    return JobRecord("job", "sentinel2", (RunEntry("1", status, "2024", scenes=scenes),))


def _found() -> Found:
    return Found(
        scenes=24,
        exact=100,
        shifted=1,
        across_zones=10,
        faults=[],
        missing=[],
        strange=[],
        repeated=[],
        pages=[],
        records={glacier.name: _record("success") for glacier in GLACIERS},
        functions=9,
        bytes_fetched=1,
    )


def test_a_good_run_is_called_good() -> None:
    """Otherwise nobody would believe the next one."""
    assert [check.claim for check in judge(_ending(), _found()) if not check.holds] == []


def _ends(**facts: Any) -> Callable[[], tuple[Ending, Found]]:
    return lambda: (replace(_ending(), **facts), _found())


def _finds(**facts: Any) -> Callable[[], tuple[Ending, Found]]:
    return lambda: (_ending(), replace(_found(), **facts))


@pytest.mark.parametrize(
    ("facts", "claim"),
    [
        (_ends(plan_touched=["S3"]), "no network"),
        (_ends(services={}), "go to Lambda"),
        (_ends(attempts=[0]), "went away"),
        (_ends(attempts=[143, 1]), "went on from there"),
        (_ends(had_begun=False), "went away"),
        (_ends(after_first={}), "had got the page"),
        (_ends(second=Ended(1, [])), "a record that says success"),
        (_ends(synced=Ended(1, [])), "sync put"),
        (_ends(pulled=Ended(1, [])), "pull brought"),
        (_ends(checked=Ended(2, [])), "check found"),
        (_finds(records={}), "a record that says success"),
        (_finds(missing=["a"]), "the bucket holds"),
        (_finds(strange=["a"]), "the bucket holds"),
        (_finds(faults=["a"]), "pixel by pixel"),
        (_finds(scenes=0), "pixel by pixel"),
        (_finds(repeated=["a"]), "stored twice"),
        (_finds(pages=["a"]), "never stored"),
    ],
)
def test_each_promise_can_be_broken(facts: Callable[[], tuple[Ending, Found]], claim: str) -> None:
    """A check that holds whatever happens is decoration."""
    broken = [check.claim for check in judge(*facts()) if not check.holds]

    assert any(claim in each for each in broken), broken
