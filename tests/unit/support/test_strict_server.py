import json
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from tests.support.raw_http import RawClient
from tests.support.strict_s3.history import MutationKind
from tests.support.strict_s3.server import BUCKET, StrictS3

ROOT = Path(__file__).parents[3]


@pytest.mark.asyncio
async def test_ten_thousand_requests_are_nothing_special(strict_s3: StrictS3) -> None:
    """Storms and backlogs are tested at their real size."""
    numbers = iter(range(10_000))

    async def work() -> None:
        async with await anyio.connect_tcp("127.0.0.1", strict_s3.port) as line:
            for number in numbers:
                await line.send(
                    f"PUT /{BUCKET}/k{number} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
                    "Authorization: AWS4-HMAC-SHA256 Credential=a/b/eu-west-1/s3/aws4_request\r\n"
                    "x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n\r\nbody".encode()
                )
                answer = await line.receive()
                while not answer.endswith(b"\r\n\r\n"):
                    answer += await line.receive()
                assert answer.startswith(b"HTTP/1.1 200 ")

    async with anyio.create_task_group() as group:
        for _ in range(32):
            group.start_soon(work)

    # A request is noted behind its answer.
    strict_s3.wait_alone()
    assert strict_s3.count("PutObject", status=200) == 10_000
    assert len(strict_s3.objects(BUCKET)) == 10_000


def test_history_tells_requests_and_mutations_in_order(strict_s3: StrictS3, raw: RawClient) -> None:
    """The effect check and every request budget rest on this record."""
    strict_s3.seed(BUCKET, {"seeded": b"s"})
    raw.put(BUCKET, "k", b"one")
    raw.put(BUCKET, "k", b"two")
    raw.call("HEAD", f"/{BUCKET}/missing")
    raw.call("DELETE", f"/{BUCKET}/k")

    requests, mutations = strict_s3.requests(), strict_s3.mutations()

    assert [(one.operation, one.key, one.status) for one in requests] == [
        ("PutObject", "k", 200),
        ("PutObject", "k", 200),
        ("HeadObject", "missing", 404),
        ("DeleteObject", "k", 204),
    ]
    assert [one.kind for one in mutations] == [
        MutationKind.SEED,
        MutationKind.PUT,
        MutationKind.PUT,
        MutationKind.DELETE,
    ]
    assert [one.data for one in mutations] == [b"s", b"one", b"two", None]
    assert sorted(one.sequence for one in mutations) == [one.sequence for one in mutations]
    assert strict_s3.count("*Object", key="k") == 3
    assert strict_s3.mutations(BUCKET, "seeded") == mutations[:1]


def test_reset_and_forget(strict_s3: StrictS3, raw: RawClient) -> None:
    """One server can serve several phases of a test."""
    raw.put(BUCKET, "k", b"x")
    strict_s3.forget()
    kept = strict_s3.keys(BUCKET)
    raw.put(BUCKET, "l", b"x")
    counted = strict_s3.count()
    strict_s3.reset()

    assert (kept, counted) == (["k"], 1)
    assert (strict_s3.keys(BUCKET), strict_s3.requests(), strict_s3.mutations()) == ([], [], [])


def test_metadata_is_given_back(raw: RawClient) -> None:
    """What is stored beside the bytes comes back with them."""
    sent: dict[str, str | None] = {
        "Content-Type": "image/png",
        "Content-Encoding": "gzip",
        "x-amz-meta-Who": "me",
        "x-amz-tagging": "a=1&b=2",
        "x-amz-server-side-encryption": "aws:kms",
    }
    raw.call("PUT", f"/{BUCKET}/k", b"not really gzip", sent)

    head = raw.call("HEAD", f"/{BUCKET}/k").headers

    assert head["content-type"] == "image/png"
    assert head["content-encoding"] == "gzip"
    assert head["x-amz-meta-who"] == "me"
    assert head["x-amz-tagging-count"] == "2"
    assert head["x-amz-server-side-encryption"] == "aws:kms"
    assert head["content-length"] == "15"


def test_port_in_use_is_said_at_once(strict_s3: StrictS3) -> None:
    """A fixed port that is taken must not look like a dead server."""
    with pytest.raises(OSError, match="in use"):
        StrictS3(port=strict_s3.port).start()


def test_runs_by_itself_until_sigterm() -> None:
    """The demo and people at a keyboard use the same server."""
    command = [
        sys.executable,
        "-m",
        "tests.support.strict_s3",
        "--bucket",
        "one",
        "--bucket",
        "two",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            status = RawClient(said["url"]).put("two", "k", b"x").status
        finally:
            process.send_signal(signal.SIGTERM)

    assert (status, said["buckets"]) == (200, ["one", "two"])
    assert said["environment"]["AWS_ENDPOINT_URL"] == said["url"]
    assert process.returncode == 0
