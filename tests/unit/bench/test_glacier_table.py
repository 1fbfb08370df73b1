from dataclasses import replace

import pytest

from bench.glacier_table import REFERENCE, Cost, Row, render, render_goals, summarise

COST = Cost(
    wall_seconds=30.0,
    cpu_seconds=25.0,
    peak_rss_bytes=2_000_000_000,
    fetched_bytes=600_000_000,
    requests=5,
)
SMALL = replace(COST, peak_rss_bytes=300_000_000, fetched_bytes=90_000_000)
OURS = "towpath, windows"


def row(ours: Cost, theirs: Cost = COST) -> Row:
    """Summarise one round, and return our row of it."""
    return summarise("a region", [{REFERENCE: theirs, OURS: ours}], {OURS: False})[1]


def test_ratios_are_those_to_the_straightforward_way() -> None:
    """A figure means something beside another of the same run."""
    ours = row(SMALL)

    assert ours.bytes_ratio == pytest.approx(0.15)
    assert ours.rss_ratio == pytest.approx(0.15)
    assert all(ours.goals.values())
    assert "bytes <= 0.25 yes, memory <= 0.5 yes, differing <= 1% yes" in render_goals([ours])


@pytest.mark.parametrize(
    ("ours", "goal"),
    [
        (replace(SMALL, fetched_bytes=150_000_001), "bytes <= 0.25"),
        (replace(SMALL, peak_rss_bytes=1_000_000_001), "memory <= 0.5"),
        (replace(SMALL, differing=0.011), "differing <= 1%"),
    ],
)
def test_a_goal_that_is_missed_is_told(ours: Cost, goal: str) -> None:
    """A benchmark that cannot fail proves nothing."""
    assert [name for name, met in row(ours).goals.items() if not met] == [goal]


def test_whole_tiles_that_are_wanted_are_no_waste() -> None:
    """Who asks for the raw tiles gets them; the memory is bounded all the same."""
    rounds = [{REFERENCE: COST, OURS: COST}]

    assert list(summarise("a region", rounds, {OURS: True})[1].goals) == [
        "memory <= 0.5",
        "differing <= 1%",
    ]


def test_medians_are_taken_over_the_rounds_and_peaks_are_the_highest() -> None:
    """One disturbed round must shift no time, and hide neither memory nor a fault."""
    rounds = [
        {REFERENCE: replace(COST, wall_seconds=seconds, peak_rss_bytes=peak, fault=fault)}
        for seconds, peak, fault in ((1.0, 10, ""), (9.0, 30, "exit status 1"), (2.0, 20, ""))
    ]

    [found] = summarise("a region", rounds, {})

    assert (found.cost.wall_seconds, found.cost.peak_rss_bytes) == (2.0, 30)
    assert (found.cost.fault, found.rounds, found.goals) == ("exit status 1", 3, {})
    assert "exit status 1" in render([found])
