import http.client
import socket
from collections.abc import Callable

import anyio
import anyio.to_thread
import pytest

from tests.support.gate import Gate, Signal
from tests.support.raw_http import RawAnswer, RawClient
from tests.support.strict_s3.digests import Algorithm, digest_of, encoded
from tests.support.strict_s3.faults import (
    Do,
    Fail,
    Fault,
    FaultScript,
    HalfAnswer,
    NoAnswer,
    Reset,
    Stage,
    Wait,
    WrongChecksum,
)
from tests.support.strict_s3.protocol import Call, parse_call
from tests.support.strict_s3.server import BUCKET, StrictS3

PUT_K = (
    f"PUT /{BUCKET}/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
    "x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"
    "Authorization: AWS4-HMAC-SHA256 Credential=a/b/eu-west-1/s3/aws4_request\r\n\r\nx"
).encode()
"""A whole request, for a client that does not stay for the answer."""


def call(method: str, target: str) -> Call:
    """Make a request for a script to judge."""
    return parse_call(1, method, target, {})


@pytest.mark.parametrize(
    ("fault", "struck"),
    [
        pytest.param(Fault(Fail()), [1, 2, 3, 4], id="every"),
        pytest.param(Fault(Fail(), nth=2), [2], id="second"),
        pytest.param(Fault(Fail(), nth=range(2, 4)), [2, 3], id="range"),
        pytest.param(Fault(Fail(), operation="Put*"), [1, 2, 4], id="operation"),
        pytest.param(Fault(Fail(), operation="PutObject", nth=3), [4], id="third-put"),
        pytest.param(Fault(Fail(), method="GET"), [3], id="method"),
        pytest.param(Fault(Fail(), bucket="other"), [4], id="bucket"),
        pytest.param(Fault(Fail(), key="*.png"), [2], id="key"),
        pytest.param(Fault(Fail(), key=lambda key: len(key) == 1), [1, 3, 4], id="predicate"),
    ],
)
def test_rule_strikes_what_it_names(fault: Fault, struck: list[int]) -> None:
    """The n-th request means the n-th of those that match, so scripts stay readable."""
    script = FaultScript([fault])
    calls = [
        call("PUT", "/b/a"),
        call("PUT", "/b/x.png"),
        call("GET", "/b/a"),
        call("PUT", "/other/a"),
    ]

    met = [script.meet(one).effects for one in calls]

    assert [number for number, effects in enumerate(met, 1) if effects] == struck
    assert script.struck(fault) == len(struck)


def test_rules_come_and_go() -> None:
    """Trouble begins and ends in the middle of a test."""
    script = FaultScript()
    fault = script.add(Fault(Fail()))
    during = script.meet(call("GET", "/b/a")).effects
    script.remove(fault)
    after = script.meet(call("GET", "/b/a")).effects

    assert (len(during), after) == (1, ())


@pytest.mark.parametrize("stage", Stage)
def test_failure_says_what_the_script_says(
    strict_s3: StrictS3, raw: RawClient, stage: Stage
) -> None:
    """A failure after the commit is the nasty one: told 500, and stored."""
    fault = strict_s3.faults.add(Fault(Fail("InternalError", retry_after=7, stage=stage), nth=1))

    answer = raw.put(BUCKET, "k", b"x")

    assert (answer.status, answer.code) == (500, "InternalError")
    assert answer.headers["retry-after"] == "7"
    assert strict_s3.keys(BUCKET) == (["k"] if stage is Stage.AFTER_COMMIT else [])
    assert strict_s3.faults.struck(fault) == 1
    assert raw.put(BUCKET, "k", b"x").status == 200


def test_error_inside_a_success(strict_s3: StrictS3, raw: RawClient) -> None:
    """CopyObject and CompleteMultipartUpload can fail with status 200."""
    raw.put(BUCKET, "a", b"x")
    strict_s3.faults.add(Fault(Fail("InternalError", status=200), operation="CopyObject"))

    answer = raw.call("PUT", f"/{BUCKET}/b", headers={"x-amz-copy-source": f"{BUCKET}/a"})

    assert (answer.status, answer.code) == (200, "InternalError")
    assert strict_s3.keys(BUCKET) == ["a"]


@pytest.mark.parametrize("stage", Stage)
def test_reset_is_seen_as_a_reset(strict_s3: StrictS3, raw: RawClient, stage: Stage) -> None:
    """The client cannot tell whether its bytes were stored: here both happen."""
    strict_s3.faults.add(Fault(Reset(stage), nth=1))

    with pytest.raises((ConnectionResetError, BrokenPipeError)) as caught:
        raw.put(BUCKET, "k", b"x" * 1000)

    # An orderly end is another error, though of a kind with a reset in Python.
    assert not isinstance(caught.value, http.client.RemoteDisconnected)
    assert strict_s3.keys(BUCKET) == (["k"] if stage is Stage.AFTER_COMMIT else [])
    assert [record.status for record in strict_s3.requests()] == [0]


def test_answer_breaks_off_in_the_middle(strict_s3: StrictS3, raw: RawClient) -> None:
    """Headers arrive, the body does not; without a body not even the headers do."""
    raw.put(BUCKET, "k", b"0123456789")
    strict_s3.faults.add(Fault(HalfAnswer()))

    with pytest.raises(http.client.IncompleteRead) as caught:
        raw.call("GET", f"/{BUCKET}/k")
    # A lenient client may take half of the headers for all of them: the last ones are missing.
    found = raw.put(BUCKET, "other", b"x").headers

    assert "content-length" not in found
    assert caught.value.partial == b"01234"
    assert strict_s3.keys(BUCKET) == ["k", "other"]


def test_checksum_in_the_answer_is_wrong(strict_s3: StrictS3, raw: RawClient) -> None:
    """What is stored is right; a client that never compares will not notice."""
    strict_s3.faults.add(Fault(WrongChecksum(etag=True), nth=1))
    right = encoded(digest_of(Algorithm.CRC64NVME, b"x"))

    answer = raw.put(BUCKET, "k", b"x")
    head = raw.call("HEAD", f"/{BUCKET}/k", headers={"x-amz-checksum-mode": "ENABLED"})

    assert answer.status == 200
    assert answer.headers["x-amz-checksum-crc64nvme"] != right
    assert answer.headers["etag"] != head.headers["etag"]
    assert head.headers["x-amz-checksum-crc64nvme"] == right


@pytest.mark.asyncio
async def test_gate_holds_a_request_until_the_test_opens_it(
    strict_s3: StrictS3, raw: RawClient
) -> None:
    """A test sees what is true while a request is under way, without sleeping."""
    gate = Gate()
    strict_s3.faults.add(Fault(Wait(gate, Stage.BEFORE_COMMIT), key="held"))
    answers: list[RawAnswer] = []

    async def put() -> None:
        answers.append(await anyio.to_thread.run_sync(raw.put, BUCKET, "held", b"x"))

    async with anyio.create_task_group() as group:
        group.start_soon(put)
        await gate.reached()
        meanwhile = strict_s3.keys(BUCKET)
        other = await anyio.to_thread.run_sync(raw.put, BUCKET, "other", b"x")
        gate.open()

    assert (meanwhile, other.status, gate.arrivals) == ([], 200, 1)
    assert answers[0].status == 200
    assert strict_s3.keys(BUCKET) == ["held", "other"]


def test_swallowed_answer_ends_when_the_client_gives_up(
    strict_s3: StrictS3, raw: RawClient
) -> None:
    """Stored, and never told: the client's own limit is what ends it."""
    ended = Signal()
    strict_s3.faults.add(Fault([Do(lambda _: ended.set()), NoAnswer()], operation="PutObject"))
    with socket.create_connection(("127.0.0.1", strict_s3.port)) as line:
        line.sendall(PUT_K)
        ended.wait_blocking()
        line.setblocking(False)  # noqa: FBT003 - the standard library's signature
        with pytest.raises(BlockingIOError):
            line.recv(1)

    assert strict_s3.keys(BUCKET) == ["k"]
    assert raw.call("HEAD", f"/{BUCKET}/k").status == 200


def test_request_of_a_client_that_died_is_waited_for(strict_s3: StrictS3, raw: RawClient) -> None:
    """It takes effect after the client's end, and would disturb whoever comes next."""
    gate = Gate()
    strict_s3.faults.add(Fault(Wait(gate, Stage.BEFORE_COMMIT)))
    with socket.create_connection(("127.0.0.1", strict_s3.port)) as line:
        line.sendall(PUT_K)
        gate.reached_blocking()

    with pytest.raises(TimeoutError):
        strict_s3.wait_alone(0.01)
    gate.open()
    strict_s3.wait_alone()

    assert strict_s3.keys(BUCKET) == ["k"]


def test_server_stops_while_requests_are_held() -> None:
    """A failed test does not hang in its own clean-up."""
    gate = Gate()
    with StrictS3([BUCKET], faults=[Fault(Wait(gate))]) as s3:
        with socket.create_connection(("127.0.0.1", s3.port)) as line:
            line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            gate.reached_blocking()
        with socket.create_connection(("127.0.0.1", s3.port)) as line:
            line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            gate.reached_blocking(2)


@pytest.mark.parametrize(
    ("stage", "seen"), [(Stage.BEFORE_COMMIT, []), (Stage.AFTER_COMMIT, ["k"])]
)
def test_function_is_called_at_its_stage(
    strict_s3: StrictS3, raw: RawClient, stage: Stage, seen: list[str]
) -> None:
    """A test truncates its file, or notes an order, exactly when it matters."""
    noted: list[list[str]] = []
    note: Callable[[Call], None] = lambda _: noted.append(strict_s3.keys(BUCKET))  # noqa: E731 - named for its type
    strict_s3.faults.add(Fault(Do(note, stage)))

    raw.put(BUCKET, "k", b"x")

    assert noted == [seen]


def test_failure_of_the_fake_itself_is_loud(raw: RawClient) -> None:
    """A defect in a test's own function must not pass for an error of S3."""

    def broken(_: Call) -> None:
        raise ZeroDivisionError

    s3 = StrictS3([BUCKET], faults=[Fault(Do(broken))]).start()
    RawClient(s3.url).put(BUCKET, "k", b"x")

    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        s3.stop()
