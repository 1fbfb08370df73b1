"""Answers keep their shape, and stay small whatever happened."""

import json

import pytest

from pipelines.glacier.job_record import RunEntry, UploadedFile
from pipelines.glacier.run.metrics import metrics_line
from pipelines.glacier.run.progress import Progress, StepEnd
from pipelines.glacier.run.request import Parsed, Place, parse_event
from pipelines.glacier.run.response import (
    BODY_BYTES_MAX,
    Facts,
    bounded_event,
    failed_answer,
    invalid_answer,
    repeated_answer,
    run_answer,
    stored_form,
)
from pipelines.glacier.step_events import Found, SceneDone
from tests.support.glacier_run import JOB, request_of

OLD_KEYS = {
    "message", "satellite", "regions", "region", "date1", "date2", "s3_bucket", "s3_location",
    "job_name", "mode", "processing_time_remaining", "downloaded_scripts", "uploaded_files",
    "processing_stdout", "files_uploaded", "geospatial_libraries",
}  # fmt: skip
"""What callers of the first handler read."""
NEW_KEYS = {
    "status", "command", "warnings", "scenes_found", "scenes_written", "scenes_skipped",
    "upload_failures", "record_key",
}  # fmt: skip


def facts(**changes: object) -> Facts:
    """Return what a run that went well is told by."""
    told: dict[str, object] = {
        "status": "success",
        "progress": Progress(),
        "record_key": "k",
        "end": StepEnd(stopped=False, ok=True, stdout="said"),
        "remaining_seconds": 12.5,
        **changes,
    }
    return Facts(**told)  # type: ignore[arg-type]  # a test's own table


def test_an_answer_has_the_keys_of_the_first_handler_and_the_new_ones() -> None:
    """Scripts that read the old ones go on working."""
    answer = run_answer(request_of(), facts())

    assert (OLD_KEYS | NEW_KEYS) - set(answer.body) == set()
    assert answer.body["s3_location"] == ("s3://glacier-data/1_download_merge_and_clip/sentinel2/")
    assert answer.body["processing_time_remaining"] == 12500
    assert answer.to_response()["statusCode"] == 200


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        ("success", 200, "Landsat processing completed successfully"),
        ("no_data", 200, "no scenes"),
        ("partial", 200, "send it again"),
        ("failed", 500, "Landsat processing failed"),
        ("invalid", 400, "Landsat processing failed"),
    ],
)
def test_the_message_names_the_satellite_and_the_code_says_how_it_went(
    status: str, code: int, said: str
) -> None:
    """It said Sentinel-2 for Landsat, and 200 for what had failed."""
    landsat = request_of(satellite="landsat")

    answer = run_answer(landsat, facts(status=status, error="why"))

    assert said in str(answer.body["message"])
    assert answer.to_response()["statusCode"] == code
    assert ("error" in answer.body) == (code >= 400)
    assert ("processing_stderr" in answer.body) == (status not in {"success", "no_data"})


def test_the_greatest_answer_gets_through_whatever_passes_it_on() -> None:
    """More than 256 kB, and Step Functions would call a finished run a failed one."""
    progress = Progress()
    progress.add(Found("A", tuple(map(str, range(3000)))))
    for number in range(3000):
        progress.add(SceneDone("A", str(number), "skipped", "\u2028" * 5000))
    keys = [f"{number:04d}" + "\u2028" * 1000 for number in range(3000)]
    end = StepEnd(stopped=False, ok=False, stdout="\0" * 9000, stderr="\0" * 9000)
    told = facts(
        status="failed",
        progress=progress,
        end=end,
        keys=keys,
        failures=dict.fromkeys(keys, "why" * 500),
        warnings=keys,
        error="\0" * 9000,
    )

    response = run_answer(request_of(), told).to_response()

    text = str(response["body"])
    assert len(json.dumps(response)) <= BODY_BYTES_MAX + 100
    body = json.loads(text)
    assert (body["uploaded_files"], body["files_truncated"]) == (3000, True)
    assert len(body["processing_stdout"]) == 4000


def test_a_thousand_keys_are_told_and_the_rest_is_counted() -> None:
    """Keys of ordinary length need no harder cut."""
    body = run_answer(request_of(), facts(keys=[f"key/{n}" for n in range(1001)])).body

    assert (body["uploaded_files"], body["files_truncated"]) == (1001, True)
    assert isinstance(body["files_uploaded"], list)
    assert len(body["files_uploaded"]) == 1000


def test_a_run_that_never_began_its_step_has_no_words_of_it() -> None:
    """A dry run, and one that was refused."""
    dry = run_answer(request_of(dry_run=True), facts(end=None, remaining_seconds=None))

    assert "dry run" in str(dry.body["message"])
    assert {"returncode", "processing_time_remaining"}.isdisjoint(dry.body)


def test_a_repeated_answer_is_the_first_one() -> None:
    """The record keeps the keys once, and the answer without them."""
    answer = run_answer(request_of(), facts(keys=["a", "b"]))
    entry = RunEntry("1", "success", "", files=(UploadedFile("a", 1), UploadedFile("b", 2)))

    assert "files_uploaded" not in stored_form(answer)
    assert repeated_answer(entry) is None
    again = repeated_answer(
        RunEntry("1", "success", "", files=entry.files, response=stored_form(answer))
    )
    assert again is not None
    assert again.body == {**answer.body, "repeated": True}


def test_an_error_shows_the_event_and_hides_nothing_of_its_kind() -> None:
    """An event that JSON cannot say, or that is too long, does not make the answer fail."""
    place = Place("b", "p", "sentinel2", JOB)
    failed = failed_answer(place, "NoSpace: disk", {"a": {1, 2}})
    invalid = invalid_answer(Parsed(None, ("one", "two")), "x" * 50_000)

    assert str(failed.body["error"]) == "Lambda processing failed: NoSpace: disk"
    assert (invalid.body["error"], invalid.body["job_name"]) == ("one; two", "unknown")
    assert len(str(invalid.body["event"])) < 20_000
    assert bounded_event({"a": 1}) == {"a": 1}


def test_numbers_of_a_run_are_a_line_of_the_log() -> None:
    """CloudWatch takes them out of it; an answer without a run has some as well."""
    whole = run_answer(request_of(), facts(status="partial", failures={"k": "why"}))
    invalid = invalid_answer(Parsed(None, ("one",)), None)

    line = json.loads(metrics_line(whole, seconds=1.5, milliseconds=5))
    other = json.loads(metrics_line(invalid, seconds=0.0, milliseconds=5))

    told = line["_aws"]["CloudWatchMetrics"][0]
    assert {each["Name"] for each in told["Metrics"]} <= set(line)
    assert told["Dimensions"] == [["satellite"]]
    assert (line["satellite"], line["partial_runs"], line["upload_failures"]) == ("sentinel2", 1, 1)
    assert (other["satellite"], other["failed_runs"]) == ("unknown", 1)


def test_an_event_may_be_nested_as_deep_as_it_likes() -> None:
    """JSON that can be read may still be too deep to be written from within a call."""
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    sent = {"satellite": deep}

    answer = invalid_answer(parse_event(sent), sent)

    assert "[[[[[[...]]]]]]" in str(answer.body["error"])
    assert isinstance(answer.body["event"], str)
