"""Sentinel-2's step is killed: what it told is there, and the next run goes on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp.web import BaseRequest, StreamResponse

from pipelines.glacier.step_events import EVENTS_VARIABLE, SceneDone, parse_lines
from shared.files import TEMPORARY_SUFFIX
from tests.support.gate import LIMIT_SECONDS, Gate
from tests.support.glacier_sentinel2 import (
    ACQUISITION,
    AUGUST,
    BOTH,
    REGION,
    Sentinel2Ground,
    whole,
)
from tests.support.glacier_stac import StacServer


@pytest.fixture
def ground(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sentinel2Ground]:
    """A catalogue with two scenes."""
    with StacServer() as stac:
        yield Sentinel2Ground(tmp_path, stac, capsys, monkeypatch)


def drafts(folder: Path) -> list[Path]:
    """Return the files that are being written, or were."""
    return list(folder.rglob(f"*{TEMPORARY_SUFFIX}"))


def test_killed_run_is_continued_by_the_next(ground: Sentinel2Ground) -> None:
    """A time limit ends it at any moment: nothing is half there, and nothing is done twice."""
    first, second = whole(), whole(seed=2, sensed="20240806T143749")
    ground.publish(first, second)
    gate = Gate()

    async def stuck(request: BaseRequest, content: bytes) -> StreamResponse:
        answer = StreamResponse()
        answer.content_length = len(content)
        await answer.prepare(request)
        await answer.write(content[:50_000])
        await gate.enter()
        return answer

    ground.stac.faults[second.asset_path] = [stuck]
    events = ground.root / "first-events"
    line = [sys.executable, "-m", "pipelines.glacier.step.sentinel2", "--regions", REGION]
    line += [*AUGUST, *BOTH, "--base_dir", str(ground.base), "--stac_url", ground.stac.url]
    line += ["--region_file", str(ground.root / "regions.gpkg")]
    with subprocess.Popen(
        line,
        env={**os.environ, EVENTS_VARIABLE: str(events)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as step:
        assert step.stderr is not None
        # The log is as prompt as the events.
        while "scene_written" not in (said := step.stderr.readline()):
            assert said, "the step ended before its first scene"
        gate.reached_blocking()
        step.kill()
        step.wait(LIMIT_SECONDS)
    gate.open()

    told = parse_lines(events.read_text().splitlines())
    (done,) = (event for event in told if isinstance(event, SceneDone))
    assert (done.id, done.status) == (ACQUISITION, "written")
    assert all((ground.base / name).exists() for name in done.files)
    assert len(drafts(ground.base)) == 1

    ran = ground.run(*BOTH)

    assert ran.statuses == {ACQUISITION: "present", second.acquisition: "written"}
    assert drafts(ground.base) == []
    assert ground.stac.fetched(first.asset_path) == [""]
