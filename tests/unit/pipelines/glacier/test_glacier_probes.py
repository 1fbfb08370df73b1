"""The contract of a handler's answers, as the probes see it."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from pipelines.glacier.deploy.probes.probes import Probe, bad_event, dry_run, faults, real_run
from pipelines.glacier.run.request import parse_event

_PLACE = ("134_Arsuk", "bucket", "base")
_DRY = dry_run(*_PLACE)


def _answer(probe: Probe, **changed: Any) -> bytes:
    body: Mapping[str, Any] = {
        **dict.fromkeys(probe.keys, ""),
        "status": min(probe.statuses),
        "error": " ".join(probe.said),
    }
    answer = {"statusCode": probe.status_code, "body": json.dumps({**body, **changed})}
    return json.dumps(answer).encode()


@pytest.mark.parametrize("probe", [_DRY, bad_event(), real_run(*_PLACE, scenes=False)])
def test_an_answer_as_the_contract_has_it_is_good(probe: Probe) -> None:
    """The probes must not ask for more than callers may count on."""
    assert faults(probe, _answer(probe)) == []


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"null", "is no answer"),
        (b"{}", "is no answer"),
        (b'{"statusCode": 200, "body": {"status": "success"}}', "is no answer"),
        (b'{"statusCode": 200, "body": "[]"}', "no object"),
        (b'{"statusCode": 500, "body": "{}"}', "statusCode is 500"),
        (_answer(_DRY, status="no_data"), "status is 'no_data'"),
        (_answer(_DRY).replace(b"record_key", b"other_key"), "no 'record_key'"),
        (b"x" * 6_000_001, "6000001 bytes"),
    ],
)
def test_an_answer_that_breaks_the_contract_is_told(payload: bytes, said: str) -> None:
    """200 with a body that nobody can read was taken for success."""
    assert said in " ".join(faults(_DRY, payload))


def test_a_refusal_must_name_what_is_wrong() -> None:
    """A bare 400 sends somebody to the logs."""
    assert faults(bad_event(), _answer(bad_event(), error="bad")) == [
        f"the error does not name {word!r}" for word in ("sentinel3", "regions", "date1", "date2")
    ]


def test_the_events_are_what_a_handler_takes() -> None:
    """A probe that is refused itself would prove nothing."""
    good, bad = parse_event(_DRY.event), parse_event(bad_event().event)

    assert good.request is not None
    assert good.request.dry_run
    assert good.request.window.first == date(2025, 5, 4)
    assert (bad.request, bad.place) == (None, None)
