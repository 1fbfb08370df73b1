"""sync, verify and pull as commands, on an S3 that refuses what AWS refuses and at times fails."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pipelines.glacier.command import main
from pipelines.glacier.transfer.digests import local_digests
from pipelines.glacier.transfer.excludes import DEFAULT_RULES
from pipelines.glacier.transfer.loading import load_project
from pipelines.glacier.transfer.local_project import read_project
from pipelines.glacier.transfer.manifest import MANIFEST_NAME, PROJECT_PREFIX
from pipelines.glacier.transfer.syncing import Sync
from shared.cli import run_command
from shared.engine import EngineOptions, open_engine
from tests.support.glacier_regions import Row, write_project
from tests.support.strict_s3.behaviour import Behaviour
from tests.support.strict_s3.faults import Fail, Fault, HalfAnswer, Reset, Stage, WrongChecksum
from tests.support.strict_s3.server import BUCKET, StrictS3

Glacier: TypeAlias = Callable[..., tuple[int, str, str]]

_STEP = "1_download_merge_and_clip/sentinel2/step.py"
_RESULTS = "1_download_merge_and_clip/sentinel2/"
_SCENE = "134_Arsuk/clipped/S2B_MSIL2A_20240801T143749_N0511_R039.tif"
_TILE = "134_Arsuk/download/2024/S2B_T22VFP_B08.tif"
_OPTIONS = EngineOptions(aws_region="us-east-1", profile=None, endpoint_url=None, in_flight=8)
_ONE_REGION = ("--expected-regions", "1")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strict_s3: StrictS3) -> Path:
    """A project folder, which is the working folder, and the bucket in its file."""
    for name, value in strict_s3.environment().items():
        monkeypatch.setenv(name, value)
    root = tmp_path / "project"
    config = f"[PATHS]\nbase_dir = {tmp_path}/cluster\nlocal_base_dir = {tmp_path}/laptop\n"
    write_project(root, config, f"[STORAGE]\ns3_bucket = {BUCKET}\n", [Row("134_Arsuk")])
    (root / _STEP).parent.mkdir()
    (root / _STEP).write_text("print('clip')\n")
    monkeypatch.chdir(root / "aws")
    return root


@pytest.fixture
def glacier(capsys: pytest.CaptureFixture[str], project: Path) -> Glacier:
    """Run a command in the project; returns status, stdout and stderr."""

    def call(*argv: str) -> tuple[int, str, str]:
        status = run_command("glacier", main, list(argv))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def _keys(s3: StrictS3) -> list[str]:
    return [key.removeprefix(PROJECT_PREFIX) for key in s3.objects(BUCKET)]


def _json(answer: tuple[int, str, str]) -> dict[str, Any]:
    return dict(json.loads(answer[1]))


def test_a_project_goes_up_is_verified_and_is_swept(
    glacier: Glacier, project: Path, strict_s3: StrictS3
) -> None:
    """From a fresh bucket to five checks that pass, over lost answers; then what old syncs left."""
    (project / ".env").write_text("SECRET=1")
    for fault in (
        Fault(Fail("SlowDown"), operation="PutObject", nth=1),
        Fault(Reset(Stage.AFTER_COMMIT), operation="PutObject", nth=3),
        Fault(HalfAnswer(), operation="GetObject", nth=2),
    ):
        strict_s3.faults.add(fault)
    dry = glacier("sync", "--dry-run", "--output", "json")
    assert (dry[0], strict_s3.objects(BUCKET)) == (0, {})

    status, out, err = glacier("sync", *_ONE_REGION)

    assert status == 0, err
    assert "SECRET     .env (looks like a secret: .env*) stays here" in out
    assert [line[:4] for line in out.splitlines()[-5:]] == ["pass"] * 5
    assert sorted(_keys(strict_s3)) == sorted([*_json(dry)["upload"], MANIFEST_NAME])

    strict_s3.seed(BUCKET, {f"{PROJECT_PREFIX}.git/HEAD": b"x", "results/x/a.tif": b"x"})
    before = len(strict_s3.mutations())
    verified = glacier("verify", *_ONE_REGION, "--output", "json")
    swept = glacier("sync", *_ONE_REGION, "--delete", "--output", "json")

    failed = [check for check in _json(verified)["checks"] if not check["passed"]]
    assert (verified[0], failed[0]["faults"]) == (1, [".git/HEAD (.git/)"])
    assert (swept[0], _json(swept)["deleted"]) == (0, [".git/HEAD"])
    assert _json(swept)["project_digest"] == local_digests(project).project
    assert len(strict_s3.mutations()) == before + 1
    assert "results/x/a.tif" in strict_s3.objects(BUCKET)


def test_a_failed_upload_is_1_and_there_is_no_manifest(
    glacier: Glacier, strict_s3: StrictS3
) -> None:
    """Whoever loads the project then is told so, and the next sync mends it."""
    strict_s3.faults.add(Fault(Fail("AccessDenied"), operation="PutObject", key="*/step.py"))

    status, out, _ = glacier("sync", *_ONE_REGION)

    assert status == 1
    assert f"FAILED     {_STEP}: " in out
    assert "the manifest is not that of this folder; run the sync again" in out
    assert MANIFEST_NAME not in _keys(strict_s3)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("verify",), "is empty; run `towpath glacier sync`"),
        (("sync", "--s3-bucket", "no-such-bucket"), "the bucket does not exist"),
        (("sync", "--project", "/nowhere"), "is no folder"),
        (("sync", "--exclude", "a//b"), "--exclude 'a//b' is not valid"),
        (("sync", "--exclude", "config.ini"), "'config.ini' is excluded"),
        (("pull",), "has no results"),
        (("pull", "modis"), "satellite 'modis' is not known; allowed: sentinel2, landsat or all"),
        (("pull", "landsat", "sentinel2"), "one name too many"),
        (("pull", "--regions", "134_Arsukk"), "did you mean '134_Arsuk'?"),
        (("pull", "--regions", ""), "names no region"),
    ],
)
def test_bad_input_and_no_bucket_are_2(glacier: Glacier, argv: tuple[str, ...], said: str) -> None:
    """Nothing could be checked or sent, which is never a pass."""
    status, out, err = glacier(*argv)

    assert (status, said in err) == (2, True), out + err


def test_a_link_that_leaves_the_project_is_2_before_anything_is_asked(
    glacier: Glacier, project: Path, strict_s3: StrictS3
) -> None:
    """It could be anything on this machine."""
    (project / "data").symlink_to("/etc")

    status, _, err = glacier("sync")

    assert status == 2
    assert "'data' is a link that leads out of the project, to '/etc'" in err
    assert strict_s3.requests() == []


def test_without_credentials_nothing_is_sent(
    glacier: Glacier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2, as for everything that could not even begin."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    status, _, err = glacier("sync")

    assert (status, "credentials" in err) == (2, True), err


def test_results_come_down_to_where_the_next_steps_look(
    glacier: Glacier, strict_s3: StrictS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """local_base_dir here, base_dir on a cluster; wrong bytes never get the name."""
    strict_s3.seed(BUCKET, {f"{_RESULTS}{_SCENE}": b"scene", f"{_RESULTS}{_TILE}": b"tile"})
    laptop, cluster = (tmp_path / name / _RESULTS for name in ("laptop", "cluster"))

    dry = glacier("pull", "--dry-run", "--exclude-downloads", "--regions", "134_Arsuk", "sentinel2")

    assert (dry[0], laptop.exists()) == (0, False)
    assert dry[1].splitlines()[0] == f"fetch               5  {_SCENE}"

    strict_s3.faults.add(Fault(HalfAnswer(), operation="GetObject", key=f"*{_SCENE}", nth=1))
    wrong = strict_s3.faults.add(
        Fault(WrongChecksum(etag=True), operation="GetObject", key=f"*{_TILE}")
    )
    failed = glacier("pull", "sentinel2")

    assert (failed[0], f"FAILED   {_TILE}: " in failed[1]) == (1, True)
    assert [path for path in laptop.rglob("*") if path.is_file()] == [laptop / _SCENE]

    strict_s3.faults.remove(wrong)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    whole = glacier("pull", "--output", "json")

    counts = _json(whole)["satellites"][0]
    assert (whole[0], counts["fetched"], counts["bytes"]) == (0, 2, 9)
    assert (cluster / _TILE).read_bytes() == b"tile"


@pytest.mark.asyncio
async def test_a_handler_loads_what_was_synced(
    project: Path, strict_s3: StrictS3, tmp_path: Path
) -> None:
    """The other end of the same manifest, on a store that says nothing of what it holds."""
    strict_s3.behaviour = Behaviour(answers_checksums=False, etag="opaque")
    async with open_engine(_OPTIONS, journal=None) as engine:
        sync = Sync(engine.store, BUCKET, read_project(project, DEFAULT_RULES))
        await sync.carry_out(await sync.look(), delete=False, now=datetime(2024, 8, 1, tzinfo=UTC))
        strict_s3.faults.add(Fault(HalfAnswer(), operation="GetObject", nth=3))

        loaded = await load_project(engine.store, BUCKET, tmp_path / "loaded")
        again = await load_project(engine.store, BUCKET, tmp_path / "loaded")

    assert loaded.digest == local_digests(project).project
    assert (tmp_path / "loaded" / _STEP).read_text() == "print('clip')\n"
    assert (again.fetched, again.digest) == (0, loaded.digest)
