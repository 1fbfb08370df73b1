import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.schedule import LastPass, Pace, back_off_seconds, next_pass_due

PACE = Pace(interval_seconds=60, first_back_off_seconds=1, longest_back_off_seconds=300)
CHANCES = st.floats(min_value=0, max_value=1, exclude_max=True)


@pytest.mark.parametrize(
    ("last", "now", "due"),
    [
        (None, 7.0, 7.0),
        (LastPass(started_at=0, ended_at=5, failures=0), 5.0, 60.0),
        (LastPass(started_at=0, ended_at=75, failures=0), 75.0, 75.0),
        (LastPass(started_at=0, ended_at=5, failures=3), 5.0, 60.0),
        (LastPass(started_at=0, ended_at=5, failures=8), 5.0, 133.0),
        (LastPass(started_at=0, ended_at=5, failures=99), 5.0, 305.0),
    ],
)
def test_next_pass_follows_the_table(last: LastPass | None, now: float, due: float) -> None:
    """Rhythm, no catching up, and slower after failures: the table of the module."""
    assert next_pass_due(last, PACE, now=now, chance=0.0) == due


@given(st.integers(min_value=-3, max_value=10_000), CHANCES)
def test_back_off_is_bounded_and_random(failures: int, chance: float) -> None:
    """However long an outage lasts, the daemon looks again within the limit, and not in step."""
    delay = back_off_seconds(failures, PACE, chance=chance)

    full = back_off_seconds(failures, PACE, chance=0.0)
    assert 0 <= full <= 300
    assert full / 2 <= delay <= full
    assert (delay == 0) == (failures <= 0)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.integers(0, 50), CHANCES, st.floats(0, 1e6))
def test_a_pass_is_never_due_in_the_past(
    started_at: float, work: float, failures: int, chance: float, later: float
) -> None:
    """A due time in the past would make the caller wait a negative time."""
    last = LastPass(started_at, started_at + work, failures)
    now = started_at + work + later

    assert next_pass_due(last, PACE, now=now, chance=chance) >= now
