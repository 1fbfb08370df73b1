"""Files on their way to the bucket and back: what is left alone, replaced, counted, refused."""

import os
from pathlib import Path

import pytest

from pipelines.glacier.regions import Bounds, Region
from pipelines.glacier.run.delivery import Delivery
from pipelines.glacier.run.request import Place
from shared.s3.errors import PreconditionFailed
from shared.s3.memory_buckets import Verb
from shared.s3.store import ObjectInfo
from shared.s3.uri import S3Uri
from tests.support.glacier_run import BUCKET, JOB, REGION, Bucket, Watched

PLACE = Place(BUCKET, "base", "sentinel2", JOB)
AREA = Region(REGION, 9.0, ("22VFP",), Bounds(0, 0, 3000, 3000))


@pytest.fixture
def bucket() -> Bucket:
    """Return an empty bucket."""
    return Bucket()


def wrote(folder: Path, path: str, content: str = "bytes") -> str:
    """Write a file below a folder, and return its path."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(content)
    return path


@pytest.mark.asyncio
async def test_the_same_bytes_are_left_alone_and_others_replaced(
    bucket: Bucket, tmp_path: Path
) -> None:
    """A repeated delivery costs a look, and no new version of each object."""
    same, other = wrote(tmp_path, "r/same.tif"), wrote(tmp_path, "r/other.tif", "new")
    await bucket.put(same, b"bytes")
    await bucket.put(other, b"old")
    delivery = Delivery(bucket.store, PLACE, tmp_path, frozenset({same}))

    await delivery.send_all()
    await delivery.send_all()

    assert bucket.writes == [other]
    assert (list(delivery.sent), delivery.failures) == ([other], {})


@pytest.mark.asyncio
@pytest.mark.parametrize("content", [b"theirs", b"bytes"])
async def test_who_was_faster_is_looked_at(
    content: bytes, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run of the region stores the same template between our look and our write."""
    path = wrote(tmp_path, "r/template/r.tif")
    delivery = Delivery(bucket.store, PLACE, tmp_path, frozenset({path}))
    look = Delivery._look
    looks: list[ObjectInfo | None] = []

    async def slow(self: Delivery, uri: S3Uri) -> ObjectInfo | None:
        found = await look(self, uri)
        if not looks:
            await bucket.put(path, content)
        looks.append(found)
        return found

    monkeypatch.setattr(Delivery, "_look", slow)

    await delivery.send_all()

    assert (bucket.content(path), delivery.failures) == (b"bytes", {})


@pytest.mark.asyncio
async def test_rows_that_are_added_meanwhile_stay(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two windows of one region end at the same moment."""
    path = wrote(tmp_path, "r/metadata/combined_csv/r.csv", "0,1\na_b_1_c,x\n")
    delivery = Delivery(bucket.store, PLACE, tmp_path)
    read = Delivery._read_text
    reads: list[tuple[str, str]] = []

    async def slow(self: Delivery, uri: S3Uri) -> tuple[str, str]:
        found = await read(self, uri)
        if not reads:
            await bucket.put(path, b"0,1\na_b_2_c,y\n")
        reads.append(found)
        return found

    monkeypatch.setattr(Delivery, "_read_text", slow)

    await delivery.send_all()
    await Delivery(bucket.store, PLACE, tmp_path).send_all()

    assert bucket.content(path) == b"0,1\na_b_1_c,x\na_b_2_c,y\n"
    assert bucket.writes == [path], "what has all rows is left alone"


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["r/x.tif", "r/metadata/combined_csv/r.csv"])
async def test_a_race_without_end_is_a_failure(
    path: str, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tries are bounded, whoever writes it all the time."""
    wrote(tmp_path, path, "a_b_1_c,x")

    async def refuse(_self: object, verb: Verb, uri: S3Uri) -> None:
        if verb is Verb.PUT:
            raise PreconditionFailed(uri)

    monkeypatch.setattr(Watched, "before", refuse)
    delivery = Delivery(bucket.store, PLACE, tmp_path)

    await delivery.send_all()

    assert list(delivery.failures) == [path]


@pytest.mark.asyncio
async def test_drafts_hidden_files_and_links_are_no_results(bucket: Bucket, tmp_path: Path) -> None:
    """A step that was killed leaves half a file under a temporary name."""
    wrote(tmp_path, "r/.x.tif.towpath-tmp")
    wrote(tmp_path, "r/x.tif.towpath-tmp")
    wrote(tmp_path, ".cache/y.tif")
    (tmp_path / "r" / "link.tif").symlink_to("/etc/hostname")
    delivery = Delivery(bucket.store, PLACE, tmp_path)

    await delivery.send_all()

    assert (bucket.writes, delivery.failures) == ([], {})


@pytest.mark.asyncio
async def test_a_file_that_cannot_be_stored_is_counted_and_stops_no_other(
    bucket: Bucket, tmp_path: Path
) -> None:
    """The first failing upload ended them all, and the answer said 200."""
    wrote(tmp_path, "r/a.tif")
    wrote(tmp_path, "r/b.tif")
    bucket.faults.refused = "a.tif"
    delivery = Delivery(bucket.store, PLACE, tmp_path)

    await delivery.send_all()

    assert bucket.writes == ["r/b.tif"]
    assert list(delivery.failures_by_key) == ["base/sentinel2/r/a.tif"]


@pytest.mark.asyncio
async def test_a_scene_whose_raster_failed_gets_no_lineage(bucket: Bucket, tmp_path: Path) -> None:
    """Raster and lineage together mean finished; the raster comes first."""
    files = [wrote(tmp_path, "r/a.tif"), wrote(tmp_path, "r/a.csv")]
    bucket.faults.refused = "a.tif"
    delivery = Delivery(bucket.store, PLACE, tmp_path)

    assert await delivery.send_in_order(files)
    assert bucket.writes == []


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["../../etc/passwd", "r/../../x.tif", "/etc/passwd", "r/gone.tif"])
async def test_what_a_step_names_is_below_its_folder_and_there(
    path: str, bucket: Bucket, tmp_path: Path
) -> None:
    """A script may name anything."""
    delivery = Delivery(bucket.store, PLACE, tmp_path)

    assert await delivery.send(path)
    assert bucket.writes == []


@pytest.mark.asyncio
async def test_a_large_file_is_asked_for_before_it_is_sent(bucket: Bucket, tmp_path: Path) -> None:
    """A raw tile of 200 MB would be sent whole, to be refused with its last byte."""
    path = wrote(tmp_path, "r/download/2024/tile.tif", "x" * (8 << 20))
    await bucket.put(path, b"x" * (8 << 20))
    delivery = Delivery(bucket.store, PLACE, tmp_path)

    await delivery.send_all()

    assert (bucket.writes, delivery.sent) == ([], {})


@pytest.mark.asyncio
async def test_what_a_stopped_script_wrote_last_is_not_taken_for_whole(
    bucket: Bucket, tmp_path: Path
) -> None:
    """Its rasters grow under their final names."""
    wrote(tmp_path, "r/old.tif")
    wrote(tmp_path, "r/new.tif")
    os.utime(tmp_path / "r/old.tif", ns=(0, 1_000))
    delivery = Delivery(bucket.store, PLACE, tmp_path)

    await delivery.send_all(settled_before_ns=2_000)

    assert bucket.writes == ["r/old.tif"]


@pytest.mark.asyncio
async def test_records_of_other_jobs_are_nobody_elses_results(
    bucket: Bucket, tmp_path: Path
) -> None:
    """They lie beside the log, in a folder that the step may write into."""
    wrote(tmp_path, f"_runs/{JOB}.log")
    wrote(tmp_path, f"_runs/{JOB}_errored_downloads.log")
    wrote(tmp_path, f"_runs/{JOB}.json")
    wrote(tmp_path, f"_runs/{JOB}2.log")
    wrote(tmp_path, "_runs/other.json")
    delivery = Delivery(bucket.store, PLACE, tmp_path)

    await delivery.send_all()

    assert sorted(bucket.writes) == [f"_runs/{JOB}.log", f"_runs/{JOB}_errored_downloads.log"]
