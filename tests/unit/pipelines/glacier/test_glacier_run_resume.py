"""What a run begins with: its record, what is finished, a folder of its own."""

from functools import partial
from pathlib import Path

import pytest

from pipelines.glacier.job_record import RunEntry, SceneEntry
from pipelines.glacier.layout import run_log
from pipelines.glacier.regions import Bounds, Region
from pipelines.glacier.run.progress import Progress
from pipelines.glacier.run.records import Records
from pipelines.glacier.run.request import Place
from pipelines.glacier.run.resume import Resume
from pipelines.glacier.run.workspace import Workspace, make_workspace
from pipelines.glacier.step_events import SceneDone
from shared.errors import UsageError
from shared.s3.errors import OutcomeUnknown, PreconditionFailed
from shared.s3.memory_buckets import Verb
from shared.s3.uri import S3Uri
from tests.support.glacier_run import (
    BUCKET,
    JOB,
    REGION,
    SCENES,
    Bucket,
    Watched,
    request_of,
)

requested = partial(request_of, s3_base_path="base")
PLACE = Place(BUCKET, "base", "sentinel2", JOB)
AREA = Region(REGION, 9.0, ("22VFP",), Bounds(0, 0, 3000, 3000))


@pytest.fixture
def bucket() -> Bucket:
    """Return an empty bucket."""
    return Bucket()


@pytest.mark.asyncio
async def test_the_record_keeps_what_another_run_wrote_meanwhile(bucket: Bucket) -> None:
    """Two deliveries may run at once; neither loses the other's entry."""
    one, other = Records(bucket.store, PLACE), Records(bucket.store, PLACE)
    await one.load()
    await other.load()

    await other.save(RunEntry("other", "success", ""))
    await one.save(RunEntry("one", "running", ""))
    await one.save(RunEntry("one", "success", ""))

    found = await Records(bucket.store, PLACE).load()
    assert [(entry.submission_id, entry.status) for entry in found.entries] == [
        ("other", "success"),
        ("one", "success"),
    ]


@pytest.mark.asyncio
async def test_a_record_that_grows_too_long_loses_its_oldest_entries(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for a job reads its record again and again."""
    monkeypatch.setattr("pipelines.glacier.run.records.RECORD_BYTES_MAX", 8000)
    records = Records(bucket.store, PLACE)
    for number in range(3):
        scenes = tuple(SceneEntry(str(each), "skipped", "x" * 300) for each in range(8))
        await records.save(RunEntry(str(number), "success", "", scenes=scenes))

    found = await Records(bucket.store, PLACE).load()

    assert [entry.submission_id for entry in found.entries] == ["1", "2"]


@pytest.mark.asyncio
async def test_what_is_no_record_is_replaced(bucket: Bucket) -> None:
    """Somebody's file in the record's place must not keep a job from ever running."""
    await bucket.put(f"_runs/{JOB}.json", b"{}")
    records = Records(bucket.store, PLACE)

    assert (await records.load()).entries == ()
    await records.save(RunEntry("one", "running", ""))

    assert (await Records(bucket.store, PLACE).load()).status == "running"


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [PreconditionFailed, OutcomeUnknown])
async def test_a_record_that_cannot_be_written_is_given_up(
    error: type[PreconditionFailed | OutcomeUnknown],
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tries are bounded, whoever writes it all the time."""

    async def refuse(_self: object, _verb: Verb, uri: S3Uri) -> None:
        if _verb is Verb.PUT:
            raise error(uri)

    monkeypatch.setattr(Watched, "before", refuse)

    with pytest.raises(error):
        await Records(bucket.store, PLACE).save(RunEntry("one", "running", ""))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Return a run's folder."""
    return make_workspace(tmp_path / "work", "sentinel2")


@pytest.mark.asyncio
async def test_finished_is_what_has_raster_and_lineage(
    bucket: Bucket, workspace: Workspace
) -> None:
    """Template, lineage and log come back; names that are no scene's, and empty objects, do not."""
    for path in (
        f"{REGION}/clipped/{SCENES[0]}.tif",
        f"{REGION}/clipped/{SCENES[1]}.tif",
        f"{REGION}/clipped/..tif",
        f"{REGION}/clipped/deeper/{SCENES[2]}.tif",
        f"{REGION}/metadata/individual_csv/{SCENES[0]}.csv",
        f"{REGION}/metadata/individual_csv/{SCENES[2]}.csv",
        f"{REGION}/template/{REGION}.tif",
        str(run_log(JOB)),
    ):
        await bucket.put(path, b"x")
    await bucket.put(f"{REGION}/clipped/{SCENES[3]}.tif", b"")
    await bucket.put(f"{REGION}/metadata/individual_csv/{SCENES[3]}.csv", b"x")

    brought = await Resume(bucket.store, requested(), workspace).bring([AREA], Progress())

    assert list(brought.finished) == [(REGION, SCENES[0])]
    assert sorted(brought.files) == [
        f"{REGION}/metadata/individual_csv/{SCENES[0]}.csv",
        f"{REGION}/template/{REGION}.tif",
        str(run_log(JOB)),
    ]
    assert all((workspace.output / path).read_bytes() == b"x" for path in brought.files)


@pytest.mark.asyncio
@pytest.mark.parametrize("changes", [{"force_reprocess": 1}, {"post_processing_flag": 0}])
async def test_done_anew_means_once_for_each_submission(
    changes: dict[str, object], bucket: Bucket, workspace: Workspace
) -> None:
    """Each continuation of a forced run would begin from nothing, and never come to an end."""
    for name in (f"clipped/{SCENES[0]}.tif", f"metadata/individual_csv/{SCENES[0]}.csv"):
        await bucket.put(f"{REGION}/{name}", b"x")
    earlier = RunEntry("s", "partial", "", scenes=(SceneEntry(SCENES[1], "written"),))
    asked = requested(**changes)

    brought = await Resume(bucket.store, asked, workspace, earlier).bring([AREA], Progress())

    assert brought.finished == {
        (REGION, SCENES[1]): SceneDone(REGION, SCENES[1], "present"),
    }


@pytest.mark.asyncio
async def test_of_landsat_a_raster_is_enough(bucket: Bucket, tmp_path: Path) -> None:
    """It has no lineage; its template is brought back."""
    place = make_workspace(tmp_path / "work", "landsat")
    asked = requested(satellite="landsat")
    for path in (f"{REGION}/1_ortho.tif", f"_reference/{REGION}.tif"):
        uri = S3Uri(BUCKET, asked.place.key(path))
        await bucket.store.put(uri, b"x")

    resume = Resume(bucket.store, asked, place)
    brought = await resume.bring([AREA], Progress())
    resume.mark(brought.finished.values())

    assert list(brought.finished) == [(REGION, "1_ortho")]
    assert (place.output / REGION / "1_ortho.tif").read_bytes() == b""
    assert sorted(brought.files) == [f"{REGION}/1_ortho.tif", f"_reference/{REGION}.tif"]


@pytest.mark.asyncio
async def test_without_downloads_the_tiles_of_an_earlier_run_are_brought(
    bucket: Bucket, workspace: Workspace
) -> None:
    """A handler's folder begins empty; there would be nothing to process."""
    wanted = f"{REGION}/download/2024/{SCENES[0]}_T22VFP_20240801T201519_B08.tif"
    await bucket.put(wanted, b"x")
    await bucket.put(wanted.replace("22VFP", "22WEB"), b"x")

    asked = requested(download_flag=0)
    brought = await Resume(bucket.store, asked, workspace).bring([AREA], Progress())

    assert list(brought.files) == [wanted]


def test_a_folder_belongs_to_one_run_and_dies_with_it(tmp_path: Path) -> None:
    """A leftover is removed; the folder of a run beside us is not."""
    make = partial(make_workspace, tmp_path, "sentinel2")
    living = make()
    (tmp_path / "run-dead").mkdir()
    (tmp_path / "run-dead" / "stray.tif").write_text("x")
    (tmp_path / "run-link").symlink_to("/etc")

    other = make()

    assert {living.root, other.root} == set(tmp_path.iterdir()) - {tmp_path / "run-link"}
    assert other.free_bytes() > 0
    for each in (living, other):
        each.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["run-link"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A misconfigured function says which folder."""
    (tmp_path / "file").write_text("x")

    with pytest.raises(UsageError, match="working folder"):
        make_workspace(tmp_path / "file" / "work", "sentinel2")
