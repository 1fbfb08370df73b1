from dataclasses import replace
from typing import Any

import pytest

from pipelines.glacier.landsat.plan import Limits, errored_line, plan_region, reason_to_drop
from pipelines.glacier.landsat.scenes import (
    Left,
    Scene,
    choose_scenes,
    each_once,
    finished_moments,
)
from pipelines.glacier.step_events import SceneDone
from tests.support.glacier_landsat import GRID, REGION, LandsatScene

WHOLE = LandsatScene()
MAPPER = LandsatScene(
    item_id="LT05_L1TP_003017_19900704_20200712_02_T1",
    scene_id="LT50030171990185KIS00",
    taken="1990-07-04T14:25:14Z",
    platform="LANDSAT_5",
    instruments=("TM",),
    asset="nir08",
)
LIMITS = Limits(0.05)


def chosen(*scenes: LandsatScene) -> tuple[Scene, ...]:
    """Return the scenes of a search's answer."""
    return choose_scenes([scene.item() for scene in scenes]).scenes


def test_name_tells_second_scene_and_processing() -> None:
    """The name is the contract's own example, letter by letter."""
    (scene,) = chosen(WHOLE)

    assert scene.subset_id == (
        "20240704142514_LC80030172024186LGN00_LC08_L1TP_003017_20240704_20240712_02_T1_ortho"
    )
    assert scene.moment == "20240704142514_LC80030172024186LGN00"


@pytest.mark.parametrize(
    ("platform", "instruments", "asset", "used"),
    [
        ("LANDSAT_1", ("MSS",), "nir08", 0),
        ("LANDSAT_2", ("MSS",), "nir08", 0),
        ("LANDSAT_3", ("MSS",), "nir08", 0),
        ("LANDSAT_4", ("MSS",), "nir08", 0),
        ("LANDSAT_4", ("TM",), "nir08", 1),
        ("LANDSAT_5", ("MSS",), "nir08", 0),
        ("LANDSAT_5", ("TM",), "nir08", 1),
        ("LANDSAT_5", ("TM",), "pan", 0),
        ("LANDSAT_7", ("ETM",), "pan", 1),
        ("LANDSAT_8", ("OLI", "TIRS"), "pan", 1),
        ("LANDSAT_8", ("TIRS",), "tir1", 0),
        ("LANDSAT_9", ("OLI", "TIRS"), "pan", 1),
        ("SENTINEL_2", ("MSI",), "pan", 0),
    ],
)
def test_platform_and_instrument_decide_which_band_is_used(
    platform: str, instruments: tuple[str, ...], asset: str, used: int
) -> None:
    """The MSS has pixels of 60 m: its scenes would be clipped out of bands that mean another."""
    item = replace(WHOLE, platform=platform, instruments=instruments, asset=asset).item()

    choice = choose_scenes([item])

    assert [scene.asset for scene in choice.scenes] == ([asset] if used else [])
    assert (choice.unused, choice.broken) == (1 - used, ())


def test_thematic_mapper_comes_first_and_positions_are_those_of_the_answer() -> None:
    """Rows of the table have had this order and these numbers since the first run."""
    newer = replace(WHOLE, scene_id="LC90030172024186LGN00", platform="LANDSAT_9")

    scenes = chosen(WHOLE, MAPPER, newer)

    assert [(scene.position, scene.asset) for scene in scenes] == [
        (1, "nir08"),
        (0, "pan"),
        (2, "pan"),
    ]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2024-07-04T14:25:14Z", "20240704142514"),
        ("2024-07-04T14:25:14.999999Z", "20240704142514"),
        ("2024-07-04T14:25:14.9999999+00:00", "20240704142514"),
        ("2024-07-04T16:25:14+02:00", "20240704142514"),
        ("2024-07-04T14:25:14", "20240704142514"),
    ],
)
def test_time_is_cut_to_seconds_of_utc(written: str, expected: str) -> None:
    """Two spellings of one moment must not become two rasters."""
    (scene,) = chosen(replace(WHOLE, taken=written))

    assert scene.subset_id[:14] == expected


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("id",), "../../etc/passwd", "id '../../etc/passwd' is not of the usual form"),
        (("properties", "landsat:scene_id"), "a/b", "is not of the usual form"),
        (("properties", "landsat:scene_id"), None, "landsat:scene_id is missing, or no text"),
        (("properties", "datetime"), "today", "datetime 'today' is no point in time"),
        (("properties", "datetime"), "0001-01-01T00:00:00+14:00", "is no point in time"),
        (("properties", "datetime"), None, "datetime is missing"),
        (("properties", "platform"), 8, "platform is missing, or no text"),
        (("assets", "pan", "alternate"), None, "alternate.s3.href is missing"),
        (("assets", "pan", "alternate", "s3", "href"), "/etc/passwd", "not of the usual form"),
        (("assets", "pan", "alternate", "s3", "href"), "https://a.b/c.TIF", "not of the usual"),
        (("assets", "pan", "alternate", "s3", "href"), "s3://bucket/a b", "not of the usual"),
    ],
)
def test_item_that_cannot_be_a_scene_is_told_and_stops_no_other(
    path: tuple[str, ...], value: object, reason: str
) -> None:
    """What a catalogue sends becomes file names and addresses: nothing in it is trusted."""
    item: dict[str, Any] = WHOLE.item()
    inside = item
    for name in path[:-1]:
        inside = inside[name]
    inside[path[-1]] = value

    choice = choose_scenes([item, MAPPER.item()])

    assert [scene.item_id for scene in choice.scenes] == [MAPPER.item_id]
    assert len(choice.broken) == 1
    assert reason in choice.broken[0].reason


def test_scene_is_known_by_second_and_scene_id_alone() -> None:
    """The USGS processes again: the first fourteen letters alone would confuse two paths."""
    there = finished_moments(["20240704142514_LC80030172024186LGN00_LC08_OLD_ortho.tif", "x.tif"])
    again = replace(WHOLE, item_id="LC08_L1TP_003017_20240704_20250101_02_T1")
    other_scene = replace(WHOLE, scene_id="LC80030182024186LGN00")

    known = [scene.moment in there for scene in chosen(WHOLE, again, other_scene)]

    assert known == [True, True, False]


@pytest.mark.parametrize(
    ("ids", "kept"),
    [
        (["L_L_L_D_20240712_02_T1", "L_L_L_D_20240801_02_T1"], "L_L_L_D_20240801_02_T1"),
        (["L_L_L_D_20240801_02_T1", "L_L_L_D_20240712_02_T1"], "L_L_L_D_20240801_02_T1"),
        (["L_L_L_D_20240801_02_RT", "L_L_L_D_20240712_02_T1"], "L_L_L_D_20240712_02_T1"),
    ],
)
def test_of_one_scene_the_last_processing_is_taken(ids: list[str], kept: str) -> None:
    """Both would be written in one run and only one in two: results must not depend on that."""
    scenes = chosen(*(replace(WHOLE, item_id=item_id) for item_id in ids))

    taken, left = each_once(scenes)

    assert [scene.item_id for scene in taken] == [kept]
    assert [each.reason for each in left] == [f"the same scene as {kept!r}"]


def test_plan_leaves_out_what_is_finished_and_says_so() -> None:
    """A run next to a bucket brings no rasters: what is done is told, and not done again."""
    scenes = [
        replace(WHOLE, scene_id=f"LC8{number}", taken=f"2024-07-0{number}T00:00:00Z")
        for number in range(1, 6)
    ]
    here, there, dropped, small, wanted = chosen(*scenes)
    covered = {here: 1.0, there: 0.5, dropped: 0.9, small: 0.05, wanted: 0.0501}
    known = [
        SceneDone(REGION, there.subset_id, "present"),
        SceneDone(REGION, dropped.subset_id, "skipped", "clouds"),
        SceneDone("999_Other", wanted.subset_id, "present"),
    ]

    plan = plan_region(
        REGION,
        covered,
        [Left("bad", "no text")],
        LIMITS,
        on_disk=[f"{here.subset_id}.tif"],
        finished={(each.region, each.id): each for each in known},
    )

    assert plan.to_do == (wanted,)
    assert plan.found == (
        *(scene.subset_id for scene in (here, there, dropped, wanted)),
        "bad",
    )
    assert plan.done == (
        SceneDone(REGION, here.subset_id, "present"),
        SceneDone(REGION, there.subset_id, "present"),
        SceneDone(REGION, dropped.subset_id, "skipped", "clouds"),
        SceneDone(REGION, "bad", "failed", "no text"),
    )


@pytest.mark.parametrize(
    ("valid", "least", "reason"),
    [
        (0, None, "it has no pixel in the region"),
        (1, None, ""),
        (20_000, 0.5, "its pixels cover 0.5000 of the region, not more than 0.5"),
        (20_001, 0.5, ""),
        (0, 0.0, "it has no pixel in the region"),
    ],
)
def test_scene_must_exceed_the_wanted_coverage(
    valid: int, least: float | None, reason: str
) -> None:
    """An empty raster is a failed clip to whoever reads it; half is not more than half."""
    assert reason_to_drop(valid, GRID, 9.0, Limits(0.05, least)) == reason


def test_list_of_failed_downloads_has_a_line_each() -> None:
    """People look for failed scenes there, with the words of the first scripts."""
    line = errored_line(REGION, "one", "first\nsecond")

    assert line == f"REGION: {REGION}, SUBSET ID: one, Err: first second\n"
