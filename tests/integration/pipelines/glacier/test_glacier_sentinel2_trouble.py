"""Sentinel-2's step where something is wrong: what fails, what goes on, and what is told."""

import pytest
from aiohttp.web import BaseRequest, Response, StreamResponse

from tests.support.glacier_regions import Row
from tests.support.glacier_scenes import read_raster, write_tile
from tests.support.glacier_sentinel2 import (
    ACQUISITION,
    BOTH,
    CLEAR,
    POST_PROCESS,
    REGION,
    SECOND,
    SECOND_ACQUISITION,
    Sentinel2Ground,
    whole,
)
from tests.support.glacier_stac import status, xml_page


def test_template_that_is_broken_is_replaced(ground: Sentinel2Ground) -> None:
    """One that cannot be opened used to skip every scene of a region in silence."""
    template = ground.base / REGION / "template" / f"{REGION}.tif"
    template.parent.mkdir(parents=True)
    template.write_bytes(b"<html>")
    ground.publish(whole())

    assert ground.run(*BOTH).status == 0
    assert read_raster(template)[1]["size"] == (300, 300)


@pytest.mark.parametrize("fault", [xml_page(), status(404)], ids=["page", "gone"])
def test_scene_that_cannot_be_fetched_stops_no_other(
    ground: Sentinel2Ground, fault: object
) -> None:
    """And it is done by the next run: no page ever lies under a tile's name."""
    assert callable(fault)
    first, second = whole(), whole(seed=2, sensed=SECOND)
    ground.publish(first, second)
    ground.stac.faults[first.asset_path] = [fault]

    ran = ground.run(*BOTH)

    assert ran.status == 1
    assert ran.statuses == {ACQUISITION: "failed", SECOND_ACQUISITION: "written"}
    assert ran.summary.status == "failed"
    assert first.file_name not in str(ground.files())
    assert "scene_failed" in ran.err
    assert ground.run(*BOTH).statuses == {ACQUISITION: "written", SECOND_ACQUISITION: "present"}


def test_page_stored_as_tile_by_earlier_programs_is_fetched_again(ground: Sentinel2Ground) -> None:
    """It used to stay, and to break every run after."""
    scene = whole()
    ground.publish(scene)
    raw = write_tile(ground.base / REGION / "download", scene)
    raw.write_bytes(b"<?xml version='1.0'?><Error/>")

    assert ground.run(*BOTH).statuses == {ACQUISITION: "written"}


def test_scene_that_an_older_program_left_torn_is_made_again(ground: Sentinel2Ground) -> None:
    """It was written under its own name, and killed."""
    ground.publish(whole())
    ground.run(*BOTH)
    complete = ground.scene().read_bytes()
    ground.scene().write_bytes(complete[:100_000])

    assert ground.run(*BOTH).statuses == {ACQUISITION: "written"}
    assert ground.scene().read_bytes() == complete


def test_tile_that_breaks_while_it_is_read_fails_its_scene(ground: Sentinel2Ground) -> None:
    """Without a download there is nothing to mend it with."""
    scene = whole()
    raw = write_tile(ground.base / REGION / "download", scene)
    raw.write_bytes(raw.read_bytes()[:60_000])

    ran = ground.run(*POST_PROCESS)

    assert ran.status == 1
    assert scene.file_name in ran.done[ACQUISITION].reason
    assert not ground.scene().exists()
    log = (ground.base / "sentinel_glacier.log").read_text()
    assert "ERROR scene_failed" in log
    assert "clipping.py" in log


def test_downloads_stay_where_something_failed(ground: Sentinel2Ground) -> None:
    """They are needed again."""
    good = write_tile(ground.base / REGION / "download", whole())
    bad = write_tile(ground.base / REGION / "download", whole(sensed=SECOND))
    bad.write_bytes(bad.read_bytes()[:60_000])

    assert ground.run(*POST_PROCESS, *CLEAR).status == 1
    assert good.exists()


def test_region_that_fails_stops_no_other(ground: Sentinel2Ground) -> None:
    """Of two regions the second is done, though the search for the first failed."""
    ground.regions(Row("001_a"), Row("002_b"))
    ground.publish(whole())
    ground.stac.faults["/v1/search"] = [status(404)]

    ran = ground.run(*BOTH, region="001_a,002_b")

    assert ran.status == 1
    assert ran.statuses == {"001_a": "failed", ACQUISITION: "written"}
    assert (ran.summary.failed, ran.summary.written) == (1, 1)
    assert "/v1/search" in ran.done["001_a"].reason or "catalogue" in ran.done["001_a"].reason


def test_item_that_is_no_scene_fails_and_is_told(ground: Sentinel2Ground) -> None:
    """The catalogue has changed its fields before."""
    item = whole().item("https://example.org/B08.tif")
    item["properties"] = {"datetime": "2024-08-01T00:00:00Z"}
    ground.stac.items.append(item)

    ran = ground.run(*BOTH)

    assert ran.status == 1
    assert ran.statuses == {"S2B_22VFP_20240801_0_L2A": "failed"}


@pytest.mark.parametrize("clear", [(), CLEAR], ids=["whole", "windows"])
def test_file_of_this_machine_is_no_asset(ground: Sentinel2Ground, clear: tuple[str, ...]) -> None:
    """The address comes from a catalogue, and GDAL opens paths as readily as URLs."""
    scene = whole()
    path = write_tile(ground.root / "elsewhere", scene)
    ground.stac.items.append(scene.item(str(path)))

    ran = ground.run(*BOTH, *clear)

    assert ran.status == 1
    assert "only http" in ran.done[ACQUISITION].reason


def test_window_of_a_page_fails_its_scene(ground: Sentinel2Ground) -> None:
    """Read where it is, a page of text is no raster either."""
    scene = whole()
    ground.publish(scene)
    ground.stac.assets[scene.asset_path] = b"<?xml version='1.0'?><Error/>" * 100

    ran = ground.run(*BOTH, *CLEAR)

    assert ran.statuses == {ACQUISITION: "failed"}
    assert not ground.scene().exists()


def test_window_that_cannot_be_read_is_fetched_whole(ground: Sentinel2Ground) -> None:
    """A store that has trouble with ranges costs a download, and no scene."""
    scene = whole()
    ground.publish(scene)

    async def no_parts(request: BaseRequest, content: bytes) -> StreamResponse:
        in_parts = "Range" in request.headers or request.method == "HEAD"
        return Response(status=404) if in_parts else Response(body=content)

    ground.stac.faults[scene.asset_path] = [no_parts] * 20

    ran = ground.run(*BOTH, *CLEAR)

    assert ran.statuses == {ACQUISITION: "written"}
    assert "windows_failed" in ran.err
    assert not any("download" in name for name in ground.files())


def test_crash_is_in_the_log_as_well(
    ground: Sentinel2Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that says nothing of the crash was what nobody could explain before."""

    def broken(*_arguments: object, latest_only: bool) -> None:
        raise LookupError("a mistake of ours")

    where = "pipelines.glacier.step.sentinel2.region_run.plan_acquisitions"
    monkeypatch.setattr(where, broken)

    ran = ground.run(*BOTH)

    assert ran.status == 1
    assert "LookupError" in ran.err
    assert "LookupError: a mistake of ours" in (ground.base / "sentinel_glacier.log").read_text()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "there is nothing to do"),
        ((*BOTH, "--date2", "2024-09-31"), "--date2"),
        ((*BOTH, "--folder_structure", "flat"), "--folder_structure 'flat'"),
        ((*BOTH, "--start_end_index", "5:5"), "--start_end_index '5:5'"),
        ((*BOTH, "--cores", "0"), "--cores '0'"),
        ((*BOTH, "--what"), "--what"),
    ],
)
def test_bad_input_is_told_before_anything_is_done(
    ground: Sentinel2Ground, flags: tuple[str, ...], said: str
) -> None:
    """Status 2, the offending text, and no file."""
    ran = ground.run(*flags)

    assert ran.status == 2
    assert said in ran.err
    assert not ground.base.exists()
    assert ground.stac.asked == []


def test_unknown_region_is_told_with_near_ones(ground: Sentinel2Ground) -> None:
    """Names are typed by hand."""
    ran = ground.run(*BOTH, region="134_arsuk")

    assert ran.status == 2
    assert REGION in ran.err
