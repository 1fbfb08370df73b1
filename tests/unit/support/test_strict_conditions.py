import anyio
import anyio.to_thread
import pytest

from tests.support.gate import Gate
from tests.support.raw_http import RawAnswer, RawClient
from tests.support.strict_s3.behaviour import Behaviour, Conditions
from tests.support.strict_s3.faults import Fault, Stage, Wait
from tests.support.strict_s3.server import BUCKET, StrictS3

ABSENT: dict[str, str | None] = {"If-None-Match": "*"}
TARGET = f"/{BUCKET}/k"


async def held(
    strict_s3: StrictS3, raw: RawClient, headers: dict[str, str | None], action: list[str]
) -> RawAnswer:
    """Put under a condition, and let others change the key while that put is under way."""
    gate = Gate()
    strict_s3.faults.add(Fault(Wait(gate, Stage.BEFORE_COMMIT), operation="PutObject", nth=1))
    answers: list[RawAnswer] = []

    async def put() -> None:
        answers.append(await anyio.to_thread.run_sync(raw.call, "PUT", TARGET, b"held", headers))

    async with anyio.create_task_group() as group:
        group.start_soon(put)
        await gate.reached()
        for method in action:
            await anyio.to_thread.run_sync(raw.call, method, TARGET, b"")
        gate.open()
    return answers[0]


def test_create_only_over_nothing(strict_s3: StrictS3, raw: RawClient) -> None:
    """`If-None-Match: *` is how the uploader saves a request; it must never overwrite."""
    first = raw.call("PUT", TARGET, b"first", ABSENT)
    second = raw.call("PUT", TARGET, b"second", ABSENT)

    assert (first.status, second.status, second.code) == (200, 412, "PreconditionFailed")
    assert strict_s3.objects(BUCKET) == {"k": b"first"}


def test_replace_only_what_was_seen(strict_s3: StrictS3, raw: RawClient) -> None:
    """`If-Match` protects what somebody else wrote meanwhile."""
    etag = raw.call("PUT", TARGET, b"first").headers["etag"]

    missing = raw.call("PUT", f"/{BUCKET}/missing", b"x", {"If-Match": etag})
    replaced = raw.call("PUT", TARGET, b"second", {"If-Match": etag})
    stale = raw.call("PUT", TARGET, b"third", {"If-Match": etag})

    assert (missing.status, missing.code) == (404, "NoSuchKey")
    assert (replaced.status, stale.status) == (200, 412)
    assert strict_s3.objects(BUCKET) == {"k": b"second"}


@pytest.mark.asyncio
async def test_write_of_the_same_key_meanwhile_is_a_conflict(
    strict_s3: StrictS3, raw: RawClient
) -> None:
    """The loser of a race is told 409 and has changed nothing."""
    answer = await held(strict_s3, raw, ABSENT, ["PUT"])

    assert (answer.status, answer.code) == (409, "ConditionalRequestConflict")
    assert strict_s3.objects(BUCKET) == {"k": b""}


@pytest.mark.parametrize(
    ("action", "status"),
    [
        pytest.param(["PUT"], 412, id="written"),
        pytest.param(["PUT", "DELETE"], 409, id="deleted"),
        pytest.param([], 200, id="untouched"),
    ],
)
@pytest.mark.asyncio
async def test_only_deletes_conflict_where_told_so(
    strict_s3: StrictS3, raw: RawClient, action: list[str], status: int
) -> None:
    """The other reading of the documentation: the first to finish wins, 409 is for deletes."""
    strict_s3.behaviour = Behaviour(conflict_on="delete")

    answer = await held(strict_s3, raw, ABSENT, action)

    assert answer.status == status


@pytest.mark.asyncio
async def test_one_of_many_creators_wins(strict_s3: StrictS3, raw: RawClient) -> None:
    """Conditional writes of a key are serialised."""
    answers: list[int] = []

    async def put(number: int) -> None:
        body = b"%d" % number
        answer = await anyio.to_thread.run_sync(raw.call, "PUT", TARGET, body, ABSENT)
        answers.append(answer.status)

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(put, number)

    assert answers.count(200) == 1
    assert set(answers) <= {200, 409, 412}
    assert len(strict_s3.mutations(BUCKET)) == 1


@pytest.mark.parametrize(
    ("conditions", "status"), [(Conditions.IGNORED, 200), (Conditions.REFUSED, 501)]
)
def test_stores_without_conditions_can_be_played(
    strict_s3: StrictS3, raw: RawClient, conditions: Conditions, status: int
) -> None:
    """Some stores ignore the header, some refuse it."""
    strict_s3.behaviour = Behaviour(conditional_put=conditions)
    raw.call("PUT", TARGET, b"first")

    assert raw.call("PUT", TARGET, b"second", ABSENT).status == status


def test_other_if_none_match_on_a_write_is_not_implemented(raw: RawClient) -> None:
    """AWS knows only `*` there."""
    assert raw.call("PUT", TARGET, b"", {"If-None-Match": '"abc"'}).status == 501


def test_reads_honour_conditions_and_ranges(raw: RawClient) -> None:
    """A download is pinned to the ETag that was seen."""
    etag = raw.call("PUT", TARGET, b"0123456789").headers["etag"]

    assert raw.call("GET", TARGET, headers={"If-Match": '"other"'}).status == 412
    assert raw.call("GET", TARGET, headers={"If-None-Match": etag}).status == 304
    part = raw.call("GET", TARGET, headers={"Range": "bytes=2-4", "If-Match": etag})
    assert (part.status, part.body) == (206, b"234")
    assert part.headers["content-range"] == "bytes 2-4/10"
    assert raw.call("GET", TARGET, headers={"Range": "bytes=-3"}).body == b"789"
    assert raw.call("GET", TARGET, headers={"Range": "bytes=7-99"}).body == b"789"
    beyond = raw.call("GET", TARGET, headers={"Range": "bytes=10-"})
    assert (beyond.status, beyond.code) == (416, "InvalidRange")


def test_deletes_honour_conditions(strict_s3: StrictS3, raw: RawClient) -> None:
    """A conditional delete removes only what was seen; deleting nothing succeeds."""
    etag = raw.call("PUT", TARGET, b"x").headers["etag"]

    assert raw.call("DELETE", TARGET, headers={"If-Match": '"other"'}).status == 412
    assert raw.call("DELETE", TARGET, headers={"If-Match": etag}).status == 204
    assert raw.call("DELETE", TARGET, headers={"If-Match": etag}).status == 404
    assert raw.call("DELETE", TARGET).status == 204
    assert [mutation.kind.value for mutation in strict_s3.mutations()] == ["put", "delete"]


def test_copies_honour_conditions_on_both_sides(strict_s3: StrictS3, raw: RawClient) -> None:
    """Source and target are judged apart."""
    etag = raw.call("PUT", f"/{BUCKET}/a%20b", b"source").headers["etag"]
    source: dict[str, str | None] = {"x-amz-copy-source": f"{BUCKET}/a%20b"}

    copied = raw.call("PUT", TARGET, headers=source | ABSENT)
    again = raw.call("PUT", TARGET, headers=source | ABSENT)
    stale = raw.call("PUT", TARGET, headers=source | {"x-amz-copy-source-if-match": '"other"'})
    itself = raw.call("PUT", f"/{BUCKET}/a%20b", headers=source)

    assert copied.text("ETag") == etag
    assert [answer.status for answer in (copied, again, stale, itself)] == [200, 412, 412, 400]
    assert strict_s3.objects(BUCKET) == {"a b": b"source", "k": b"source"}
