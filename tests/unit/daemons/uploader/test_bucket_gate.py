import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.uploader.gate import BucketGate, GateState

INTERVAL = 60.0
LONGEST_PAUSE = 300.0


def closed(now: float = 0.0, interval: float = INTERVAL) -> BucketGate:
    """Make a gate that a refusal has just closed."""
    gate = BucketGate(interval)
    assert gate.failed("NoSuchBucket", "no such bucket", refusal=True, now=now)
    return gate


def fail(gate: BucketGate, now: float, *, refusal: bool = False) -> bool:
    """Let one request fail."""
    return gate.failed("SlowDown", "slow down", refusal=refusal, now=now)


def test_open_gate_admits_all() -> None:
    """The usual case costs nothing."""
    gate = BucketGate(INTERVAL)

    assert all(gate.admits(0.0) for _ in range(1000))
    assert gate.take_report() == 0


def test_first_refusal_closes() -> None:
    """A missing bucket must not cost a request for each of its files."""
    gate = closed()

    assert gate.state is GateState.CLOSED
    assert not any(gate.admits(1.0) for _ in range(1000))
    assert gate.take_report() == 1000
    assert gate.take_report() == 0
    assert (gate.code, gate.reason) == ("NoSuchBucket", "no such bucket")


@pytest.mark.parametrize("refusal", [True, False])
def test_proven_bucket_takes_five_failures_in_a_row(refusal: bool) -> None:  # noqa: FBT001 - a table
    """One denied prefix or one lost answer says nothing of the bucket."""
    gate = BucketGate(INTERVAL)
    gate.succeeded()

    assert [fail(gate, 0.0, refusal=refusal) for _ in range(4)] == [False] * 4
    gate.succeeded()
    assert [fail(gate, 0.0, refusal=refusal) for _ in range(5)] == [False] * 4 + [True]


def test_one_file_probes_after_the_pause() -> None:
    """Half an interval early, so that the next scan is not just too soon."""
    gate = closed()

    assert not gate.admits(29.9)
    assert gate.admits(30.0)
    assert gate.state is GateState.PROBE
    assert not gate.admits(30.0)


def test_probe_that_succeeds_opens() -> None:
    """It goes on by itself; nobody has to say so."""
    gate = closed()
    assert gate.admits(40.0)

    assert gate.succeeded()

    assert gate.admits(40.0)
    assert not gate.succeeded()


def test_probe_that_says_nothing_is_followed_by_another() -> None:
    """Its file may vanish or change; a bucket must not stay shut for that."""
    gate = closed()
    assert gate.admits(30.0)

    assert not gate.admits(59.0)
    assert gate.admits(60.0)


def test_pause_doubles_up_to_a_bound() -> None:
    """A bucket that is created after a week is noticed within minutes."""
    gate, now, pauses = closed(), 0.0, []
    for _ in range(8):
        start = now
        while not gate.admits(now):
            now += 1.0
        pauses.append(now - start)
        fail(gate, now)

    assert pauses == [30.0, 90.0, 210.0, 270.0, 270.0, 270.0, 270.0, 270.0]


@pytest.mark.parametrize("interval", [0.05, 1.0, 60.0, 3600.0, 86400.0])
def test_gate_that_stays_closed_for_years_still_works(interval: float) -> None:
    """A daemon must survive a forgotten bucket, and never probe twice in a moment."""
    gate, now = closed(interval=interval), 0.0
    for _ in range(5000):
        assert not gate.admits(now), "no pause at all"
        now += LONGEST_PAUSE
        assert gate.admits(now)
        fail(gate, now)


def test_failures_of_what_was_under_way_do_not_prolong_the_pause() -> None:
    """Two hundred files in flight fail together: that is one outage, not two hundred."""
    gate = closed()
    for _ in range(200):
        assert fail(gate, 1.0)

    assert gate.admits(30.0)


def test_hurry_lets_the_next_file_probe() -> None:
    """Two minutes before the machine goes there is no later."""
    gate = closed(now=1000.0)
    fail(gate, 1000.0)

    gate.hurry()

    assert gate.admits(1000.0)
    assert not gate.admits(1000.0)


def test_report_after_recovery_still_says_why() -> None:
    """The line that counts the files held back must name the cause, though it is over."""
    gate = closed()
    gate.admits(1.0)
    gate.admits(30.0)
    gate.succeeded()

    assert gate.reason == "no such bucket"
    assert gate.take_report() == 1
    gate.succeeded()
    assert gate.reason == ""


events = st.lists(
    st.tuples(
        st.sampled_from(["admit", "succeed", "fail", "refuse", "hurry"]),
        st.floats(min_value=0.0, max_value=100.0),
    ),
    max_size=60,
)


@given(events)
def test_closed_gate_admits_at_most_one_a_pause(story: list[tuple[str, float]]) -> None:
    """The bound on what a dead bucket costs, whatever happens in whatever order."""
    gate, now = BucketGate(INTERVAL), 0.0
    probed_at: float | None = None
    for event, passed in story:
        now += passed
        was_open = gate.state is GateState.OPEN
        if event == "admit":
            admitted = gate.admits(now)
            assert admitted or not was_open
            if admitted and not was_open:
                assert probed_at is None or now - probed_at >= INTERVAL / 2
                probed_at = now
        elif event == "succeed":
            assert gate.succeeded() is not was_open
            assert gate.state is GateState.OPEN
            probed_at = None
        elif event == "hurry":
            gate.hurry()
            probed_at = None
        else:
            assert fail(gate, now, refusal=event == "refuse") is (gate.state is GateState.CLOSED)
