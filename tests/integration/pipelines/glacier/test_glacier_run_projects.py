"""Runs of a project that comes from the bucket, and of scripts that say no events."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from pipelines.glacier.transfer.excludes import DEFAULT_RULES
from pipelines.glacier.transfer.loading import ProjectGap
from pipelines.glacier.transfer.local_project import read_project
from pipelines.glacier.transfer.syncing import Sync
from shared.errors import SuiteError
from shared.s3.errors import AccessDenied
from shared.s3.memory import Faults
from shared.s3.memory_buckets import Verb
from shared.s3.uri import S3Uri
from tests.support.glacier_run import (
    BASE,
    BUCKET,
    NOW,
    OTHER_REGION,
    REGION,
    SCENES,
    Ground,
    event,
    scene_plan,
)

SCRIPT = f"scripts/greenland-glacier-flow/{BASE}/sentinel2/plan.json"


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    """Return a machine with a project; events are looked for more often than every second."""
    monkeypatch.setattr("shared.commands._BEAT_SECONDS", 0.02)
    return Ground(tmp_path)


async def synced(ground: Ground) -> Mapping[str, str]:
    """Sync the project into the bucket, and run that from now on; returns its digests."""
    (ground.root / "config.ini").write_text("[SETTINGS]\n")
    project = read_project(ground.root, DEFAULT_RULES)
    sync = Sync(ground.store(), BUCKET, project)
    await sync.carry_out(await sync.look(), delete=False, now=NOW)
    loaded = ground.folder / "loaded"
    ground.changes = {"mode": "s3", "project_root": str(loaded)}
    config = project.entries["config.ini"].sha256
    return {"config_sha256": config}


@pytest.mark.asyncio
async def test_the_synced_project_runs_and_unchanged_files_stay(ground: Ground) -> None:
    """Every call brought all files again, and a file that failed was only warned of."""
    ground.plan(scene_plan(SCENES[0]))
    digests = await synced(ground)

    first = await ground.run(event(**digests))
    second = await ground.run(event(**digests, submission_id="2"))
    stale = await ground.run(event(config_sha256="0" * 64, submission_id="3"))

    assert (first.status, first.body["mode"]) == ("success", "s3")
    assert first.body["downloaded_scripts"] > 0
    assert (second.status, second.body["downloaded_scripts"]) == ("success", 0)
    assert (stale.status_code, stale.body["error"].partition(":")[0]) == (500, "stale_project")


@pytest.mark.asyncio
async def test_a_project_with_a_gap_is_not_run(ground: Ground) -> None:
    """It is an error before anything is processed, and the next delivery looks again."""
    ground.plan(scene_plan(SCENES[0]))
    await synced(ground)
    await ground.store().put(S3Uri(BUCKET, SCRIPT), b"poisoned")

    with pytest.raises(ProjectGap):
        await ground.run(event())

    record = ground.record()
    assert (record.status, record.entries[-1].scenes) == ("failed", ())
    assert "ProjectGap" in record.entries[-1].error
    assert list(ground.work.glob("*")) == []


@pytest.mark.asyncio
async def test_scripts_that_say_nothing_are_told_by_what_they_leave(ground: Ground) -> None:
    """The cluster's own scripts know no events; finished scenes are marked in their place."""
    ground.plan([["silent"], *scene_plan(*SCENES[:2])[1:]])

    first = await ground.run(event())
    ground.plan([["silent"]])
    second = await ground.run(event(submission_id="2"))

    assert (first.status, first.body["scenes_written"]) == ("success", 2)
    assert (second.status, second.body["scenes_present"]) == ("success", 2)
    assert ground.content(f"sentinel2/{REGION}/clipped/{SCENES[0]}.tif") == b"pixels"


@pytest.mark.asyncio
async def test_errors_of_a_landsat_script_are_a_failure(ground: Ground) -> None:
    """It writes them into a file of its own, and ends with 0."""
    line = f"REGION: {REGION}, SUBSET ID: 2_ortho, Err: no such key\n"
    job = "aws-landsat-20240801-134_Arsuk"
    ground.plan(
        [
            ["silent"],
            ["write", REGION, "1_ortho", "pixels"],
            ["file", f"_runs/{job}_errored_downloads.log", line],
        ]
    )

    ran = await ground.run(event(satellite="landsat", job_name=job))

    assert (ran.status, ran.body["returncode"]) == ("failed", 0)
    assert "2_ortho: no such key" in ran.body["error"]
    assert f"landsat/{REGION}/1_ortho.tif" in ground.stored()


@pytest.mark.asyncio
async def test_two_regions_in_one_call_keep_their_scenes_apart(ground: Ground) -> None:
    """An acquisition over both of them is two scenes."""
    both = f"{REGION},{OTHER_REGION}"
    ground.plan([*scene_plan(SCENES[0]), *scene_plan(SCENES[0], region=OTHER_REGION)])

    ran = await ground.run(event(regions=both, region=None))

    assert ran.body["scenes_written"] == 2
    entry = ground.record().entries[-1]
    assert [scene.id for scene in entry.scenes] == [
        f"{REGION}/{SCENES[0]}",
        f"{OTHER_REGION}/{SCENES[0]}",
    ]


class Refusing(Faults):
    """Lets no raster be stored."""

    async def before(self, verb: Verb, uri: S3Uri) -> None:
        """Look at each write."""
        if verb is Verb.PUT and uri.key.endswith(".tif"):
            raise AccessDenied(uri)


@pytest.mark.asyncio
async def test_what_cannot_be_stored_is_not_done(ground: Ground) -> None:
    """Failed uploads were logged, the answer said 200, and the results were gone."""
    ground.plan(scene_plan(SCENES[0]))
    ground.faults = Refusing()

    ran = await ground.run(event())

    assert (ran.status_code, ran.body["scenes_written"]) == (500, 0)
    assert len(ran.body["upload_failures"]) == 1
    entry = ground.record().entries[-1]
    assert [scene.status for scene in entry.scenes] == ["failed"]
    assert f"sentinel2/{REGION}/metadata/individual_csv/{SCENES[0]}.csv" in ground.stored()


@pytest.mark.asyncio
async def test_an_error_nobody_foresaw_is_recorded_raised_and_tried_again(
    ground: Ground,
) -> None:
    """The platform's retry must find a job to do, and whoever waits must see the error."""
    ground.plan(scene_plan(SCENES[0]))
    ground.changes = {"region_file": str(ground.folder / "none.gpkg")}

    with pytest.raises(SuiteError):
        await ground.run(event())
    failed = ground.record().entries[-1]
    ground.changes = {}
    ran = await ground.run(event())

    assert (failed.status, failed.response) == ("failed", {})
    assert "none.gpkg" in failed.error
    assert (ran.status, ground.record().entries[-1].deliveries) == ("success", 2)
