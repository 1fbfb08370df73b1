"""The runner of Batch, ECS and Fargate: told by its environment, stopped or killed at any time."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from pipelines.glacier.job_record import parse_record
from pipelines.glacier.run.runner import STOPPED, main
from shared.errors import UsageError
from tests.support.gate import Signal
from tests.support.glacier_run import (
    BASE,
    BUCKET,
    JOB,
    REGION,
    SCENES,
    event,
    replan,
    scene_plan,
    write_project_steps,
)
from tests.support.strict_s3.faults import Do, Fault
from tests.support.strict_s3.server import StrictS3

_LIMIT_SECONDS = 60.0


@pytest.fixture
def s3() -> Iterator[StrictS3]:
    """Return an S3 with the bucket of the results."""
    with StrictS3([BUCKET]) as opened:
        yield opened


def variables(s3: StrictS3, root: Path) -> Mapping[str, str]:
    """Return what a container is started with; half of it in the spelling of older images."""
    asked = {name: str(value) for name, value in event(regions=None).items()}
    upper = {name.upper(): asked[name] for name in ("region", "s3_bucket", "job_name")}
    lower = {name: value for name, value in asked.items() if name.upper() not in upper}
    return {
        **s3.environment(),
        **upper,
        **lower,
        "GLACIER_STEP": "project",
        "GLACIER_PROJECT_ROOT": str(root),
        "GLACIER_WORK_DIR": str(root.parent / "work"),
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a project whose step finishes one scene and never the next."""
    plan: list[list[object]] = [*scene_plan(*SCENES)[:1], *scene_plan(SCENES[0])[1:], ["hang"]]
    return write_project_steps(tmp_path / "project", plan)


def when_first_scene_is_stored(s3: StrictS3, then: Callable[[], None]) -> None:
    """Have something done once the first scene is in the bucket, its lineage included."""
    s3.faults.add(Fault(Do(lambda _call: then()), method="PUT", key=f"*{SCENES[0]}.csv"))


def check_continued(s3: StrictS3, root: Path) -> None:
    """Check that the next attempt did what was left, once, and nothing again."""
    record = parse_record(s3.objects(BUCKET)[f"{BASE}/sentinel2/_runs/{JOB}.json"])
    assert (record.entries[-1].status, record.entries[-1].deliveries) == ("success", 2)
    for scene in SCENES:
        raster = f"{BASE}/sentinel2/{REGION}/clipped/{scene}.tif"
        assert len(s3.mutations(BUCKET, raster)) == 1
    assert list((root.parent / "work").iterdir()) == [], "nothing of the first one is left"


def test_a_job_whose_host_is_gone_goes_on_elsewhere(
    s3: StrictS3,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Killed at any time, it has lost nothing that was finished."""
    given = variables(s3, root)
    stored = Signal()
    when_first_scene_is_stored(s3, stored.set)
    with subprocess.Popen(
        [sys.executable, "-m", "pipelines.glacier.run.runner"],
        env={**os.environ, **given},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as container:
        try:
            stored.wait_blocking(_LIMIT_SECONDS)
        finally:
            container.kill()
    replan(root, scene_plan(*SCENES))
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    status = main([])

    assert (status, json.loads(capsys.readouterr().out)["status"]) == (0, "success")
    check_continued(s3, root)


def test_a_job_that_is_told_to_stop_stores_what_is_finished(
    s3: StrictS3,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Spare capacity is taken back with a signal; the status asks for another attempt."""
    for name, value in variables(s3, root).items():
        monkeypatch.setenv(name, value)
    when_first_scene_is_stored(s3, lambda: os.kill(os.getpid(), signal.SIGTERM))

    stopped = main([])
    partial = json.loads(capsys.readouterr().out)
    s3.faults.clear()
    replan(root, scene_plan(*SCENES))
    status = main([])

    assert (stopped, partial["status"]) == (STOPPED, "partial")
    assert (partial["scenes_written"], partial["scenes_pending"]) == (1, 3)
    assert status == 0
    check_continued(s3, root)


def test_what_an_environment_lacks_is_bad_input(
    s3: StrictS3, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A job that would fail again must not look like one whose host went away."""
    for name, value in variables(s3, root).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("date1")

    assert main([]) == 2
    assert "date1" in json.loads(capsys.readouterr().out)["error"]
    with pytest.raises(UsageError, match="unknown argument"):
        main(["--region", "A"])
    monkeypatch.setenv("region", "another")
    with pytest.raises(UsageError, match="set one of them"):
        main([])
