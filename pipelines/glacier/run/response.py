"""What a run answers: the shape that callers of the first handler read, with what it lacked. Pure.

| status                    | statusCode |
|---------------------------|------------|
| success, no_data, partial | 200        |
| invalid                   | 400        |
| failed                    | 500        |

Rule: whatever happened, an answer gets through everything that passes it on. Texts keep their end,
lists their beginning.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from pipelines.glacier.job_record import RunEntry, RunStatus
from pipelines.glacier.run.progress import Progress, StepEnd
from pipelines.glacier.run.request import Parsed, Place, RunRequest

Body: TypeAlias = Mapping[str, object]

TEXT_MAX = 4000
LIST_MAX = 1000
BODY_BYTES_MAX = 200_000
"""Lambda lets 6 MB through, Step Functions and destinations of asynchronous events 256 kB."""
_EVENT_MAX = 16_000
_LINE_MAX = 500
_SHORTER = ((200, TEXT_MAX), (50, TEXT_MAX), (5, TEXT_MAX), (5, 1000), (5, 100))
"""Items of a list and characters of a text, where the answer is too long with more."""
_FIELDS_MAX = 50
_CODES: Mapping[RunStatus, int] = {
    "running": 200,
    "success": 200,
    "no_data": 200,
    "partial": 200,
    "invalid": 400,
    "failed": 500,
}
_SATELLITES = {"sentinel2": "Sentinel-2", "landsat": "Landsat"}
_FILES = "files_uploaded"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the answer of a run is made of, beside its request."""

    status: RunStatus
    progress: Progress
    record_key: str
    end: StepEnd | None = None
    """None where no step was started."""
    command: Sequence[str] = ()
    mode: str = "image"
    warnings: Sequence[str] = ()
    keys: Sequence[str] = ()
    """What this delivery stored."""
    failures: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    remaining_seconds: float | None = None
    """Of the time limit."""
    project_files: int = 0
    """Brought from the bucket."""
    project_digest: str = ""
    libraries: Mapping[str, str] = field(default_factory=dict)
    deliveries: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """A response before it is written as JSON."""

    status: RunStatus
    body: Body

    def to_response(self) -> Mapping[str, object]:
        """Return what the handler answers."""
        return {"statusCode": _CODES[self.status], "body": bounded_json(self.body)}


def run_answer(request: RunRequest, facts: Facts) -> Answer:
    """Return the answer of a run that came as far as its request."""
    place, progress = request.place, facts.progress
    skipped = progress.with_status("skipped")
    body: dict[str, object] = {
        "message": _message(request, facts),
        "status": facts.status,
        **_asked(request),
        "s3_bucket": place.bucket,
        "s3_location": f"s3://{place.bucket}/{place.key('')}",
        "job_name": place.job_name,
        "record_key": facts.record_key,
        "submission_id": request.submission_id,
        "deliveries": facts.deliveries,
        "mode": facts.mode,
        "project_digest": facts.project_digest,
        "command": list(facts.command),
        "warnings": _lines(facts.warnings),
        "scenes_found": len(progress.found),
        "scenes_written": len(progress.with_status("written")),
        "scenes_present": len(progress.with_status("present")),
        "scenes_pending": len(progress.pending),
        "scenes_skipped": [{"id": name, "reason": why} for name, why in skipped[:LIST_MAX]],
        "uploaded_files": len(facts.keys),
        _FILES: list(facts.keys[:LIST_MAX]),
        "upload_failures": _lines(f"{key}: {why}" for key, why in facts.failures.items()),
        "downloaded_scripts": facts.project_files,
        "geospatial_libraries": dict(facts.libraries),
    }
    if len(facts.keys) > LIST_MAX:
        body["files_truncated"] = True
    if facts.remaining_seconds is not None:
        body["processing_time_remaining"] = max(0, int(facts.remaining_seconds * 1000))
    return Answer(facts.status, {**body, **_ended(facts)})


def invalid_answer(parsed: Parsed, event: object) -> Answer:
    """Return the answer to an event that is no request; it names everything that is wrong."""
    return Answer(
        "invalid",
        {
            "error": "; ".join(parsed.problems)[:TEXT_MAX],
            "status": "invalid",
            "problems": _lines(parsed.problems),
            "warnings": _lines(parsed.warnings),
            "event": bounded_event(event),
            "job_name": parsed.place.job_name if parsed.place else "unknown",
        },
    )


def failed_answer(place: Place, error: str, event: object) -> Answer:
    """Return the answer of a run that an error ended; nothing of it is stored for a repetition."""
    return Answer(
        "failed",
        {
            "error": f"Lambda processing failed: {error}"[:TEXT_MAX],
            "status": "failed",
            "satellite": place.satellite,
            "event": bounded_event(event),
            "job_name": place.job_name,
        },
    )


def stored_form(answer: Answer) -> Mapping[str, object]:
    """Return the answer as the record keeps it: the keys are in the record already."""
    return {name: value for name, value in answer.body.items() if name != _FILES}


def repeated_answer(entry: RunEntry) -> Answer | None:
    """Return what the first delivery answered; None if it did not come to an answer."""
    if not entry.response:
        return None
    keys = [file.key for file in entry.files]
    return Answer(entry.status, {**entry.response, _FILES: keys[:LIST_MAX], "repeated": True})


def bounded_event(event: object) -> object:
    """Return an event for a record or an answer; of one that is too large the beginning, as text.

    What JSON cannot say, and nobody can have sent, is written as text.
    """
    try:
        text = json.dumps(event, default=str)
    except RecursionError:
        return "an event that is nested too deep to be shown"
    if len(text) > _EVENT_MAX:
        return f"{text[:_EVENT_MAX]}..."
    # NaN and infinity, which Python reads and JSON does not have, come back as their names.
    return json.loads(text, parse_constant=str)


def bounded_json(body: Body) -> str:
    """Return the body as JSON; of one that is too large lists are cut, and texts if need be."""
    text = json.dumps(body)
    for items, characters in _SHORTER:
        if _fits(text):
            return text
        cut = {name: _cut(value, items, characters) for name, value in body.items()}
        text = json.dumps({**cut, "files_truncated": True})
    if _fits(text):
        return text
    # No run answers so; it comes out of a record that somebody else has written.
    few = {
        name[:_FIELDS_MAX]: value[-100:] if isinstance(value, str) else value
        for name, value in list(body.items())[:_FIELDS_MAX]
        if isinstance(value, str | bool | float)
    }
    return json.dumps({**few, "files_truncated": True})


def _fits(text: str) -> bool:
    # Text in text: what the caller gets escapes every quotation mark once more.
    return len(json.dumps(text)) <= BODY_BYTES_MAX


def _cut(value: object, items: int, characters: int) -> object:
    if isinstance(value, str):
        return value[-characters:]
    if isinstance(value, list):
        return [_cut(each, items, characters) for each in value[:items]]
    return value


def _asked(request: RunRequest) -> Body:
    names = request.selection.names
    return {
        "satellite": request.satellite,
        "regions": request.regions_text,
        **({"region": names[0]} if len(names) == 1 else {}),
        "date1": request.window.first.isoformat(),
        "date2": request.window.last.isoformat(),
    }


def _ended(facts: Facts) -> Body:
    """Return what the step left, and why the run failed if it did."""
    failed = {"error": facts.error[-TEXT_MAX:]} if facts.status in {"failed", "invalid"} else {}
    if facts.end is None:
        return failed
    went_well = facts.status in {"success", "no_data"}
    return {
        **failed,
        "processing_stdout": facts.end.stdout[-TEXT_MAX:],
        **({} if went_well else {"processing_stderr": facts.end.stderr[-TEXT_MAX:]}),
        "returncode": facts.end.returncode,
        "peak_memory_bytes": facts.end.peak_memory_bytes,
    }


def _message(request: RunRequest, facts: Facts) -> str:
    name = _SATELLITES[request.satellite]
    if request.dry_run and facts.status == "success":
        return f"{name}: dry run; nothing was processed"
    match facts.status:
        case "success":
            return f"{name} processing completed successfully"
        case "no_data":
            return f"{name} processing completed: no scenes in this window"
        case "partial":
            left = len(facts.progress.pending)
            return f"{name} processing was stopped in time, {left} scenes left; send it again"
    return f"{name} processing failed"


def _lines(lines: Iterable[str]) -> list[str]:
    return [line[:_LINE_MAX] for line in list(lines)[:LIST_MAX]]
