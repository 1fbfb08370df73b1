"""The handler as Lambda runs it: AWS's runtime client in a process of its own, S3 on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.glacier_handler import Function, open_function
from tests.support.glacier_run import (
    BUCKET,
    REGION,
    SCENES,
    event,
    replan,
    scene_plan,
    write_project_steps,
)
from tests.support.strict_s3.faults import Fail, Fault


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose step is a script."""
    return write_project_steps(tmp_path_factory.mktemp("handler") / "project", [])


@pytest.fixture(scope="module")
def function(root: Path) -> Iterator[Function]:
    """Return a warm function; to import what it needs takes most of its time."""
    variables = {"GLACIER_STEP": "project", "GLACIER_PROJECT_ROOT": str(root)}
    with open_function(root.parent, variables) as opened:
        yield opened


def test_a_deadline_forces_partial_and_the_next_delivery_goes_on(
    function: Function, root: Path
) -> None:
    """Killed by the platform at its limit, a function gave no answer and left no result."""
    replan(root, [["found", REGION, SCENES], *scene_plan(SCENES[0])[1:], ["hang"]])
    # Reserve and step have half of it each.
    partial = function.answer(event(), seconds=5.0)
    replan(root, scene_plan(*SCENES))
    rest = function.answer(event())
    again = function.answer(event())

    assert (partial.status_code, partial.body["status"]) == (200, "partial")
    assert partial.body["scenes_written"] + partial.body["scenes_pending"] == len(SCENES)
    assert (rest.status_code, rest.body["status"]) == (200, "success")
    assert partial.body["scenes_written"] == rest.body["scenes_present"]
    assert again.body == {
        **rest.body,
        "files_uploaded": again.body["files_uploaded"],
        "repeated": True,
    }
    entry = function.record().entries[-1]
    assert {scene.id: scene.status for scene in entry.scenes} == dict.fromkeys(SCENES, "written")
    assert (entry.status, entry.deliveries) == ("success", 2)
    for scene in SCENES:
        key = f"1_download_merge_and_clip/sentinel2/{REGION}/clipped/{scene}.tif"
        assert len(function.s3.mutations(BUCKET, key)) == 1, "each scene is stored once"


def test_what_is_wrong_with_an_event_or_the_bucket_is_told(function: Function) -> None:
    """An event without a glacier ran a default one; asynchronous errors were swallowed."""
    wrong = {"region": "101_sermiligarssuk", "date2": "2024-02-31"}
    bad = function.answer(event(**wrong, submission_id="submission-2"))
    function.s3.faults.add(Fault(Fail("AccessDenied"), method="PUT"))
    raised = function.invoke(event(submission_id="submission-3"))
    answered = function.answer(event(submission_id=None))
    function.s3.faults.clear()

    assert bad.status_code == 400
    assert [name for name in ("contradict", "2024-02-31") if name in bad.body["error"]] == [
        "contradict",
        "2024-02-31",
    ]
    assert function.record().status == "invalid"
    assert (raised.failed, raised.document()["errorType"]) == (True, "AccessDenied")
    assert (answered.status_code, answered.body["error"].partition(":")[0]) == (
        500,
        "Lambda processing failed",
    )
