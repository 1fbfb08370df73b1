import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import anyio
import pytest
import pytest_asyncio

from shared.handshake.claims import Claim, LeaseBook, LeaseLost, probe_conditional_writes
from shared.handshake.layout import Layout
from shared.handshake.lease import Lease, LeaseState, parse_lease
from shared.handshake.transfer import fetch_file
from shared.s3.client import S3Client
from shared.s3.errors import ChecksumMismatch, OutcomeUnknown
from shared.s3.store import ABSENT
from tests.contract.engines import BUCKET, Engine, open_client
from tests.contract.probe import RecordingJournal
from tests.support.leasing import CID, JOB, OTHER_RUNOUT, RUNOUT, book, report
from tests.support.strict_s3.access import ACCESS_KEY, SECRET_KEY
from tests.support.strict_s3.behaviour import Behaviour, Conditions
from tests.support.strict_s3.faults import (
    Effect,
    Fail,
    Fault,
    HalfAnswer,
    Reset,
    Stage,
    WrongChecksum,
)
from tests.support.strict_s3.server import StrictS3

LAYOUT = Layout(BUCKET)
LEASE = LAYOUT.lease(CID)


@pytest.fixture
def server() -> Iterator[StrictS3]:
    """The strict S3 with the bucket of this suite."""
    with StrictS3([BUCKET]) as server:
        yield server


@pytest_asyncio.fixture
async def store(server: StrictS3, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[S3Client]:
    """The reference engine on the strict S3."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    async with open_client(server.url, RecordingJournal()) as opened:
        yield opened


async def claimed(leases: LeaseBook) -> Claim:
    """Claim the CID, whoever has it."""
    claim = await leases.claim(CID, JOB, await leases.read(CID))
    assert claim is not None
    return claim


def found(server: StrictS3) -> Lease:
    """Return the lease as it stands."""
    return parse_lease(server.objects(BUCKET)[LEASE.key], CID)


@pytest.mark.asyncio
async def test_life_of_a_lease(engine: Engine) -> None:
    """Claimed, kept, taken over, parked, put back, committed: on every engine."""
    ours = book(engine.store, "a", layout=LAYOUT)
    theirs = book(engine.store, "b", layout=LAYOUT)

    first = await claimed(ours)
    await first.renew()
    second = await claimed(theirs)
    with pytest.raises(LeaseLost):
        await first.renew()
    with pytest.raises(LeaseLost):
        await first.commit(RUNOUT)
    await second.park(report())
    assert await ours.claim(CID, JOB, await ours.read(CID)) is None
    assert await ours.put_back(CID)
    third = await claimed(ours)
    await third.commit(RUNOUT)

    seen = await theirs.read(CID)
    assert seen is not None
    assert (seen.lease.state, seen.lease.generation) == (LeaseState.COMMITTED, 3)
    assert (seen.lease.beat, seen.lease.runout) == (8, RUNOUT)


@pytest.mark.asyncio
async def test_of_many_claimers_one_gets_the_cid(engine: Engine) -> None:
    """First the lease that is not there, then the one that has expired."""
    if not engine.atomic:
        pytest.skip("the server does not look and write in one step")
    for generation in (1, 2):
        seen = await book(engine.store, "look", layout=LAYOUT).read(CID)
        won: list[Claim] = []

        async def claim(name: str, round_seen: object = seen, winners: list[Claim] = won) -> None:
            ours = book(engine.store, name, layout=LAYOUT)
            if mine := await ours.claim(CID, JOB, round_seen):  # type: ignore[arg-type]
                winners.append(mine)

        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(claim, f"{generation}-{number}")

        assert [mine.lease.generation for mine in won] == [generation]


@pytest.mark.asyncio
async def test_engines_know_conditional_writes(engine: Engine) -> None:
    """Several watchers may run; the probe leaves nothing behind."""
    assert await probe_conditional_writes(engine.store, LAYOUT, "a") is True

    pages = [page async for page in engine.store.pages(LAYOUT.leases)]
    assert [found for page in pages for found in page.objects] == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("conditions", "verdict"),
    [(Conditions.HONOURED, True), (Conditions.IGNORED, False), (Conditions.REFUSED, False)],
)
async def test_store_without_conditional_writes_is_found_out(
    server: StrictS3, store: S3Client, conditions: Conditions, *, verdict: bool
) -> None:
    """Two watchers on such a store would both own every CID."""
    server.behaviour = Behaviour(conditional_put=conditions)

    assert await probe_conditional_writes(store, LAYOUT, "a") is verdict
    assert server.keys(BUCKET) == []


@pytest.mark.asyncio
async def test_probe_without_an_answer_says_nothing_of_the_store(
    server: StrictS3, store: S3Client
) -> None:
    """A watcher that starts before the network must not refuse to work for ever."""
    server.faults.add(Fault(Reset(), operation="PutObject"))

    with pytest.raises(OutcomeUnknown):
        await probe_conditional_writes(store, LAYOUT, "a")


# Releasing and failing are the same write as committing; the unit tests have all five.
STEPS: Mapping[str, Callable[[Claim], Awaitable[None]]] = {
    "renew": lambda claim: claim.renew(),
    "commit": lambda claim: claim.commit(RUNOUT),
    "park": lambda claim: claim.park(report()),
}
ENDS = {
    "renew": LeaseState.CLAIMED,
    "commit": LeaseState.COMMITTED,
    "park": LeaseState.PARKED,
}
TROUBLES: Mapping[str, Effect] = {
    "reset before": Reset(Stage.BEFORE_COMMIT),
    "reset after": Reset(Stage.AFTER_COMMIT),
    "half an answer": HalfAnswer(),
    "500 before": Fail("InternalError", stage=Stage.BEFORE_COMMIT),
    "500 after": Fail("InternalError", stage=Stage.AFTER_COMMIT),
    "503 after": Fail("SlowDown", stage=Stage.AFTER_COMMIT),
    "409 before": Fail("ConditionalRequestConflict", stage=Stage.BEFORE_COMMIT),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("step", STEPS)
async def test_step_in_trouble_is_made_once(
    server: StrictS3, store: S3Client, step: str, trouble: str
) -> None:
    """Every conditional write, every way of losing its answer: one change, and we know of it."""
    claim = await claimed(book(store, "a", layout=LAYOUT))
    fault = server.faults.add(Fault(TROUBLES[trouble], operation="PutObject", key=LEASE.key, nth=1))

    await STEPS[step](claim)

    assert server.faults.struck(fault) == 1
    assert found(server) == claim.lease
    assert claim.lease.state is ENDS[step]
    assert len(server.mutations(BUCKET, LEASE.key)) == (3 if step == "park" else 2)


@pytest.mark.asyncio
@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("generation", [1, 2])
async def test_claim_in_trouble_is_ours_once(
    server: StrictS3, store: S3Client, generation: int, trouble: str
) -> None:
    """Else nobody would work on the CID until a lease that nobody knows of has expired."""
    if generation > 1:
        await claimed(book(store, "before", layout=LAYOUT))
    ours = book(store, "a", layout=LAYOUT)
    seen = await ours.read(CID)
    server.faults.add(Fault(TROUBLES[trouble], operation="PutObject", key=LEASE.key, nth=1))

    claim = await ours.claim(CID, JOB, seen)

    assert claim is not None
    assert found(server) == claim.lease
    assert claim.lease.generation == generation
    assert len(server.mutations(BUCKET, LEASE.key)) == generation


@pytest.mark.asyncio
@pytest.mark.parametrize("trouble", TROUBLES)
async def test_put_back_in_trouble_is_done_once(
    server: StrictS3, store: S3Client, trouble: str
) -> None:
    """And the report, whose end is what watchers see, is gone."""
    await (await claimed(book(store, "a", layout=LAYOUT))).park(report())
    server.faults.add(Fault(TROUBLES[trouble], operation="PutObject", key=LEASE.key, nth=1))

    assert await book(store, "person", layout=LAYOUT).put_back(CID)

    assert found(server).state is LeaseState.RELEASED
    assert server.keys(BUCKET) == [LEASE.key]


@pytest.mark.asyncio
@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("step", STEPS)
async def test_fenced_step_in_trouble_changes_nothing(
    server: StrictS3, store: S3Client, step: str, trouble: str
) -> None:
    """A retry must not slip past the fence."""
    claim = await claimed(book(store, "a", layout=LAYOUT))
    theirs = await claimed(book(store, "b", layout=LAYOUT))
    await theirs.commit(OTHER_RUNOUT)
    server.faults.add(Fault(TROUBLES[trouble], operation="PutObject", key=LEASE.key, nth=1))

    with pytest.raises(LeaseLost):
        await STEPS[step](claim)

    assert found(server) == theirs.lease
    assert len(server.mutations(BUCKET, LEASE.key)) == 3


@pytest.mark.asyncio
@pytest.mark.parametrize("step", STEPS)
async def test_step_that_nobody_can_tell_about_is_called_again_and_happens_once(
    server: StrictS3, store: S3Client, step: str
) -> None:
    """Carried out, and then the bucket is away for longer than all retries."""
    claim = await claimed(book(store, "a", layout=LAYOUT))
    server.faults.add(Fault(Reset(Stage.AFTER_COMMIT), operation="PutObject", key=LEASE.key, nth=1))
    for operation in ("HeadObject", "GetObject"):
        server.faults.add(Fault(Fail("InternalError"), operation=operation, key=LEASE.key))
    server.faults.add(
        Fault(Fail("InternalError"), operation="PutObject", key=LEASE.key, nth=range(2, 99))
    )

    with pytest.raises(Exception) as caught:  # noqa: PT011 - any but the one that is wrong
        await STEPS[step](claim)
    assert not isinstance(caught.value, LeaseLost)
    server.faults.clear()
    await STEPS[step](claim)

    assert found(server) == claim.lease
    assert claim.lease.state is ENDS[step]
    assert claim.lease.attempts == (step == "park")


@pytest.mark.asyncio
async def test_download_that_is_not_what_its_checksum_says_is_refused(
    server: StrictS3, store: S3Client, tmp_path: Path
) -> None:
    """A result without a manifest is compared with S3's own checksum."""
    where = LAYOUT.result(RUNOUT, "a.csv")
    await store.put(where, b"row_id\n1\n", when=ABSENT)
    server.faults.add(Fault(WrongChecksum(), operation="GetObject"))

    with pytest.raises(ChecksumMismatch):
        await fetch_file(store, where, tmp_path / "a.csv", limit=100)

    assert os.listdir(tmp_path) == []  # noqa: PTH208 - hidden files too
