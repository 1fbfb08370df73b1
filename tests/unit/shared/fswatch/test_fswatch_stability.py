from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.fswatch.stability import (
    FileIdentity,
    NotYet,
    Observation,
    Settled,
    StabilityRule,
    judge,
)

NS = 1_000_000_000
WALL = 1_700_000_000 * NS
RULE = StabilityRule(timedelta(seconds=2))
FLUSH = StabilityRule(timedelta(seconds=1), equal_looks_only=True)


def look(
    *, age: float, at: float = 100.0, wall: int | None = None, size: int = 7, inode: int = 1
) -> Observation:
    """A look at `at` on both clocks, at a file whose mtime is `age` seconds old by then."""
    wall_ns = WALL + round(at * NS) if wall is None else wall
    identity = FileIdentity(device=1, inode=inode, size=size, mtime_ns=wall_ns - round(age * NS))
    return Observation(identity, at, wall_ns)


def later(seen: Observation, seconds: float, *, step: float = 0.0) -> Observation:
    """The same file untouched, with the wall clock stepped in between."""
    wall_ns = seen.wall_ns + round((seconds + step) * NS)
    return Observation(seen.identity, seen.monotonic + seconds, wall_ns)


@pytest.mark.parametrize(
    ("age", "wait"),
    [
        (2.5, None),
        (2.000_000_001, None),
        (1.75, 0.25),
        (0.5, 1.5),
        (-0.5, 2.5),
        (3.0, None),
        (2.0, 1.0),
        (-1.5, 2.0),
        (-3600.25, 2.0),
    ],
    ids=[
        "old",
        "just old enough",
        "young",
        "younger",
        "a little in the future: the clocks differ",
        "whole second, old",
        "whole second, within the tolerance",
        "in the future",
        "far in the future",
    ],
)
def test_the_age_decides_at_the_first_look(age: float, wait: float | None) -> None:
    """The rows of the table that need no earlier look; `wait` is exact, so nobody looks in vain."""
    now = look(age=age)

    verdict = judge(None, now, RULE)

    if wait is None:
        assert verdict == Settled(now.identity)
    else:
        assert isinstance(verdict, NotYet)
        assert verdict.since == now
        assert verdict.look_again_at == pytest.approx(100.0 + wait)


def test_a_future_mtime_settles_once_equal_for_the_quiet_time() -> None:
    """A clock stepped back must not hold a file for as long as the step."""
    first = look(age=-3600.25)

    early = judge(first, later(first, 1.0), RULE)
    due = judge(first, later(first, 2.0), RULE)

    assert early == NotYet(102.0, first)
    assert due == Settled(first.identity)


def test_a_future_mtime_that_time_catches_up_with_keeps_its_wait() -> None:
    """The wait began when the mtime lay ahead; it does not begin anew when that has passed."""
    first = look(age=-1.5)

    assert judge(first, later(first, 1.0), RULE) == NotYet(102.0, first)
    assert judge(first, later(first, 2.0), RULE) == Settled(first.identity)


def test_growing_file_waits() -> None:
    """Each write moves the mtime, and the quiet time counts from there."""
    first = look(age=0.25)
    now = look(age=0.5, at=101.75, size=8)

    verdict = judge(first, now, RULE)

    assert isinstance(verdict, NotYet)
    assert verdict.since == now
    assert verdict.look_again_at == pytest.approx(103.25)


def test_a_change_that_the_mtime_hides_restarts_the_wait() -> None:
    """A copy that restores the old mtime of its source looks settled while it is being written."""
    first = look(age=0.25)
    now = look(age=5000.5, at=102.0, size=8)

    verdict = judge(first, now, RULE)

    assert verdict == NotYet(104.0, now)
    assert judge(now, later(now, 1.0), RULE) == NotYet(104.0, now)
    assert judge(now, later(now, 2.0), RULE) == Settled(now.identity)


def test_a_late_look_trusts_an_mtime_that_explains_the_change() -> None:
    """A consumer that was busy for an hour does not make a finished file wait again."""
    first = look(age=0.25)
    now = look(age=3599.5, at=3700.0, size=8)

    assert judge(first, now, RULE) == Settled(now.identity)


def test_a_clock_stepped_forward_ages_nothing() -> None:
    """An hour's step by the time daemon must not settle a file that was written just now."""
    first = look(age=0.25)

    verdict = judge(first, later(first, 0.5, step=3600.0), RULE)

    assert isinstance(verdict, NotYet)
    assert verdict.look_again_at == pytest.approx(101.75)


def test_a_clock_stepped_back_is_the_future_case() -> None:
    """After the step the mtime lies ahead, and the monotonic clock decides."""
    first = look(age=0.25)

    assert judge(first, later(first, 1.0, step=-3600.0), RULE) == NotYet(102.0, first)
    assert judge(first, later(first, 2.0, step=-3600.0), RULE) == Settled(first.identity)


def test_a_flush_ignores_the_mtime() -> None:
    """Two equal looks are the whole rule when the machine is about to vanish."""
    first = look(age=5000.5)

    verdict = judge(None, first, FLUSH)

    assert verdict == NotYet(101.0, first)
    assert judge(first, later(first, 1.0), FLUSH) == Settled(first.identity)


@pytest.mark.parametrize("field", ["device", "inode", "size", "mtime_ns"])
def test_any_change_of_identity_restarts_equal_looks(field: str) -> None:
    """A file replaced by rename is another file, even with the size and times of the first."""
    first = look(age=0.25)
    again = later(first, 5.0)
    changed = replace(again.identity, **{field: 99})

    verdict = judge(first, replace(again, identity=changed), FLUSH)

    assert isinstance(verdict, NotYet)
    assert verdict.look_again_at == 106.0
    assert verdict.since.identity == changed


seconds = st.floats(0, 100, allow_nan=False)
rules = st.builds(
    StabilityRule,
    quiet=st.timedeltas(timedelta(0), timedelta(seconds=30)),
    tolerance=st.timedeltas(timedelta(0), timedelta(seconds=2)),
    equal_looks_only=st.booleans(),
)
looks = st.builds(
    look,
    age=st.floats(-50, 100, allow_nan=False),
    at=st.floats(1, 1e6, allow_nan=False),
    size=st.integers(0, 2),
    inode=st.integers(1, 2),
)


@given(first=looks, rule=rules)
def test_an_untouched_file_settles_within_two_looks_and_no_sooner_than_told(
    first: Observation, rule: StabilityRule
) -> None:
    """`look_again_at` is neither in vain nor in the past."""
    verdict = judge(None, first, rule)
    if isinstance(verdict, Settled):
        return

    assert first.monotonic <= verdict.look_again_at
    limit = (rule.quiet + 2 * rule.tolerance).total_seconds() + 1e-6
    assert verdict.look_again_at - first.monotonic <= limit
    # A microsecond is far below what a timer keeps and above the rounding of the two clocks.
    second = later(first, verdict.look_again_at - first.monotonic + 1e-6)
    assert judge(verdict.since, second, rule) == Settled(first.identity)


@given(
    writes=st.lists(st.floats(0.01, 5), min_size=1, max_size=8),
    naps=st.lists(st.floats(0.01, 6), min_size=1, max_size=8),
    steps=st.lists(st.floats(-5, 5) | st.floats(-5000, 5000), min_size=7, max_size=7),
)
@example(writes=[1.0, 1.0, 1.0], naps=[1.0, 2.5, 1.0], steps=[1.0, *[0.0] * 6])
def test_nothing_settles_within_the_quiet_time_of_a_write_once_it_was_watched(
    writes: list[float], naps: list[float], steps: list[float]
) -> None:
    """Whatever the wall clock does between two looks, the quiet time really has passed."""
    write_times = [sum(writes[: n + 1]) for n in range(len(writes))]
    since: Observation | None = None
    at, wall_step = 0.0, 0.0
    # A step before the first look cannot be told from an older file.
    for nap, step in zip(naps, [0.0, *steps], strict=False):
        at += nap
        wall_step += step
        done = [n for n, moment in enumerate(write_times) if moment <= at]
        written_at = write_times[done[-1]] if done else 0.0
        identity = FileIdentity(1, 1, len(done), WALL + round(written_at * NS) + 1)
        now = Observation(identity, at, WALL + round((at + wall_step) * NS))

        verdict = judge(since, now, RULE)

        if isinstance(verdict, Settled):
            if since is not None and since.identity == identity:
                assert at - written_at >= 2.0 - 1e-6
            return
        since = verdict.since
