"""Whole runs on this machine: from pictures to the table, what ends them, what is told of them."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.wildlife.commands import logs, run, status
from pipelines.wildlife.commands.modes import Misconfigured
from pipelines.wildlife.errors import InvalidInput
from shared.errors import UsageError
from tests.support.wildlife_forest import Forest


@pytest.fixture
def forest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Forest:
    """A forest of a person who has configured nothing."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return Forest(tmp_path)


def _run(forest: Forest, *words: str) -> int:
    return run.main(["--state-directory", str(forest.state), *words])


def test_a_run_needs_neither_cloud_nor_network(
    forest: Forest, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pictures go in, a table and a report come out; a broken one costs a line."""
    (forest.folder / "raw/cam02/broken.jpg").write_bytes(b"\xff\xd8\xff")

    ended = _run(forest, "--input", forest.document())

    assert ended == 0
    output = json.loads(capsys.readouterr().out)
    assert [*output] == ["session_id", "final_results"]
    assert output["final_results"]["files_created"] == 2
    rows = pq.read_table(forest.out / "clusters.parquet").to_pylist()
    found = [(row["camera_id"], row["species"]) for row in rows]
    assert found == [("cam01", "moose"), ("cam02", "fox")]
    report = json.loads((forest.out / "run_report.json").read_text())
    assert report["images"] == {"found": 4, "used": 4, "skipped": 0, "errors": 1}
    assert len((forest.out / "stage0/errors.jsonl").read_text().splitlines()) == 1
    _is_told(forest, capsys)


def _is_told(forest: Forest, capsys: pytest.CaptureFixture[str]) -> None:
    """Look at the run that has ended with both commands."""
    where = ["--state-directory", str(forest.state)]
    assert status.main([*where, "--output", "json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["status"], told["budget_dkk"]) == ("SUCCEEDED", 25)
    assert 0 < told["cost_dkk"] < 0.1
    assert 0 < told["estimated_total_dkk"] < 25
    assert status.main([*where, told["execution"], "--follow"]) == 0
    shown = capsys.readouterr()
    assert "report: file://" in shown.out
    assert "SubmitBatchStage1: " in shown.err
    assert logs.main(where) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("  ExecutionSucceeded")
    assert logs.main([*where, "--detection"]) == 0
    assert '{"event": "progress", "done": 3, "total": 3}' in capsys.readouterr().out


def test_a_run_that_is_too_dear_spends_nothing(
    forest: Forest, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 3, both figures, and not a single file."""
    for number in range(40):
        forest.take("cam03", f"IMG_{number:04d}.JPG", number % 24)

    ended = _run(forest, "--input", forest.document(budget_dkk=0.01, use_spot=False))

    assert ended == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert "Estimated cost exceeds budget: estimated 0.0" in told.err
    assert "> budget 0.0100 DKK" in told.err
    assert not forest.out.exists()
    assert forest.entered() == ["GuardBudget", "FailBudget"]


def test_a_run_that_turns_out_too_dear_detects_nothing(forest: Forest) -> None:
    """The second guard comes after the pictures were counted, and before anything is spent."""
    ended = _run(forest, "--input", forest.document(), "--fault", "CostEstimation=BudgetExceeded")

    assert ended == 3
    assert forest.entered() == ["GuardBudget", "Stage0Exif", "CostEstimation", "FailBudget"]
    assert [path.name for path in forest.out.iterdir()] == ["stage0"]


def test_a_stage_that_fails_is_named_with_its_reason(
    forest: Forest, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 4; whoever reads the line knows which state and why."""
    for path in forest.folder.glob("raw/*/*.JPG"):
        path.write_bytes(b"not a picture")

    ended = _run(forest, "--input", forest.document())

    assert ended == 4
    assert "towpath wildlife run: NothingReadable: " in capsys.readouterr().err
    assert forest.entered() == ["GuardBudget", "Stage0Exif", "FailRun"]


def test_a_document_without_pictures_is_bad_input(
    forest: Forest, capsys: pytest.CaptureFixture[str]
) -> None:
    """The machine itself says so: nobody can tell from the document alone."""
    (forest.folder / "empty").mkdir()

    ended = _run(forest, "--input", forest.document(input_uri=(forest.folder / "empty").as_uri()))

    assert ended == 2
    assert "holds no picture" in capsys.readouterr().err
    assert forest.entered() == ["GuardBudget", "FailInput"]


def test_every_mistake_of_a_document_is_named_before_anything_begins(forest: Forest) -> None:
    """Five mistakes are five lines, and no execution is noted."""
    document = forest.document(
        budget_dkk="25", max_images=0, use_spot="yes", weather_days_back=366, session_id="a b"
    )

    with pytest.raises(InvalidInput) as raised:
        _run(forest, "--input", document)

    assert len(str(raised.value).splitlines()) == 5
    assert not forest.state.exists()


def test_wrong_settings_are_named_before_anything_begins(forest: Forest) -> None:
    """A contact that providers want is not missed after the detection has been paid."""
    with pytest.raises(Misconfigured) as raised:
        _run(forest, "--input", forest.document(), "--weather", "smhi", "--detector", "yolo")

    assert "weather_contact" in str(raised.value)
    assert "--model-uri" in str(raised.value)
    assert not forest.state.exists()


def test_nobody_has_run_what_is_not_noted(forest: Forest) -> None:
    """A misspelt name is not an empty history."""
    where = ["--state-directory", str(forest.state)]

    with pytest.raises(UsageError, match="no note of any execution"):
        logs.main(where)
    with pytest.raises(UsageError, match="no note of execution 'run-x'"):
        status.main([*where, "run-x"])
