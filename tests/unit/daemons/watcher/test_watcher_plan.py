import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.watcher.plan import (
    Blamed,
    ClaimWindow,
    Halted,
    Leave,
    Record,
    Retry,
    StepEnd,
    is_own_fault,
    judge_lease,
    judge_step,
)
from shared.handshake.lease import Lease, LeaseState
from tests.support.leasing import lease


def end(**odd: object) -> StepEnd:
    """The end of a step that failed by exit status 1, with something odd."""
    facts: dict[str, object] = {
        "step": "sidecar",
        "ok": False,
        "exit_status": 1,
        "signal": None,
        "timed_out": False,
        "fault": False,
        "reason": "exit status 1",
        "tail": "",
        "built_in": True,
    }
    return StepEnd(**{**facts, **odd})  # type: ignore[arg-type]  # a table row


@pytest.mark.parametrize(
    ("odd", "status"),
    [
        ({"fault": True, "exit_status": None}, 2),
        ({"exit_status": 3}, 3),
        ({"exit_status": 6}, 6),
        ({"exit_status": 7}, 7),
        ({"exit_status": None, "signal": "SIGTERM"}, 6),
        ({"tail": "/usr/bin/python3: No module named pyarrow"}, 2),
        ({"exit_status": 2, "tail": "python3: can't open file '/x.py'"}, 2),
        ({"exit_status": 2, "tail": "NEOWISE_YEARS 'x' is not valid; allowed: year1"}, 2),
        ({"tail": "ClientError: An error occurred (ExpiredToken) when calling"}, 3),
        ({"tail": "socket.gaierror: [Errno -3] Temporary failure in name resolution"}, 6),
        ({"tail": "OSError: When reading: AWS Error NETWORK_CONNECTION, curlCode: 6"}, 6),
        ({"tail": "OSError: [Errno 28] No space left on device"}, 7),
        # The job's own fault, whatever it looks like.
        ({}, None),
        ({"exit_status": 2}, None),
        # What the status of somebody's own command means, nobody knows; its words count.
        ({"exit_status": 3, "built_in": False}, None),
        ({"exit_status": 6, "built_in": False}, None),
        ({"exit_status": 7, "built_in": False}, None),
        ({"exit_status": 7, "built_in": False, "tail": "Connection refused"}, 6),
        ({"exit_status": None, "signal": "SIGTERM", "built_in": False}, 6),
        ({"exit_status": 137}, None),
        ({"exit_status": None, "signal": "SIGKILL"}, None),
        ({"exit_status": None, "signal": "SIGTERM", "timed_out": True}, None),
        ({"exit_status": None, "timed_out": True, "tail": "Connection refused"}, None),
        ({"tail": "Connection refused" + "\nretrying, went on" * 200}, None),
    ],
)
def test_a_step_is_blamed_only_for_what_is_its_own(
    odd: dict[str, object], status: int | None
) -> None:
    """What parks a job must be in the job: a night without network parks none."""
    judged = judge_step(end(**odd))

    if status is None:
        assert isinstance(judged, Blamed)
    else:
        assert isinstance(judged, Halted)
        assert judged.status == status


def test_a_step_that_went_well_is_nobodys_fault() -> None:
    """The tail of a good step is not read at all."""
    assert judge_step(end(ok=True, exit_status=0, tail="No space left on device")) is None


def test_the_reason_ends_with_the_last_line() -> None:
    """A person sees at once what the step said last, and whole lines of it in the report."""
    judged = judge_step(end(tail="Traceback\nValueError: row 7\n\n"))

    assert judged == Blamed(
        "sidecar",
        "step sidecar: exit status 1; ValueError: row 7",
        1,
        "Traceback\nValueError: row 7\n\n",
    )


@pytest.mark.parametrize(
    ("found", "ended", "claimable_at", "verdict"),
    [
        (None, False, None, Retry(10.0)),
        (lease(LeaseState.COMMITTED), False, None, Record()),
        (lease(LeaseState.PARKED), False, None, Leave()),
        (lease(LeaseState.CLAIMED), True, 99.0, Retry(10.0)),
        (lease(LeaseState.CLAIMED), False, 99.0, Retry(99.0)),
        (lease(LeaseState.RELEASED), False, 12.0, Retry(12.0)),
    ],
)
def test_a_lease_says_what_may_be_done(
    *,
    found: Lease | None,
    ended: bool,
    claimable_at: float | None,
    verdict: object,
) -> None:
    """Committed and parked are never claimed; the dead are not waited for."""
    assert judge_lease(found, ended=ended, claimable_at=claimable_at, now=10.0) == verdict


@pytest.mark.parametrize(
    ("halts", "others_went_well", "own"),
    [(0, True, False), (2, True, False), (3, True, True), (3, False, False), (9, False, False)],
)
def test_a_halt_is_a_jobs_own_fault_when_only_it_halts(
    *,
    halts: int,
    others_went_well: bool,
    own: bool,
) -> None:
    """While nothing goes well, it is the network's fault, however often."""
    assert is_own_fault(halts=halts, attempts=3, others_went_well=others_went_well) is own


@given(
    outcomes=st.lists(st.booleans()),
    waiting=st.integers(1, 1000),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_the_window_is_bounded_and_picks_what_is_there(
    outcomes: list[bool], waiting: int, chance: float
) -> None:
    """However many watchers lose, they stay near the first CIDs."""
    window = ClaimWindow()
    for won in outcomes:
        window.won() if won else window.lost()

    assert 1 <= window.size <= 32
    assert 0 <= window.pick(waiting, chance) < min(window.size, waiting)


def test_nobody_else_means_strict_order() -> None:
    """One watcher alone takes the CIDs one after the other."""
    window = ClaimWindow()
    for _ in range(5):
        window.won()

    assert [window.pick(100, chance) for chance in (0.0, 0.5, 0.99)] == [0, 0, 0]
