from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from daemons.dispatcher.report import PassCounts, Rate
from daemons.dispatcher.status import StatusWriter, render_status
from shared.handshake.summary import Publisher, Summary, parse_summary
from shared.s3.errors import AccessDenied, Unreachable
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import Verb
from shared.status import read_status
from tests.support.dispatching import LAYOUT, Life, Project, ended


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two new chunks, one answered, one bad."""
    made = Project(tmp_path)
    for cid in ("00001", "00002", "00003", "00004"):
        made.chunk(cid)
    made.answer("00003")
    made.step.ends = {"00004": ended(2, "line 7: bad")}
    return made


def writer(project: Project, life: Life) -> StatusWriter:
    """The daemon's own."""
    store = MemoryStore(project.buckets, faults=project.requests)
    return StatusWriter(project.state, project.settings, Publisher(store, LAYOUT), life.control)


def summary_of(project: Project) -> Summary:
    """What everybody with read access sees."""
    body = project.body(LAYOUT.summary("dispatcher"))
    assert body is not None
    return parse_summary(body, "dispatcher")


@pytest.mark.asyncio
async def test_people_monitors_and_the_bucket_are_told_the_same(project: Project) -> None:
    """The numbers of a person's question: new, answered, sent, in quarantine and why."""
    with ExitStack() as stack:
        life = project.life(stack)
        tell = writer(project, life)
        await life.once()
        await tell.tell(life.service)

    said = summary_of(project)
    status = read_status(project.state)
    assert status is not None
    shown = render_status(status, datetime.now(UTC))
    metrics = (project.state / "metrics.prom").read_text()
    assert said.cids == {
        "new": frozenset(),
        "answered": {"00003"},
        "sent": {"00001", "00002"},
        "quarantined": {"00004"},
    }
    assert "line 7" in said.notes["00004"]
    assert "1 answered, 2 sent" in shown
    assert "quarantined 00004: " in shown
    assert 'towpath_cids{service="dispatcher",state="sent"} 2' in metrics


@pytest.mark.asyncio
async def test_no_news_is_not_published(project: Project) -> None:
    """A daemon that idles for weeks must not write an object every half minute."""
    with ExitStack() as stack:
        life = project.life(stack)
        tell = writer(project, life)
        await life.once()
        for _ in range(3):
            await tell.tell(life.service)

    key = LAYOUT.summary("dispatcher").key
    assert [m.uri.key for m in project.buckets.history()].count(key) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", [AccessDenied, Unreachable])
async def test_a_bucket_that_does_not_listen_stops_nothing(
    project: Project, kind: type[AccessDenied | Unreachable]
) -> None:
    """It is said, and tried again after the next pass."""
    key = LAYOUT.summary("dispatcher").key
    project.requests.fault = lambda _verb, uri: kind(uri) if uri.key == key else None
    with ExitStack() as stack, capture_logs() as logs:
        life = project.life(stack)
        tell = writer(project, life)
        await life.once()
        await tell.tell(life.service)
        project.requests.fault = lambda _verb, _uri: None
        await tell.tell(life.service)

    assert [line["event"] for line in logs].count("summary_not_published") == 1
    assert summary_of(project).cids["sent"] == {"00001", "00002"}


@pytest.mark.asyncio
async def test_trouble_is_shown_with_its_beginning(project: Project) -> None:
    """Whoever looks must see at once that nothing goes on, and why."""
    project.requests.fault = lambda verb, uri: AccessDenied(uri) if verb is Verb.PUT else None
    with ExitStack() as stack:
        life = project.life(stack)
        tell = writer(project, life)
        with pytest.raises(AccessDenied):
            await life.once()
        await tell.tell(life.service)

    status = read_status(project.state)
    assert status is not None
    assert status.last_success_at is None
    assert "trouble" in render_status(status, datetime.now(UTC))
    assert status.details["trouble_since"] == project.now.isoformat()
    assert project.body(LAYOUT.summary("dispatcher")) is None


@pytest.mark.asyncio
async def test_a_state_folder_out_of_order_stops_nothing(project: Project) -> None:
    """Status is for people; the work goes on without it."""
    with ExitStack() as stack, capture_logs() as logs:
        life = project.life(stack)
        tell = writer(project, life)
        await life.once()
        await anyio.Path(project.state / "status.json").mkdir()
        await tell.tell(life.service)

    assert "status_not_written" in [line["event"] for line in logs]


def test_counts_add_up_and_what_is_left_is_as_the_last_pass_left_it() -> None:
    """Of failing and waiting CIDs a sum would say nothing."""
    total = PassCounts(sent=2, failed=5, waiting=7, bytes=10)

    total.add(PassCounts(sent=1, failed=1, waiting=0, bytes=5))

    assert total == PassCounts(sent=3, failed=1, waiting=0, bytes=15)


def test_the_rate_is_of_the_last_hour_or_of_a_shorter_life() -> None:
    """A daemon that idled for weeks and works now must not be called slow."""
    rate = Rate(began=0.0)
    for second in range(0, 1800, 60):
        rate.count(float(second))

    assert rate.per_hour(1800.0) == 60.0
    assert rate.per_hour(3600.0) == 29.0
    assert rate.per_hour(100_000.0) == 0.0
