"""Deliveries of a job: whole, stopped, continued, repeated; a real step, a bucket in memory."""

import json
from pathlib import Path

import pytest

from pipelines.glacier.run.limits import Limits
from shared.s3.memory import Faults
from shared.s3.memory_buckets import Verb
from shared.s3.uri import S3Uri
from tests.support.glacier_regions import Row, write_regions
from tests.support.glacier_run import (
    JOB,
    OTHER_REGION,
    REGION,
    SCENES,
    Ground,
    StopAfter,
    Watched,
    event,
    scene_plan,
)

CLIPPED = f"sentinel2/{REGION}/clipped"
LINEAGE = f"sentinel2/{REGION}/metadata/individual_csv"
COMBINED = f"sentinel2/{REGION}/metadata/combined_csv/{REGION}.csv"


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    """Return a machine with a project; events are looked for more often than every second."""
    monkeypatch.setattr("shared.commands._BEAT_SECONDS", 0.02)
    return Ground(tmp_path)


@pytest.mark.asyncio
async def test_a_whole_run_stores_every_file_and_says_so(ground: Ground) -> None:
    """The layout in the bucket is the one on disk; downstream reads it by name."""
    ground.plan([*scene_plan(*SCENES[:2]), ["file", f"{REGION}/template/{REGION}.tif", "grid"]])
    writes: list[str] = []
    ground.faults = Watched(writes)

    ran = await ground.run(event())

    assert (ran.status_code, ran.status) == (200, "success")
    assert ground.stored() == sorted(
        [
            *(f"{CLIPPED}/{scene}.tif" for scene in SCENES[:2]),
            *(f"{LINEAGE}/{scene}.csv" for scene in SCENES[:2]),
            f"sentinel2/{REGION}/template/{REGION}.tif",
            f"sentinel2/_runs/{JOB}.json",
        ]
    )
    assert ran.body["uploaded_files"] == 5
    assert (ran.body["scenes_found"], ran.body["scenes_written"]) == (2, 2)
    entry = ground.record().entry("submission-1")
    assert entry is not None
    assert [(scene.id, scene.status) for scene in entry.scenes] == [
        (scene, "written") for scene in SCENES[:2]
    ]
    assert sorted(file.key for file in entry.files) == sorted(ran.body["files_uploaded"])
    assert entry.peak_memory_bytes > 1_000_000
    names = [key.rpartition("/")[2] for key in writes]
    for scene in SCENES[:2]:
        assert names.index(f"{scene}.tif") < names.index(f"{scene}.csv"), "the lineage vouches"


@pytest.mark.asyncio
async def test_at_the_deadline_what_is_finished_is_stored_and_the_rest_goes_on(
    ground: Ground,
) -> None:
    """The first handler uploaded at the end and lost everything at the platform's limit."""
    ground.plan([["found", REGION, SCENES], *scene_plan(SCENES[0])[1:], ["hang"]])
    # The time is up as soon as the first scene is in the bucket.
    ground.faults = faults = StopAfter(f"{SCENES[0]}.csv")
    faults.limits = Limits(40.0)

    partial = await ground.run(event(), faults.limits)
    faults.limits = None
    ground.plan(scene_plan(*SCENES))
    rest = await ground.run(event())

    assert (partial.status_code, partial.status) == (200, "partial")
    assert partial.body["scenes_pending"] == 3
    assert (rest.status, rest.body["scenes_written"], rest.body["scenes_present"]) == (
        "success",
        3,
        1,
    )
    entry = ground.record().entry("submission-1")
    assert entry is not None
    assert {scene.id: scene.status for scene in entry.scenes} == dict.fromkeys(SCENES, "written")
    assert (entry.deliveries, len(entry.files)) == (2, 8)


@pytest.mark.asyncio
async def test_a_deadline_that_is_near_leaves_time_for_record_and_answer(ground: Ground) -> None:
    """An answer after the platform's limit is none."""
    ground.plan([["hang"]])

    ran = await ground.run(event(), Limits(2.0))

    assert (ran.status_code, ran.status, ran.body["returncode"]) == (200, "partial", -1)
    assert ground.record().status == "partial"


@pytest.mark.asyncio
async def test_a_second_delivery_gives_the_answer_of_the_first(ground: Ground) -> None:
    """Lambda delivers asynchronous events up to three times; the work is done once."""
    ground.plan(scene_plan(*SCENES))
    first = await ground.run(event())
    ground.plan([["exit", 1]])

    second = await ground.run(event())
    forced = await ground.run(event(force_reprocess=True))

    assert second.body == {**first.body, "repeated": True}
    assert forced.status == "failed"


@pytest.mark.asyncio
async def test_a_new_submission_runs_and_leaves_finished_scenes_out(ground: Ground) -> None:
    """Asked for again next month, a job looks for new scenes only; the record has both."""
    ground.plan(scene_plan(*SCENES[:2]))
    await ground.run(event())
    ground.plan(scene_plan(*SCENES, content="other pixels"))

    ran = await ground.run(event(submission_id="submission-2"))

    assert (ran.body["scenes_present"], ran.body["scenes_written"]) == (2, 2)
    assert ground.content(f"{CLIPPED}/{SCENES[0]}.tif") == b"pixels"
    assert [entry.submission_id for entry in ground.record().entries] == [
        "submission-1",
        "submission-2",
    ]


@pytest.mark.asyncio
async def test_what_was_left_out_for_a_reason_is_not_looked_at_in_each_continuation(
    ground: Ground,
) -> None:
    """Else a window of many dark scenes would use up every delivery before the first good one."""
    dark, bright = SCENES[:2]
    skip = ["skip", REGION, dark, "coverage 0.1"]
    ground.plan([["found", REGION, [dark, bright]], skip, *scene_plan(bright)[1:], ["hang"]])
    ground.faults = faults = StopAfter(f"{bright}.csv")
    faults.limits = Limits(40.0)
    await ground.run(event(), faults.limits)
    ground.plan([["found", REGION, [dark, bright]], ["skip", REGION, dark, "looked at again"]])

    ran = await ground.run(event())

    assert ran.body["scenes_skipped"] == [{"id": dark, "reason": "coverage 0.1"}]


@pytest.mark.asyncio
async def test_a_raster_without_its_lineage_is_done_again(ground: Ground) -> None:
    """Whoever stored it was killed before the second file; the combined table would lack a row."""
    await ground.put(f"{CLIPPED}/{SCENES[0]}.tif", b"pixels")
    ground.plan(scene_plan(SCENES[0]))

    ran = await ground.run(event())

    assert ran.body["scenes_written"] == 1
    assert f"{LINEAGE}/{SCENES[0]}.csv" in ground.stored()
    assert ran.body["uploaded_files"] == 1, "the raster is there already, byte for byte"


@pytest.mark.asyncio
async def test_the_combined_table_keeps_the_rows_of_other_runs(ground: Ground) -> None:
    """The first handler replaced it by the rows of its own window."""
    await ground.put(COMBINED, f"0,1\n{SCENES[3]},d.tif\n".encode())
    ours = f"0,1,2\n{SCENES[0]},a.tif,b.tif\n"
    ground.plan([*scene_plan(SCENES[0]), ["file", COMBINED.removeprefix("sentinel2/"), ours]])

    ran = await ground.run(event())

    assert ran.status == "success"
    assert ground.content(COMBINED).decode() == (
        f"0,1,2\n{SCENES[0]},a.tif,b.tif\n{SCENES[3]},d.tif,\n"
    )


@pytest.mark.asyncio
async def test_a_failed_step_stores_what_it_left_and_shows_its_words(ground: Ground) -> None:
    """The first handler answered with status 1 and no text; the log was never uploaded."""
    ground.plan([*scene_plan(SCENES[0]), ["say", "Traceback: no region file"], ["exit", 1]])

    ran = await ground.run(event())

    assert (ran.status_code, ran.body["returncode"]) == (500, 1)
    assert "no region file" in ran.body["processing_stderr"]
    assert "exit status 1" in ran.body["error"]
    assert b"no region file" in ground.content(f"sentinel2/_runs/{JOB}.log")
    assert f"{CLIPPED}/{SCENES[0]}.tif" in ground.stored()


@pytest.mark.asyncio
async def test_nothing_found_is_no_failure(ground: Ground) -> None:
    """No scenes in a window and a broken search looked alike."""
    ground.plan([])

    ran = await ground.run(event())

    assert (ran.status_code, ran.status) == (200, "no_data")


@pytest.mark.asyncio
async def test_a_warm_container_has_nothing_of_the_run_before(ground: Ground) -> None:
    """A shared folder let one region's files be uploaded with the next one's."""
    ground.plan(scene_plan(SCENES[0]))
    await ground.run(event())
    dead = ground.work / "run-of-the-dead" / "sentinel2"
    dead.mkdir(parents=True)
    (dead / "stray.tif").write_text("another region's")
    other = "aws-sentinel2-20240801-other"
    ground.plan(scene_plan(SCENES[1], region=OTHER_REGION))

    ran = await ground.run(
        event(regions=OTHER_REGION, region=None, job_name=other, submission_id="2")
    )

    folder = f"1_download_merge_and_clip/sentinel2/{OTHER_REGION}"
    assert sorted(ran.body["files_uploaded"]) == [
        f"{folder}/clipped/{SCENES[1]}.tif",
        f"{folder}/metadata/individual_csv/{SCENES[1]}.csv",
    ]
    assert list(ground.work.iterdir()) == []


@pytest.mark.asyncio
async def test_a_stale_project_is_not_run(ground: Ground) -> None:
    """Old code on S3 ran without a word; a digest tells, unless somebody says it will do."""
    ground.plan(scene_plan(SCENES[0]))
    ground.changes = {"project_digest": "old"}

    refused = await ground.run(event(project_digest="new"))
    allowed = await ground.run(event(project_digest="new", allow_stale=1, submission_id="2"))

    assert (refused.status_code, refused.body["error"].partition(":")[0]) == (500, "stale_project")
    assert allowed.status == "success"
    assert any("project_digest" in line for line in allowed.body["warnings"])


@pytest.mark.asyncio
async def test_an_unknown_region_is_bad_input(ground: Ground) -> None:
    """A name that the region file lacks found no scenes, and that was a success."""
    ground.plan([])

    ran = await ground.run(event(regions="134_arsuk", region=None))

    assert ran.status_code == 400
    assert "134_Arsuk" in ran.body["error"], "what is near is named"
    assert ground.record().status == "invalid"


@pytest.mark.asyncio
async def test_a_dry_run_shows_the_command_and_leaves_nothing(ground: Ground) -> None:
    """A smoke test of a deployment must not write into the results."""
    ground.plan([["exit", 1]])

    ran = await ground.run(event(dry_run=True))

    assert (ran.status_code, ground.stored()) == (200, [])
    assert "--regions" in ran.body["command"]
    assert json.dumps(ran.body).count(REGION) >= 2


class Watching(Faults):
    """Notes what the record says each time it is written, and then says stop."""

    def __init__(self, ground: Ground, limits: Limits) -> None:
        self._ground = ground
        self._limits = limits
        self.seen: list[tuple[str, list[str]]] = []
        self.rasters: list[Path] = []
        """What was on the disk when the record was written last before the end."""

    async def after_commit(self, verb: Verb, uri: S3Uri) -> None:
        """Look at the record."""
        if uri.key.endswith(".json"):
            entry = self._ground.record().entries[-1]
            self.seen.append((entry.status, [scene.status for scene in entry.scenes]))
            if entry.status == "running":
                self.rasters = list(self._ground.work.rglob("*.tif"))
            if len(self.seen) > 1:
                self._limits.stop()


@pytest.mark.asyncio
async def test_the_record_follows_a_long_run(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is killed leaves no other trace of what it left out and why."""
    monkeypatch.setattr("pipelines.glacier.run.core._FLUSH_SECONDS", 0.0)
    ground.plan([["found", REGION, SCENES[:2]], *scene_plan(SCENES[0])[1:], ["hang"]])
    limits = Limits(40.0)
    ground.faults = watching = Watching(ground, limits)

    await ground.run(event(), limits)

    assert watching.seen == [
        ("running", []),
        ("running", ["written", "pending"]),
        ("partial", ["written", "pending"]),
    ]


@pytest.mark.asyncio
async def test_raw_tiles_leave_the_disk_once_they_are_stored(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Disks were full after three or four of them; a month of one region has thirty."""
    monkeypatch.setattr("pipelines.glacier.run.core._FLUSH_SECONDS", 0.0)
    tile = f"{REGION}/download/2024/{SCENES[0]}_T22VFP_20240801T201519_B08.tif"
    scene = f"{REGION}/clipped/{SCENES[0]}.tif"
    said = {"event": "scene", "region": REGION, "id": SCENES[0], "status": "written"}
    told = {**said, "files": [scene, tile]}
    ground.plan([["file", tile, "raw"], ["file", scene, "pixels"], ["tell", told], ["hang"]])
    limits = Limits(40.0)
    ground.faults = watching = Watching(ground, limits)

    await ground.run(event(clear_downloads=0), limits)

    assert ground.content(f"sentinel2/{tile}") == b"raw"
    assert [path.name for path in watching.rasters] == [f"{SCENES[0]}.tif"]


@pytest.mark.asyncio
async def test_where_there_is_no_room_nothing_is_begun(ground: Ground) -> None:
    """A full disk in the middle of a run looks like anything but a full disk."""
    ground.plan(scene_plan(SCENES[0]))
    (ground.root / "1_download_merge_and_clip/sentinel2/plan.json").unlink()
    big = Row(REGION, bounds=(0, 0, 30_000_000, 30_000_000))
    write_regions(ground.folder / "big.gpkg", [big])
    ground.changes = {"region_file": str(ground.folder / "big.gpkg")}

    ran = await ground.run(event())

    assert (ran.status_code, ran.body["error"].partition(":")[0]) == (500, "no space")
    assert "returncode" not in ran.body
