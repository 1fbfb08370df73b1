"""Events that a handler is asked, and what it must answer: the contract of its responses. Pure.

A dry run comes as far as the step's command and writes nothing; a bad event is one in which
everything is missing. A real run is only asked of a handler that somebody else's S3 is named to.

| event   | statusCode | status of the body                          |
|---------|------------|---------------------------------------------|
| dry run | 200        | success                                     |
| bad     | 400        | invalid, and it names what is missing       |
| real    | 200        | no_data; success, partial where are scenes  |
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_ANSWER_BYTES_MAX = 6_000_000
_JOB_NAME = "aws-probe"
_DAYS = ("2025-05-04", "2025-05-07")
_RUN_KEYS = (
    "message",
    "satellite",
    "regions",
    "date1",
    "date2",
    "s3_bucket",
    "s3_location",
    "job_name",
    "mode",
    "command",
    "warnings",
    "scenes_found",
    "scenes_written",
    "scenes_skipped",
    "uploaded_files",
    "files_uploaded",
    "upload_failures",
    "record_key",
)


@dataclass(frozen=True, slots=True)
class Probe:
    """One event, and what must come back."""

    name: str
    event: Mapping[str, object]
    status_code: int
    statuses: frozenset[str]
    keys: tuple[str, ...] = ()
    """Of the body."""
    said: tuple[str, ...] = ()
    """Words that the body's `error` must have."""

    def payload(self) -> bytes:
        """Return the event as it is sent."""
        return json.dumps(self.event).encode()


def dry_run(region: str, bucket: str, base_path: str) -> Probe:
    """Ask for a run that is not done."""
    event = {**_good(region, bucket, base_path), "dry_run": True}
    return Probe("dry run", event, 200, frozenset({"success"}), _RUN_KEYS)


def bad_event() -> Probe:
    """Ask for nothing in particular: no default glacier may be run."""
    event: Mapping[str, object] = {"satellite": "sentinel3", "job_name": _JOB_NAME}
    said = ("sentinel3", "regions", "date1", "date2")
    return Probe("bad event", event, 400, frozenset({"invalid"}), ("error", "warnings"), said)


def real_run(region: str, bucket: str, base_path: str, *, scenes: bool) -> Probe:
    """Ask for a run that is done, where there are scenes or where there is none."""
    statuses = {"success", "no_data", "partial"} if scenes else {"no_data"}
    return Probe("real run", _good(region, bucket, base_path), 200, frozenset(statuses), _RUN_KEYS)


def faults(probe: Probe, payload: bytes) -> list[str]:
    """Return everything that is wrong with an answer; nothing: it is as it must be."""
    if len(payload) > _ANSWER_BYTES_MAX:
        return [f"the answer has {len(payload)} bytes; Lambda lets {_ANSWER_BYTES_MAX} through"]
    try:
        answer = json.loads(payload)
        body = json.loads(answer["body"])
        code = answer["statusCode"]
    except (KeyError, TypeError, ValueError):
        shown = payload[:200].decode("utf-8", "replace")
        return [f"{shown!r} is no answer; wanted: statusCode, and body as JSON text"]
    if not isinstance(body, dict):
        return ["the body is no object"]
    return list(_faults(probe, code, body))


def _faults(probe: Probe, code: object, body: Mapping[str, object]) -> Iterator[str]:
    if code != probe.status_code:
        yield f"statusCode is {code!r}, not {probe.status_code}: {str(body.get('error'))[:300]!r}"
    if body.get("status") not in probe.statuses:
        yield f"status is {body.get('status')!r}; wanted: {' or '.join(sorted(probe.statuses))}"
    missing = [key for key in probe.keys if key not in body]
    if missing:
        yield f"the body has no {', '.join(map(repr, missing))}"
    for word in probe.said:
        if word not in str(body.get("error", "")):
            yield f"the error does not name {word!r}"


def _good(region: str, bucket: str, base_path: str) -> Mapping[str, object]:
    first, last = _DAYS
    return {
        "satellite": "sentinel2",
        "region": region,
        "regions": region,
        "date1": first,
        "date2": last,
        "s3_bucket": bucket,
        "s3_base_path": base_path,
        "job_name": _JOB_NAME,
    }
