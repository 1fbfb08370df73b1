from collections.abc import Callable, Mapping

import pytest

from shared.handshake import lease as steps
from shared.handshake.layout import JobFolder
from shared.handshake.lease import Lease, LeaseState, LeaseWatch, Owner
from tests.support.leasing import CID, JOB, RUNOUT, lease, owner

CLAIMED, RELEASED = LeaseState.CLAIMED, LeaseState.RELEASED
COMMITTED, PARKED = LeaseState.COMMITTED, LeaseState.PARKED

STEPS: Mapping[str, Callable[[Lease], Lease]] = {
    "claim": lambda before: steps.claim(CID, JOB, owner("b"), before, "later"),
    "renew": steps.renew,
    "release": lambda before: steps.release(before, "stopping", "later", failed=False),
    "fail": lambda before: steps.release(before, "no\nluck", "later", failed=True),
    "commit": lambda before: steps.commit(before, RUNOUT, "later"),
    "park": lambda before: steps.park(before, "no luck", "later"),
    "put back": lambda before: steps.put_back(before, owner("person"), "later"),
}
ALLOWED: Mapping[tuple[LeaseState, str], LeaseState] = {
    (CLAIMED, "claim"): CLAIMED,
    (CLAIMED, "renew"): CLAIMED,
    (CLAIMED, "release"): RELEASED,
    (CLAIMED, "fail"): RELEASED,
    (CLAIMED, "commit"): COMMITTED,
    (CLAIMED, "park"): PARKED,
    (RELEASED, "claim"): CLAIMED,
    (PARKED, "put back"): RELEASED,
}


@pytest.mark.parametrize("state", LeaseState)
@pytest.mark.parametrize("step", STEPS)
def test_only_the_steps_of_the_diagram_are_taken(state: LeaseState, step: str) -> None:
    """Above all: no step leads out of committed, whoever asks for it."""
    before = lease(state)
    if (state, step) not in ALLOWED:
        with pytest.raises(ValueError, match=f"02104 is {state}; it takes no such step"):
            STEPS[step](before)
        return

    after = STEPS[step](before)

    assert after.state is ALLOWED[state, step]
    assert after.beat == before.beat + 1
    assert after.generation == before.generation + (step == "claim")
    assert (after.runout is None) == (after.state is not COMMITTED)
    assert not after.is_the_write(before)


@pytest.mark.parametrize(
    ("step", "attempts"),
    [("claim", 1), ("renew", 1), ("release", 1), ("fail", 2), ("park", 2), ("commit", 1)],
)
def test_only_a_failure_of_the_job_counts_as_an_attempt(step: str, attempts: int) -> None:
    """A job that is moved about by spot interruptions all day must not be parked for it."""
    assert STEPS[step](lease(attempts=1)).attempts == attempts


def test_first_claim_is_generation_one() -> None:
    """What was never claimed has no owner to be afraid of."""
    first = steps.claim(CID, JOB, owner("a"), None, "now")

    assert (first.generation, first.beat, first.attempts) == (1, 1, 0)
    assert first.state is CLAIMED


def test_claim_is_for_the_job_that_the_claimer_found() -> None:
    """A CID that was sent anew on another day is computed from those seeds."""
    other = JobFolder("2026-03-02", CID)

    taken = steps.claim(CID, other, owner("b"), lease(RELEASED, reason="stopping"), "later")

    assert (taken.job, taken.owner, taken.reason) == (other, owner("b"), "")


def test_put_back_gives_all_attempts_again() -> None:
    """Whoever puts a job back has mended it."""
    back = steps.put_back(lease(PARKED, attempts=3), owner("person"), "later")

    assert (back.attempts, back.owner) == (0, owner("person"))


def test_reason_is_one_line_from_the_beginning() -> None:
    """What is kept in memory and what is read back must not differ."""
    failed = STEPS["fail"](lease())

    assert failed.reason == "no luck"


@pytest.mark.parametrize("name", ["", "two words", "\n", "a" * 201, "caf\xe9"])
def test_owner_without_a_proper_name_is_refused(name: str) -> None:
    """Two owners with empty names would be one and the same."""
    with pytest.raises(ValueError, match="names no owner"):
        Owner(name, "instance", "host")
    with pytest.raises(ValueError, match="names no owner"):
        Owner("process", name, "host")


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (lease(), True),
        (lease(since="another clock", reason="other words"), True),
        (lease(beat=18), False),
        (lease(generation=4), False),
        (lease(owner=owner("b")), False),
        (lease(RELEASED), False),
        (lease(COMMITTED), False),
    ],
)
def test_write_is_known_by_process_generation_and_beat(other: Lease, *, same: bool) -> None:
    """After a lost answer this decides whether it was ours."""
    assert lease().is_the_write(other) is same


def watch() -> LeaseWatch:
    """Observe with two minutes to live, and a minute after the first failure."""
    return LeaseWatch(time_to_live=120, first_delay=60, longest_delay=600)


def test_claimed_lease_expires_when_it_stands_still() -> None:
    """Its owner renews four times in that time."""
    observer = watch()

    assert observer.claimable_at(lease(), "e1", now=1000) == 1120
    assert observer.claimable_at(lease(), "e1", now=1100) == 1120
    assert observer.claimable_at(lease(beat=18), "e2", now=1119) == 1239


@pytest.mark.parametrize(
    ("attempts", "delay"), [(0, 0), (1, 60), (2, 120), (3, 240), (5, 600), (10**15, 600)]
)
def test_failed_job_waits_longer_each_time(attempts: int, delay: float) -> None:
    """A job that fails must not keep every watcher busy."""
    found = watch().claimable_at(lease(RELEASED, attempts=attempts), "e1", now=1000)

    assert found == 1000 + delay


@pytest.mark.parametrize("state", [PARKED, COMMITTED])
def test_what_has_ended_is_never_claimed(state: LeaseState) -> None:
    """However long it has stood still."""
    observer = watch()

    assert observer.claimable_at(lease(state), "e1", now=0) is None
    assert observer.claimable_at(lease(state), "e1", now=1e9) is None


def test_put_back_job_is_claimed_at_once() -> None:
    """It was remembered as parked; nothing of that is left."""
    observer = watch()
    observer.claimable_at(lease(PARKED), "e1", now=1000)

    assert observer.claimable_at(lease(RELEASED, attempts=0), "e2", now=1001) == 1001


def test_forgotten_cid_begins_anew() -> None:
    """Memory does not grow with the jobs that are done."""
    observer = watch()
    observer.claimable_at(lease(), "e1", now=1000)

    observer.forget(CID)
    observer.forget(CID)

    assert observer.claimable_at(lease(), "e1", now=2000) == 2120


@pytest.mark.parametrize("since", ["1970-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00", "?"])
def test_wall_clocks_decide_nothing(since: str) -> None:
    """Clocks of two machines are hours apart, or a record says anything at all."""
    assert watch().claimable_at(lease(since=since), "e1", now=5) == 125
