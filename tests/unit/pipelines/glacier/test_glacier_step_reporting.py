"""Events and log of the step: what whoever runs it learns, and when."""

import io
import json
from pathlib import Path

import pytest
import structlog

from pipelines.glacier.finished import FINISHED_VARIABLE, finished_text
from pipelines.glacier.step.errors import StepFailed
from pipelines.glacier.step.reporting import (
    Reporter,
    load_finished,
    logging_into,
    open_reporter,
)
from pipelines.glacier.step_events import (
    EVENTS_VARIABLE,
    Found,
    SceneDone,
    StepStatus,
    Summary,
    parse_lines,
)
from shared.errors import UsageError
from shared.log import configure_logging


def test_events_are_whole_as_soon_as_they_are_told(tmp_path: Path) -> None:
    """A step that is killed has told what it finished."""
    path = tmp_path / "events"
    with open_reporter({EVENTS_VARIABLE: str(path)}) as reporter:
        reporter.scenes_found("r", ["a", "b"])
        reporter.scene_done(SceneDone("r", "a", "written", files=("r/a.tif",)))

        told = parse_lines(path.read_text().splitlines())

    assert told == [
        Found("r", ("a", "b")),
        SceneDone("r", "a", "written", files=("r/a.tif",)),
    ]


def test_events_of_an_earlier_run_stay(tmp_path: Path) -> None:
    """A step that is started again in one folder goes on in the file."""
    path = tmp_path / "events"
    for name in ("a", "b"):
        with open_reporter({EVENTS_VARIABLE: str(path)}) as reporter:
            reporter.scenes_found("r", [name])

    assert len(path.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("done", "status", "exit_status"),
    [
        (["written", "present", "skipped"], "success", 0),
        (["written", "failed"], "failed", 1),
        ([], "no_data", 0),
    ],
)
def test_status_follows_from_what_became_of_the_scenes(
    done: list[str], status: StepStatus, exit_status: int
) -> None:
    """Nothing found, something left out for a reason, something failed: three different things."""
    reporter = Reporter()
    reporter.scenes_found("r", list(map(str, range(len(done)))))
    for number, each in enumerate(done):
        reporter.scene_done(SceneDone("r", str(number), each))  # type: ignore[arg-type]  # of the table
    stdout = io.StringIO()

    ended = reporter.finish(stdout)

    assert ended == exit_status
    said = json.loads(stdout.getvalue())
    assert (said["status"], said["found"]) == (status, len(done))
    assert stdout.getvalue().count("\n") == 1


def test_region_that_fails_counts_as_one_scene() -> None:
    """Even when nothing was found, because nothing could be searched."""
    reporter = Reporter()

    reporter.region_failed("r", StepFailed("no\ncatalogue"))

    assert reporter.summary() == Summary("failed", failed=1)


def break_tile() -> None:
    """Fail as a scene does."""
    raise StepFailed("tile 'x' is broken")


def test_log_has_level_message_and_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file is what is uploaded; stderr is what a person at a terminal sees."""
    configure_logging("glacier", form="json")
    path = tmp_path / "_runs" / "job.log"
    with logging_into(path):
        try:
            break_tile()
        except StepFailed as error:
            Reporter().scene_done(SceneDone("r", "a", "failed", "broken"), error)
    structlog.get_logger().info("after")

    text = path.read_text()
    assert "ERROR scene_failed glacier_region=r scene=a reason=broken" in text
    assert "StepFailed: tile 'x' is broken" in text
    assert __file__.rpartition("/")[2] in text
    assert "after" not in text
    assert "scene_failed" in capsys.readouterr().err


def test_log_cannot_be_forged(tmp_path: Path) -> None:
    """Reasons have text of strangers in them."""
    configure_logging("glacier", form="json")
    with logging_into(tmp_path / "log"):
        Reporter().scene_done(
            SceneDone("r", "a", "failed", "x\n2026-01-01T00:00:00Z INFO all well")
        )

    assert len((tmp_path / "log").read_text().splitlines()) == 1


def test_log_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    """A step whose log is lost is a step that nobody can explain."""
    (tmp_path / "file").touch()

    with pytest.raises(UsageError, match="--base_dir"), logging_into(tmp_path / "file" / "log"):
        pass


def test_finished_scenes_are_read_from_the_file(tmp_path: Path) -> None:
    """Nothing named: nothing is finished. Something named that is not there: a mistake."""
    path = tmp_path / "finished"
    done = SceneDone("r", "a", "present")
    path.write_text(finished_text([done]))

    assert load_finished({}) == {}
    assert load_finished({FINISHED_VARIABLE: str(path)}) == {("r", "a"): done}
    with pytest.raises(UsageError, match=FINISHED_VARIABLE):
        load_finished({FINISHED_VARIABLE: str(tmp_path / "none")})
