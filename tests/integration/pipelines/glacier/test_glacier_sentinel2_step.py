"""Sentinel-2's step between a catalogue and an output folder: what lies there afterwards."""

from dataclasses import replace

import numpy as np
import pytest

from pipelines.glacier.finished import FINISHED_VARIABLE, finished_text
from pipelines.glacier.step_events import Found, SceneDone
from tests.support.glacier_regions import Row
from tests.support.glacier_scenes import read_raster, write_tile
from tests.support.glacier_sentinel2 import (
    ACQUISITION,
    BOTH,
    CLEAR,
    DOWNLOAD,
    GRID,
    POST_PROCESS,
    REGION,
    SECOND,
    SECOND_ACQUISITION,
    Sentinel2Ground,
    halves,
    partly,
    whole,
)


def test_scene_of_two_tiles_lies_where_later_steps_look_for_it(ground: Sentinel2Ground) -> None:
    """Names, folders and tables are frozen."""
    west, east = halves()
    ground.publish(west, east)

    ran = ground.run(*BOTH)

    assert ran.status == 0
    assert ground.files() == [
        f"{REGION}/clipped/{ACQUISITION}.tif",
        f"{REGION}/download/2024/{east.file_name}",
        f"{REGION}/download/2024/{west.file_name}",
        f"{REGION}/metadata/combined_csv/{REGION}.csv",
        f"{REGION}/metadata/individual_csv/{ACQUISITION}.csv",
        f"{REGION}/template/{REGION}.tif",
    ]
    row = f"{ACQUISITION},{west.file_name},{east.file_name}"
    metadata = ground.base / REGION / "metadata"
    assert (metadata / "individual_csv" / f"{ACQUISITION}.csv").read_bytes() == row.encode()
    combined = metadata / "combined_csv" / f"{REGION}.csv"
    assert combined.read_bytes() == f"0,1,2\n{row}\n".encode()
    raw = ground.base / REGION / "download" / "2024" / west.file_name
    assert raw.read_bytes() == ground.stac.assets[west.asset_path]


def test_events_name_what_is_complete(ground: Sentinel2Ground) -> None:
    """Whoever runs the step uploads what they name, while the step goes on."""
    ground.publish(whole())

    ran = ground.run(*BOTH)

    found, done = ran.events[:2]
    assert found == Found(REGION, (ACQUISITION,))
    assert isinstance(done, SceneDone)
    assert done.status == "written"
    assert done.files[0] == f"{REGION}/clipped/{ACQUISITION}.tif"
    told = {*done.files, f"{REGION}/metadata/combined_csv/{REGION}.csv"}
    assert told == set(ground.files())
    assert (ran.summary.status, ran.summary.found, ran.summary.written) == ("success", 1, 1)


def test_windows_give_the_bytes_of_whole_tiles(ground: Sentinel2Ground) -> None:
    """Where nobody keeps raw tiles, the region's part of them is all that is fetched."""
    scene = whole()
    far = replace(scene.place, left=scene.place.left - 1600, width=scene.place.width + 320)
    pixels = np.random.default_rng(1).integers(1, 10_000, (far.height, far.width), np.uint16)
    ground.publish(replace(scene, place=far, pixels=pixels))
    ground.run(*BOTH)
    expected = ground.scene().read_bytes()
    ground.stac.sent_bytes = 0
    ground.scene().unlink()
    (ground.base / REGION / "template" / f"{REGION}.tif").unlink()
    for raw in (ground.base / REGION / "download" / "2024").iterdir():
        raw.unlink()

    ran = ground.run(*BOTH, *CLEAR)

    assert ran.status == 0
    assert ground.scene().read_bytes() == expected
    assert not any("download" in name for name in ground.files())
    assert ground.stac.sent_bytes < 0.7 * len(_asset(ground, scene.asset_path))


def test_second_run_finds_everything_there(ground: Sentinel2Ground) -> None:
    """Runs are repeated after a time limit; what is there is neither fetched nor written again."""
    ground.publish(whole(), partly(0.3, sensed=SECOND))
    ground.run(*BOTH)
    before = {name: (ground.base / name).stat().st_mtime_ns for name in ground.files()}
    ground.stac.asked.clear()

    ran = ground.run(*BOTH)

    assert ran.statuses == {ACQUISITION: "present", SECOND_ACQUISITION: "skipped"}
    assert not [each.path for each in ground.stac.asked if each.path.startswith("/tiles")]
    combined = f"{REGION}/metadata/combined_csv/{REGION}.csv"
    after = {name: (ground.base / name).stat().st_mtime_ns for name in ground.files()}
    assert {name for name in after if after[name] != before[name]} <= {combined}


@pytest.mark.parametrize(("factor", "written"), [(2.0, False), (1.9999, True)])
def test_scene_must_cover_more_than_half(
    ground: Sentinel2Ground, factor: float, *, written: bool
) -> None:
    """Exactly half is not enough."""
    ground.publish(partly(0.6))
    ground.run(*BOTH)
    valid = int(np.count_nonzero(read_raster(ground.scene())[0]))
    ground.scene().unlink()
    area = valid * GRID.resolution**2 / 1e6 * factor
    ground.regions(Row(REGION, tiles="22VFP", area=area))

    ran = ground.run(*BOTH)

    assert ran.status == 0
    assert ground.scene().exists() is written
    assert ran.statuses[ACQUISITION] == ("written" if written else "skipped")
    if not written:
        assert ran.done[ACQUISITION].reason == "coverage 0.5000 is not above 0.5"
        assert ran.summary.status == "success"


def test_scenes_do_not_wait_for_one_that_covers_everything(ground: Sentinel2Ground) -> None:
    """The grid comes from the bounds: a window without a full scene used to give nothing at all."""
    ground.publish(partly(0.75))

    ran = ground.run(*BOTH)

    assert ran.statuses == {ACQUISITION: "written"}
    assert read_raster(ground.scene())[1]["transform"] == GRID.transform


def test_template_is_the_first_with_enough_else_the_best(ground: Sentinel2Ground) -> None:
    """Its content is for people; which scene it shows must not change any other file."""
    template = ground.base / REGION / "template" / f"{REGION}.tif"
    third = whole(seed=3, sensed="20240811T143749")
    fourth = whole(seed=4, sensed="20240816T143749")
    ground.publish(partly(0.4))
    ground.run(*BOTH)
    least = np.count_nonzero(read_raster(template)[0])

    ground.publish(partly(0.8, seed=2, sensed=SECOND))
    better = ground.run(*BOTH)
    assert template.read_bytes() == ground.scene(SECOND_ACQUISITION).read_bytes()
    assert np.count_nonzero(read_raster(template)[0]) > least
    assert f"{REGION}/template/{REGION}.tif" in better.done[SECOND_ACQUISITION].files

    ground.publish(third, fourth)
    ground.run(*BOTH)
    assert template.read_bytes() == ground.scene(third.acquisition).read_bytes()


def test_processing_takes_the_tiles_of_the_windows_years(ground: Sentinel2Ground) -> None:
    """Tiles that were fetched before, for any day of those years, without a catalogue."""
    spring = whole(sensed="20240315T143749")
    before = whole(sensed="20230801T143749")
    other = whole("22WEB", sensed="20240802T143749")
    for scene in (spring, before, other):
        write_tile(ground.base / REGION / "download", scene)

    ran = ground.run(*POST_PROCESS)

    assert ran.statuses == {spring.acquisition: "written"}
    assert ground.stac.asked == []


def test_download_alone_leaves_raw_tiles_alone(ground: Sentinel2Ground) -> None:
    """Nodes with a network fetch, those without process."""
    scene = whole()
    ground.publish(scene)

    first, second = ground.run(*DOWNLOAD), ground.run(*DOWNLOAD)

    assert ground.files() == [f"{REGION}/download/2024/{scene.file_name}"]
    assert first.statuses == {ACQUISITION: "written"}
    assert second.statuses == {ACQUISITION: "present"}
    assert second.done[ACQUISITION].files == tuple(ground.files())


def test_layout_new_has_regions_below_each_kind(ground: Sentinel2Ground) -> None:
    """Both layouts are in use."""
    scene = whole()
    ground.publish(scene)

    ground.run(*BOTH, "--folder_structure", "new")

    assert ground.files() == [
        f"clipped/{REGION}/{ACQUISITION}.tif",
        f"download/2024/{scene.file_name}",
        f"metadata/combined_csv/{REGION}.csv",
        f"metadata/individual_csv/{REGION}/{ACQUISITION}.csv",
        f"template/{REGION}.tif",
    ]


@pytest.mark.parametrize("layout", ["old", "new"])
def test_cleared_are_the_regions_own_downloads(ground: Sentinel2Ground, layout: str) -> None:
    """Where regions share the folder, tiles of others stay."""
    downloads = ground.base / (f"{REGION}/download" if layout == "old" else "download")
    own = write_tile(downloads, whole())
    other = write_tile(downloads, whole("22WEB"))

    ran = ground.run(*POST_PROCESS, *CLEAR, "--folder_structure", layout)

    assert ran.statuses == {ACQUISITION: "written"}
    assert not own.exists()
    assert other.exists() is (layout == "new")
    assert not any("download" in name for name in ran.done[ACQUISITION].files)


def test_scenes_that_lie_in_the_bucket_are_not_done(
    ground: Sentinel2Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler's folder begins empty: it brings names, not pixels."""
    ground.publish(whole(), whole(sensed=SECOND))
    known = [
        SceneDone(REGION, ACQUISITION, "present"),
        SceneDone(REGION, SECOND_ACQUISITION, "skipped", "coverage 0.2000 is not above 0.5"),
    ]
    finished = ground.root / "finished.jsonl"
    finished.write_text(finished_text(known))
    monkeypatch.setenv(FINISHED_VARIABLE, str(finished))

    ran = ground.run(*BOTH)

    assert list(ran.done.values()) == known
    assert ground.files() == []


def test_no_scenes_is_no_failure(ground: Sentinel2Ground) -> None:
    """In winter there is no light; a crash there used to look the same."""
    ran = ground.run(*BOTH)

    assert ran.status == 0
    assert ran.summary.status == "no_data"
    assert ground.files() == []


def test_two_baselines_give_two_scenes_and_a_warning(ground: Sentinel2Ground) -> None:
    """The names differ, so both can be there; only one is wanted on request."""
    old = whole(seed=2, baseline="N0500")
    ground.publish(whole(), old)

    both = ground.run(*BOTH)

    assert both.statuses == {ACQUISITION: "written", old.acquisition: "written"}
    assert "baselines_differ" in both.err
    ground.scene().unlink()
    ground.scene(old.acquisition).unlink()
    one = ground.run(*BOTH, "--latest-baseline-only")
    assert one.statuses == {ACQUISITION: "written"}


def test_several_at_a_time_give_the_same(ground: Sentinel2Ground) -> None:
    """`--cores` changes how long it takes, and nothing else."""
    scenes = [whole(seed=day, sensed=f"2024080{day}T143749") for day in range(1, 5)]
    ground.publish(*scenes)

    ran = ground.run(*BOTH, "--cores", "3")

    assert set(ran.statuses.values()) == {"written"}
    table = ground.base / REGION / "metadata" / "combined_csv" / f"{REGION}.csv"
    rows = table.read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == [scene.acquisition for scene in scenes]


def _asset(ground: Sentinel2Ground, path: str) -> bytes:
    asset = ground.stac.assets[path]
    assert isinstance(asset, bytes)
    return asset
