"""Landsat's step between a catalogue and a bucket on loopback: what lies there afterwards."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from aiohttp.web import Response

from pipelines.glacier.finished import FINISHED_VARIABLE, finished_text
from pipelines.glacier.step_events import EVENTS_VARIABLE, Found, SceneDone, Summary, parse_lines
from tests.support.glacier_landsat import (
    GRID,
    KEY_ID,
    REGION,
    Answer,
    LandsatGround,
    LandsatScene,
    PayingBucket,
    cubic,
    hills,
    place,
    write_region_file,
)
from tests.support.glacier_regions import Row
from tests.support.glacier_scenes import cog_bytes, read_raster
from tests.support.glacier_stac import StacServer, status

JULY = ("--regions", REGION, "--date1", "2024-07-01", "--date2", "2024-07-31")
WHOLE = LandsatScene()
HALF = replace(
    WHOLE,
    where=place(left=2550.0),
    scene_id="LC90030172024193LGN00",
    item_id="LC09_L1TP_003017_20240711_20240711_02_T1",
    taken="2024-07-11T14:25:14Z",
    platform="LANDSAT_9",
)
MAPPER = LandsatScene(
    item_id="LT05_L1TP_003017_19900704_20200712_02_T1",
    scene_id="LT50030171990185KIS00",
    taken="1990-07-04T14:25:14Z",
    platform="LANDSAT_5",
    instruments=("TM",),
    asset="nir08",
)


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[StacServer, PayingBucket]]:
    """Catalogue and bucket, once for all tests."""
    with StacServer() as stac, PayingBucket() as bucket:
        yield stac, bucket


@pytest.fixture
def ground(
    servers: tuple[StacServer, PayingBucket],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> LandsatGround:
    """An empty catalogue and bucket, and a folder."""
    stac, bucket = servers
    stac.items.clear()
    stac.faults.clear()
    stac.asked.clear()
    for each in (bucket.objects, bucket.instead, bucket.keys_used, bucket.tokens_used):
        each.clear()
    bucket.sent_bytes = bucket.refused = 0
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-the-environment")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", bucket.url)
    monkeypatch.setenv("GLACIER_STAC_URL", stac.url)
    monkeypatch.setenv("GLACIER_REGION_FILE", str(write_region_file(tmp_path)))
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")

    def said() -> tuple[str, str]:
        captured = capsys.readouterr()
        return captured.out, captured.err

    return LandsatGround(tmp_path, stac, bucket, said)


def test_scene_is_the_cubic_of_the_panchromatic_band_on_the_regions_grid(
    ground: LandsatGround,
) -> None:
    """Later steps compare pixels of scenes: grid, type and resampling are frozen."""
    ground.publish(WHOLE)

    ended, summary, _ = ground.run(*JULY)

    assert (ended, summary["status"], summary["written"]) == (0, "success", 1)
    pixels, head = read_raster(ground.raster(WHOLE))
    assert head == {
        "driver": "GTiff",
        "crs": "EPSG:3413",
        "transform": GRID.transform,
        "size": (200, 200),
        "dtypes": ("uint16",),
        "nodata": 0,
        "compression": None,
    }
    off = np.abs(pixels - cubic(GRID, WHOLE.where, hills(WHOLE.where)))
    # A handler hands the key, secret and token of its role over in the environment.
    assert ground.bucket.keys_used == {KEY_ID}
    assert ground.bucket.tokens_used == {"token-of-the-environment"}
    # The transformer may be an eighth of a pixel off; the waves are of 1600 and a few pixels long.
    # Bilinear would be off by more than a hundred in the mean. The corners lie on the cut's edge.
    assert off.mean() < 5
    assert np.percentile(off, 99.9) < 60


def test_near_infrared_of_the_thematic_mapper_becomes_sixteen_bit(ground: LandsatGround) -> None:
    """Its eight bits saturate where they always did; later steps read one type only."""
    where = place(size=180, resolution=30)
    bright = np.clip(hills(where, "float64", height=150.0), 1, 255).astype(np.uint8)
    scene = replace(MAPPER, where=where, pixels=bright)
    ground.publish(scene)

    ended, _, _ = ground.run("-d1", "1990-01-01", "-d2", "1990-12-31")

    pixels, head = read_raster(ground.raster(scene))
    assert (ended, head["dtypes"], pixels.max()) == (0, ("uint16",), 255)
    off = np.abs(pixels - np.clip(cubic(GRID, where, bright), 1, 255))
    assert off.mean() < 1
    # The nearest pixel of 30 m would be off by a multiple of this.
    assert np.percentile(off, 99) < 8


def test_only_blocks_around_the_region_are_fetched(ground: LandsatGround) -> None:
    """A scene has some hundred million bytes, and the reader pays for each."""
    scene = replace(WHOLE, where=place(size=1500))
    content = cog_bytes(scene.where, np.ones((1500, 1500), np.uint16), compress="NONE")
    ground.stac.items.append(scene.item())
    ground.bucket.objects[scene.key] = content

    ended, _, _ = ground.run(*JULY)

    assert ended == 0
    assert ground.bucket.sent_bytes < len(content) / 8


def test_nodata_of_the_scene_stays_nodata(ground: LandsatGround) -> None:
    """Nothing is made up where a scene has no pixels, and no valid pixel becomes nodata."""
    where = place()
    pixels = hills(where)
    pixels[:, : where.width // 2] = 0
    scene = replace(WHOLE, pixels=pixels)
    ground.publish(scene)

    ground.run(*JULY)

    found, _ = read_raster(ground.raster(scene))
    # A kernel reaches two pixels into the valid half.
    truth = cubic(GRID, where, (pixels > 0).astype(float))
    assert not found[truth < 1e-9].any()
    assert (found[truth > 1 - 1e-9] > 0).all()
    assert 0.45 < (found > 0).mean() < 0.55


def test_table_and_template_lie_beside_the_scenes(ground: LandsatGround, tmp_path: Path) -> None:
    """Names and columns are frozen; the same run makes the same bytes."""
    ground.publish(WHOLE, HALF)

    ground.run(*JULY)

    reference = ground.output / "_reference"
    with (reference / f"{REGION}_stac_query_results.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["subset_id"] for row in rows] == [WHOLE.subset_id, HALF.subset_id]
    first = (reference / f"{REGION}.tif").read_bytes()
    with rasterio.open(reference / f"{REGION}.tif") as dataset:
        assert dataset.tags(1, ns="IMAGE_STRUCTURE")["NBITS"] == "1"
        assert (dataset.dtypes, dataset.shape) == (("uint8",), (200, 200))
        assert tuple(dataset.transform)[:6] == GRID.transform
        assert dataset.crs.to_epsg() == 3413
    again = replace(ground, folder=tmp_path / "again")
    again.run(*JULY)
    other = again.output
    assert (other / "_reference" / f"{REGION}.tif").read_bytes() == first
    for name in (WHOLE.subset_id, HALF.subset_id):
        one, two = (base / REGION / f"{name}.tif" for base in (ground.output, other))
        assert one.read_bytes() == two.read_bytes()


def test_scene_that_is_there_is_not_fetched_again(ground: LandsatGround) -> None:
    """Runs are repeated; the USGS processes scenes again under other names."""
    ground.publish(WHOLE)
    ground.bucket.instead[WHOLE.key] = [lambda _content: Response(status=404)] * 9
    assert ground.run(*JULY)[0] == 1
    ground.bucket.instead.clear()
    assert ground.run(*JULY)[0] == 0
    table = ground.output / "_reference" / f"{REGION}_stac_query_results.csv"
    before = {
        path: path.read_bytes() for path in ground.output.rglob("*.*") if "log" not in path.name
    }
    ground.stac.items[:] = [
        replace(WHOLE, item_id="LC08_L1TP_003017_20240704_20250101_02_T1").item()
    ]
    ground.bucket.objects.clear()

    ended, summary, _ = ground.run(*JULY)

    assert (ended, summary["status"], summary["present"]) == (0, "success", 1)
    assert {path: path.read_bytes() for path in before} == before
    assert table in before


def test_only_the_rest_is_in_the_next_table(ground: LandsatGround) -> None:
    """The table tells what the last run had to do."""
    ground.publish(WHOLE)
    ground.run(*JULY)
    ground.publish(HALF)

    _, summary, _ = ground.run(*JULY)

    table = (ground.output / "_reference" / f"{REGION}_stac_query_results.csv").read_text()
    assert (summary["present"], summary["written"]) == (1, 1)
    assert (WHOLE.subset_id in table, HALF.subset_id in table) == (False, True)


def test_torn_raster_of_an_older_run_is_made_again(ground: LandsatGround) -> None:
    """The first script wrote under the final name: a killed run left half a file for ever."""
    ground.publish(WHOLE)
    ground.run(*JULY)
    whole = ground.raster(WHOLE).read_bytes()
    ground.raster(WHOLE).write_bytes(whole[:20_000])

    ended, summary, _ = ground.run(*JULY)

    assert (ended, summary["written"]) == (0, 1)
    assert ground.raster(WHOLE).read_bytes() == whole


@pytest.mark.parametrize(
    "answer",
    [
        lambda _content: Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>"),
        lambda _content: Response(text="<html>maintenance</html>", content_type="text/html"),
        lambda content: Response(status=206, body=content[:3000]),
    ],
)
def test_scene_that_fails_is_listed_and_stops_no_other(
    ground: LandsatGround, answer: Answer
) -> None:
    """The first script ended with 0 in any case; nothing of a page may become a raster."""
    ground.publish(WHOLE, HALF)
    ground.bucket.instead[WHOLE.key] = [answer] * 50

    ended, summary, err = ground.run(*JULY, "--log_name", "own.log")

    assert (ended, summary["status"]) == (1, "failed")
    assert (summary["written"], summary["failed"]) == (1, 1)
    assert [path.stem for path in (ground.output / REGION).iterdir()] == [HALF.subset_id]
    listed = (ground.output / "own_errored_downloads.log").read_text()
    assert listed.startswith(f"REGION: {REGION}, SUBSET ID: {WHOLE.subset_id}, Err: raster ")
    assert listed.count("\n") == 1
    for told in (err, (ground.output / "own.log").read_text()):
        assert WHOLE.subset_id in told
        assert "StepFailed" in told


def test_busy_bucket_is_asked_again(ground: LandsatGround) -> None:
    """S3 says SlowDown at times; a scene is worth another request."""
    ground.publish(WHOLE)
    ground.bucket.instead[WHOLE.key] = [lambda _content: Response(status=503)] * 2

    ended, summary, _ = ground.run(*JULY)

    assert (ended, summary["written"]) == (0, 1)


def test_key_of_the_file_at_home_pays(ground: LandsatGround) -> None:
    """Whoever has the file wants that account billed, and not the one of the environment."""
    ground.publish(WHOLE)
    file = Path.home() / "AWS_user_credentials.csv"
    file.write_text("Access key ID,Secret access key\nAKIAOFTHEFILE,secret\n")

    ended, _, err = ground.run(*JULY)

    file.unlink()
    assert ended == 0
    assert (ground.bucket.keys_used, ground.bucket.tokens_used) == ({"AKIAOFTHEFILE"}, {""})
    assert "AKIAOFTHEFILE" not in err + (ground.output / "landsat_glacier.log").read_text()


def test_scene_without_enough_pixels_is_left_out_for_that_reason(ground: LandsatGround) -> None:
    """A footprint has corners without pixels: a scene may cover much and hold little."""
    empty = replace(
        WHOLE,
        scene_id="LC80030182024186LGN00",
        pixels=np.zeros((340, 340), np.uint16),
        item_id="LC08_L1TP_003018_20240704_20240712_02_T1",
    )
    ground.publish(WHOLE, HALF, empty)

    ended, summary, _ = ground.run(*JULY, "--min-coverage", "0.6")

    assert (ended, summary["status"]) == (0, "success")
    assert (summary["found"], summary["written"], summary["skipped"]) == (3, 1, 2)
    assert [path.stem for path in (ground.output / REGION).iterdir()] == [WHOLE.subset_id]


def test_footprint_must_exceed_the_threshold(ground: LandsatGround) -> None:
    """Slivers cost a request each and show nothing."""
    ground.publish(WHOLE, HALF)

    _, summary, _ = ground.run(*JULY, "-it", "0.6")

    assert (summary["found"], summary["written"]) == (1, 1)


def test_no_scene_is_no_failure(ground: LandsatGround) -> None:
    """The first script crashed on an empty answer, told nobody, and ended with 0."""
    ended, summary, _ = ground.run(*JULY)

    assert (ended, summary["status"], summary["found"]) == (0, "no_data", 0)
    assert not (ground.output / REGION).exists()


def test_region_that_fails_stops_no_other(
    ground: LandsatGround, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One search that fails must not cost the other regions of a night."""
    rows = [Row(name) for name in ("001_first", "002_second", "003_third")]
    file = write_region_file(tmp_path / "more", *rows)
    ground.publish(WHOLE)
    ground.stac.faults["/v1/search"] = [status(404)]

    ended, summary, err = ground.run(*JULY[2:], "--region_file", str(file))

    assert (ended, summary["status"]) == (1, "failed")
    assert (summary["written"], summary["failed"]) == (2, 1)
    assert "001_first" in err
    assert not (ground.output / "001_first").exists()


def test_events_tell_each_scene_and_what_belongs_to_it(
    ground: LandsatGround, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A handler uploads what is named as soon as it is named, and continues from what is told."""
    other = replace(
        WHOLE,
        scene_id="LC80030182024186LGN00",
        item_id="LC08_L1TP_003018_20240704_20240712_02_T1",
        taken="2024-07-04T14:25:38Z",
    )
    broken = {**WHOLE.item(), "id": "no/scene"}
    ground.publish(WHOLE, HALF, other)
    ground.stac.items.append(broken)
    events, finished = tmp_path / "events", tmp_path / "finished"
    finished.write_text(finished_text([SceneDone(REGION, HALF.subset_id, "present")]))
    monkeypatch.setenv(EVENTS_VARIABLE, str(events))
    monkeypatch.setenv(FINISHED_VARIABLE, str(finished))

    ended, _, _ = ground.run(*JULY)

    beside = (f"_reference/{REGION}.tif", f"_reference/{REGION}_stac_query_results.csv")
    told = parse_lines(events.read_text().splitlines())
    found, *scenes, summary = told
    ids = (WHOLE.subset_id, other.subset_id, HALF.subset_id)
    assert ended == 1
    assert found == Found(REGION, (*ids, "no/scene"))
    assert summary == Summary("failed", found=4, written=2, present=1, failed=1)
    by_id = {each.id: each for each in scenes if isinstance(each, SceneDone)}
    assert by_id[HALF.subset_id] == SceneDone(REGION, HALF.subset_id, "present")
    assert by_id["no/scene"].status == "failed"
    for each in (WHOLE, other):
        files = (f"{REGION}/{each.subset_id}.tif", *beside)
        assert by_id[each.subset_id] == SceneDone(REGION, each.subset_id, "written", files=files)
        assert all((ground.output / name).is_file() for name in files)


def test_bad_line_ends_with_two_and_touches_nothing(ground: LandsatGround) -> None:
    """A mistake is told before anything is searched or written."""
    ended, _, err = ground.run("--regions", "134_arsuk", "--date1", "2024-13-01")

    assert ended == 2
    assert "--date1 '2024-13-01' is not valid" in err
    assert not ground.output.exists()
    assert ground.stac.asked == []
