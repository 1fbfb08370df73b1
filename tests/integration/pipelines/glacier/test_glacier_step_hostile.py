"""Both steps in a world that means harm: one scene that lies ends itself, and nothing beside it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile

from tests.support.glacier_landsat import (
    KEY_ID,
    REGION,
    LandsatGround,
    LandsatScene,
    PayingBucket,
    write_region_file,
)
from tests.support.glacier_sentinel2 import BOTH, CLEAR, Sentinel2Ground, whole
from tests.support.glacier_stac import StacServer, document

HONEST = "20240820T143749"
VAST = "+proj=tmerc +lon_0=-51 +k={scale} +units=m"


@pytest.fixture(scope="module")
def stac() -> Iterator[StacServer]:
    """A catalogue, once for all tests."""
    with StacServer() as server:
        yield server


@pytest.fixture(scope="module")
def paying() -> Iterator[PayingBucket]:
    """The bucket of the USGS, once for all tests."""
    with PayingBucket() as bucket:
        yield bucket


def lying(*, crs: str = "EPSG:32622", left: float = 550_000.0) -> bytes:
    """Return a raster whose head says that it lies somewhere odd."""
    shape = {"width": 64, "height": 64, "count": 1, "dtype": "uint16", "nodata": 0}
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            crs=rasterio.crs.CRS.from_string(crs),
            transform=rasterio.Affine(10.0, 0.0, left, 0.0, -10.0, 6_800_000.0),
            **shape,
        ) as dataset:
            dataset.write(np.ones((64, 64), np.uint16), 1)
        content: bytes = memory.read()
    return content


SENTINEL2_LIES: Mapping[str, bytes] = {
    "20240801T143749": lying(left=float("inf")),
    "20240803T143749": lying(crs=VAST.format(scale="1e9")),
    "20240804T143749": lying(crs=VAST.format(scale="1e300")),
}


def test_sentinel2_rasters_that_lie_about_their_place_fail_alone(
    stac: StacServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Arithmetic with them overflows, or asks for an array of petabytes: that ended the step."""
    ground = Sentinel2Ground(tmp_path, stac, capsys, monkeypatch)
    for sensed, content in SENTINEL2_LIES.items():
        scene = whole(sensed=sensed)
        stac.items.append(scene.item(stac.href(scene.asset_path)))
        stac.assets[scene.asset_path] = content
    honest = whole(sensed=HONEST)
    ground.publish(honest)

    ran = ground.run(*BOTH, *CLEAR, "--cores", "200")

    assert ran.status == 1
    assert ran.statuses.pop(honest.acquisition) == "written"
    assert list(ran.statuses.values()).count("failed") == len(SENTINEL2_LIES)
    assert "step_crashed" not in ran.err


def test_landsat_items_and_rasters_that_lie_fail_alone(
    stac: StacServer,
    paying: PayingBucket,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A number that no float holds, half a character, and a raster at infinity."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", paying.url)
    monkeypatch.setenv("GLACIER_REGION_FILE", str(write_region_file(tmp_path)))
    monkeypatch.setenv("HOME", str(tmp_path))
    stac.items.clear()

    def said() -> tuple[str, str]:
        captured = capsys.readouterr()
        return captured.out, captured.err

    ground = LandsatGround(tmp_path, stac, paying, said)
    whole_scene = LandsatScene()
    odd, far, vast = (
        replace(
            whole_scene, scene_id=name, taken=f"2024-07-0{day}T14:25:14Z", item_id=f"LC08_{day}"
        )
        for day, name in enumerate(("ODD", "FAR", "VAST"), start=5)
    )
    ground.publish(whole_scene, odd, far, vast)
    items: dict[str, dict[str, Any]] = {str(item["id"]): item for item in stac.items}
    items[odd.item_id]["properties"]["landsat:correction"] = "L1\ud800"
    items[far.item_id]["geometry"]["coordinates"][0][0][0] = 10**400
    # The server of the tests looks at footprints itself, and cannot at this one.
    page = {"type": "FeatureCollection", "features": list(items.values()), "links": []}
    stac.faults["/v1/search"] = [document(page)]
    paying.objects[vast.key] = lying(left=float("inf"))

    status, summary, err = ground.run(
        *("--regions", REGION, "--date1", "2024-07-01", "--date2", "2024-07-31"),
        *("--stac_url", stac.url),
    )

    assert (status, summary["written"], summary["failed"]) == (1, 2, 2), err
    assert "step_crashed" not in err
    table = ground.output / "_reference" / f"{REGION}_stac_query_results.csv"
    assert "L1\\ud800" in table.read_text(encoding="utf-8")
