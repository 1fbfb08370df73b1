import pytest

from daemons.ingester.speech.progress import Pace, Progress, estimate, format_left


def at(pace: Pace, in_chunk_seconds: float) -> Progress:
    """Return the progress in the second of three chunks of 100 s."""
    return estimate(
        pace,
        chunk=(2, 3),
        before_seconds=100,
        chunk_seconds=100,
        later_seconds=100,
        in_chunk_seconds=in_chunk_seconds,
    )


def test_no_time_is_named_before_one_is_known() -> None:
    """A number that was made up is worse than none."""
    progress = at(Pace(), 50)

    assert progress.left_seconds is None
    assert progress.percent == 33
    assert format_left(progress.left_seconds) == "time left not known yet"


@pytest.mark.parametrize(
    ("in_chunk", "left", "percent"), [(0, 100, 33), (25, 75, 50), (45, 55, 63), (500, 55, 63)]
)
def test_the_time_left_runs_down_and_never_below_what_is_left(
    in_chunk: float, left: float, percent: int
) -> None:
    """A chunk that takes longer than the others still takes a while."""
    pace = Pace()
    pace.note(audio_seconds=100, work_seconds=50)

    progress = at(pace, in_chunk)

    assert progress.left_seconds == pytest.approx(left)
    assert progress.percent == percent


def test_the_pace_follows_the_machine() -> None:
    """Another program may take the machine over in the middle of the night."""
    pace = Pace()
    pace.note(100, 50)
    pace.note(100, 150)
    assert pace.ratio == pytest.approx(1.0)
    pace.note(0, 10)
    assert pace.ratio == pytest.approx(1.0)


def test_nothing_divides_by_zero() -> None:
    """A test double takes no time at all."""
    pace = Pace()
    pace.note(100, 0)
    assert at(pace, 0).left_seconds == 0
    assert Progress(1, 1, 0, 0, None).percent == 100


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "about 5 s left"),
        (43, "about 45 s left"),
        (60, "about 1 min left"),
        (1234, "about 21 min left"),
        (3599, "about 1 h 00 min left"),
        (7500, "about 2 h 05 min left"),
    ],
)
def test_a_time_is_no_finer_than_it_is_known(seconds: float, text: str) -> None:
    """`1234.56 s` would be a lie."""
    assert format_left(seconds) == text
