from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.handshake.board import Board, State, make_board
from shared.handshake.layout import JobFolder, Runout, closest_name, quality_name
from shared.handshake.lease import LeaseState
from shared.handshake.summary import Summary
from shared.handshake.survey import Survey
from shared.s3.errors import AccessDenied, Answer
from shared.s3.memory import Faults, MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Verb
from shared.s3.uri import S3Uri
from tests.support.leasing import BUCKET, CID, LAYOUT, lease, report

GARBAGE = [b"", b"\xff\xfe", b"{", b"[]", b"null", b'{"schema": 99}', b'{"schema": 1}', b"9" * 5000]


class Watched(Faults):
    """Counts requests, and denies what lies below some prefixes."""

    def __init__(self, *denied: str, verbs: frozenset[Verb] = frozenset(Verb)) -> None:
        self.asked: Counter[Verb] = Counter()
        self.denied = tuple(f"{LAYOUT.prefix}/{prefix}" for prefix in denied)
        self.verbs = verbs

    async def before(self, verb: Verb, uri: S3Uri) -> None:
        """Refuse as S3 does."""
        self.asked[verb] += 1
        if verb in self.verbs and self.denied and uri.key.startswith(self.denied):
            raise AccessDenied(uri, Answer("AccessDenied", "no", 403))


class World:
    """A bucket that is filled by hand."""

    def __init__(self) -> None:
        self.buckets = MemoryBuckets(BUCKET)

    def put(self, uri: S3Uri, body: bytes = b"x") -> None:
        """Lay an object down."""
        self.buckets.put(uri, body)

    def send(self, cid: str, *, complete: bool = True) -> None:
        """Lay a job down."""
        folder = JobFolder("2026-03-01", cid)
        self.put(LAYOUT.seed(folder))
        if complete:
            self.put(LAYOUT.marker(folder))

    def finish(self, cid: str, *, manifest: bool = True) -> None:
        """Lay a result down."""
        runout = Runout("2026-03-01-1207", cid)
        self.put(LAYOUT.result(runout, closest_name(cid)))
        self.put(LAYOUT.result(runout, quality_name(cid)))
        if manifest:
            self.put(LAYOUT.manifest(runout))

    def hold(self, cid: str, state: LeaseState = LeaseState.CLAIMED, **odd: object) -> None:
        """Lay a lease down."""
        self.put(LAYOUT.lease(cid), lease(state, cid=cid, **odd).to_bytes())

    def say(self, service: str, **cids: set[str]) -> None:
        """Lay a summary down."""
        told = {state: frozenset(found) for state, found in cids.items()}
        self.put(LAYOUT.summary(service), Summary(service, "host", "noon", told).to_bytes())

    async def look(self, faults: Faults | None = None, **asked: object) -> tuple[Board, Survey]:
        """Look as the command does."""
        store = MemoryStore(self.buckets, faults=faults)
        survey = Survey(store, LAYOUT, **asked)  # type: ignore[arg-type]  # the test names fields
        return make_board(await survey.look(), datetime.now(UTC)), survey


@pytest.mark.asyncio
async def test_every_state_is_found_where_it_shows() -> None:
    """The whole way of seven CIDs, from what each side leaves."""
    world = World()
    world.say("dispatcher", new={"00000"}, answered={"00001"}, sent={f"0000{n}" for n in "3456789"})
    world.say("collector", collected={"00009"})
    world.send("00002", complete=False)
    for n in "3456789":
        world.send(f"0000{n}")
    world.hold("00004")
    world.hold("00005", LeaseState.PARKED, reason="bad seeds")
    world.finish("00006", manifest=False)
    world.finish("00007")
    world.finish("00008", manifest=False)
    world.hold("00008")
    world.finish("00009")

    board, _ = await world.look()

    assert {cid: state.value for cid, state in sorted(board.states.items())} == {
        "00000": "new",
        "00001": "answered",
        "00002": "incomplete",
        "00003": "waiting",
        "00004": "claimed",
        "00005": "parked",
        "00006": "processed",
        "00007": "processed",
        "00008": "claimed",
        "00009": "collected",
    }
    assert not board.facts.unseen
    assert not board.facts.faults


@pytest.mark.asyncio
async def test_leases_are_read_only_where_they_decide() -> None:
    """A hundred thousand finished CIDs must not cost a hundred thousand requests."""
    world, watched = World(), Watched()
    for number in range(300):
        world.send(f"{number:05d}")
        world.hold(f"{number:05d}", LeaseState.COMMITTED)
        world.finish(f"{number:05d}")
    world.say("collector", collected={f"{number:05d}" for number in range(100)})
    world.send("00300")
    world.send("00301")
    world.hold("00301")

    board, _ = await world.look(watched)

    assert board.counts[State.CLAIMED] == 1
    assert watched.asked[Verb.GET] == 2  # the summary, and the one lease
    assert watched.asked.keys() == {Verb.GET, Verb.LIST}


@pytest.mark.asyncio
async def test_report_of_a_failure_makes_the_lease_worth_a_look() -> None:
    """A parked CID may have a whole result that was never committed."""
    world = World()
    world.send(CID)
    world.finish(CID)
    world.hold(CID, LeaseState.PARKED)
    world.put(LAYOUT.failure(CID), report().to_bytes())

    board, _ = await world.look()

    assert board.states[CID] is State.PARKED


@pytest.mark.asyncio
@pytest.mark.parametrize("prefix", ["status/", "from-prod/", "from-ec2/", "failed/", "leases/"])
async def test_prefix_that_may_not_be_read_is_said(prefix: str) -> None:
    """Half a policy is common; what is missing must not look like nothing."""
    world = World()
    world.send(CID)
    world.hold(CID)
    world.say("dispatcher", sent={CID})

    board, _ = await world.look(Watched(prefix, verbs=frozenset({Verb.LIST})))

    assert [line for line in board.facts.unseen if f"/{prefix}: AccessDenied" in line]
    assert board.states[CID] in {State.CLAIMED, State.WAITING, State.SENT}


@pytest.mark.asyncio
async def test_lease_that_may_not_be_read_is_said_once() -> None:
    """Listing allowed and reading not: one line, not one a CID."""
    world = World()
    for cid in ("00001", "00002"):
        world.send(cid)
        world.hold(cid)

    board, _ = await world.look(Watched("leases/", verbs=frozenset({Verb.GET})))

    assert board.facts.unseen == [f"s3://{BUCKET}/{LAYOUT.prefix}/leases/*: AccessDenied"]
    assert board.counts[State.WAITING] == 2


@pytest.mark.asyncio
async def test_nothing_readable_at_all_is_an_error() -> None:
    """An empty table would be a lie."""
    with pytest.raises(AccessDenied):
        await World().look(Watched(""))


@pytest.mark.asyncio
@pytest.mark.parametrize("body", GARBAGE)
async def test_garbage_under_every_name_is_a_line_and_no_crash(body: bytes) -> None:
    """Anybody who may write into the bucket may write anything."""
    world = World()
    world.send(CID)
    world.send("00001")
    for uri in (LAYOUT.lease(CID), LAYOUT.failure(CID), LAYOUT.summary("collector")):
        world.put(uri, body)
    for key in ("status/\x1b[31m.json", "status/../x.json", "leases/CID-1.json", "failed/\n", "x"):
        world.put(S3Uri(BUCKET, f"{LAYOUT.prefix}/{key}"), body)
    for prefix in ("from-prod", "from-ec2"):
        world.put(S3Uri(BUCKET, f"{LAYOUT.prefix}/{prefix}/\x1b]0;x\x07/cid.txt"), body)

    board, survey = await world.look(focus=CID)

    assert board.states == {CID: State.PARKED, "00001": State.WAITING}
    assert "its lease cannot be read" in next(board.rows(State.PARKED)).reason
    assert len(board.facts.faults) == 2
    assert all(line.isprintable() for line in board.facts.faults)
    assert survey.story.report is None


@pytest.mark.asyncio
async def test_table_of_the_scripts_alone_must_have_settled() -> None:
    """It may still be on its way; the collector waits as well."""
    world = World()
    world.send(CID)
    world.put(LAYOUT.result(Runout("2026-03-01-1207", CID), closest_name(CID)))

    young, _ = await world.look()
    old, _ = await world.look(clock=lambda: datetime.now(UTC) + timedelta(minutes=2))

    assert young.states[CID] is State.WAITING
    assert old.states[CID] is State.PROCESSED


@pytest.mark.asyncio
async def test_ledgers_in_the_root_are_fresher_than_summaries(tmp_path: Path) -> None:
    """On PROD the truth about what was collected is a file away."""
    world = World()
    world.send(CID)
    world.finish(CID)
    (tmp_path / ".completed_cids").write_text(f"{CID}\n0")
    (tmp_path / ".sent_cids").mkdir()

    board, _ = await world.look(root=tmp_path)

    assert board.states[CID] is State.COLLECTED
    assert len(board.facts.faults) == 1
    assert ".sent_cids" in board.facts.faults[0]
    assert (tmp_path / ".completed_cids").read_text() == f"{CID}\n0"


@pytest.mark.asyncio
async def test_story_keeps_all_folders_of_a_cid() -> None:
    """Whoever mends a CID wants to see the second folder that should not be there."""
    world = World()
    world.send(CID)
    world.put(LAYOUT.marker(JobFolder("2026-03-02", CID)))
    world.finish(CID)
    world.hold(CID, LeaseState.PARKED)
    world.put(LAYOUT.failure(CID), report().to_bytes())

    _, survey = await world.look(focus=CID)

    assert [str(job.folder)[10:20] for job in survey.story.jobs] == ["2026-03-01", "2026-03-02"]
    assert len(survey.story.results) == 1
    assert survey.story.report == report()


@pytest.mark.asyncio
async def test_looking_changes_nothing() -> None:
    """Anybody may look at any time."""
    world = World()
    world.send(CID)
    world.hold(CID)
    before = world.buckets.history()

    await world.look(focus=CID)

    assert world.buckets.history() == before
