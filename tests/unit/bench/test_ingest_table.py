from dataclasses import replace

import pytest

from bench.ingest_table import (
    HANDFUL,
    RSS_GOAL_BYTES,
    Cost,
    Row,
    Task,
    render,
    render_goals,
    summarise,
)
from bench.table import Verdict

COST = Cost(
    wall_seconds=4.0,
    cpu_seconds=3.0,
    peak_rss_bytes=100_000_000,
    requests=10,
    stub_cpu_seconds=0.5,
)
QUICK = replace(COST, wall_seconds=2.0)
AWS = Task("gap report", "aws s3 sync --dryrun, up", ("aws up",))
OURS = Task("gap report", "towpath", ("look",), ours=True)
NIGHTS = (
    Task("night", "aws s3 sync --dryrun, down and up", ("aws down", "aws up")),
    Task("night", "towpath", ("night",), ours=True),
)


def row(ours: Cost, aws: Cost = COST) -> Row:
    """Summarise one round, and return our row of it."""
    return summarise("site", 10, (AWS, OURS), [{"aws up": aws, "look": ours}])[1]


def test_a_task_is_the_sum_of_its_commands() -> None:
    """A night of a tool that goes one way at a time is two processes; its peak is the larger."""
    up = replace(COST, wall_seconds=6.0, peak_rss_bytes=300_000_000, requests=11)

    aws, ours = summarise("site", 10, NIGHTS, [{"aws down": COST, "aws up": up, "night": COST}])

    assert (aws.cost.wall_seconds, aws.cost.cpu_seconds, aws.cost.requests) == (10.0, 6.0, 21)
    assert aws.cost.peak_rss_bytes == 300_000_000
    assert ours.time_ratio == pytest.approx(0.4)


def test_medians_are_taken_over_the_rounds_and_peaks_are_the_highest() -> None:
    """One disturbed round must shift no time, and hide no memory."""
    rounds = [
        {"look": replace(COST, wall_seconds=wall, peak_rss_bytes=peak)}
        for wall, peak in ((1.0, 5), (9.0, 7), (2.0, 6))
    ]

    (found,) = summarise("site", 10, (OURS,), rounds)

    assert (found.cost.wall_seconds, found.cost.peak_rss_bytes) == (2.0, 7)


@pytest.mark.parametrize(
    ("cost", "verdict"),
    [
        (replace(COST, stub_cpu_seconds=3.6), Verdict.COUNTS),
        (replace(COST, stub_cpu_seconds=3.61), Verdict.VOID),
        (replace(COST, fault="it found a difference"), Verdict.FAILED),
    ],
)
def test_a_row_counts_only_when_the_stub_had_time_and_all_was_in_step(
    cost: Cost, verdict: Verdict
) -> None:
    """A saturated stub, or a comparison that was not made, would pass for speed."""
    found = row(cost)

    assert found.verdict is verdict
    assert (found.time_ratio is None) is (verdict is not Verdict.COUNTS)


def test_without_a_reference_that_counts_there_is_no_ratio() -> None:
    """A ratio to a failed run would flatter, or say nothing."""
    found = row(COST, replace(COST, fault="killed at the time limit"))

    assert found.time_ratio is None
    assert not any("aws" in goal for goal in found.goals)


@pytest.mark.parametrize(
    ("cost", "met"),
    [
        (COST, [True, True, False]),
        (QUICK, [True, True, True]),
        (replace(QUICK, requests=10 + HANDFUL + 1), [False, True, True]),
        (replace(QUICK, peak_rss_bytes=RSS_GOAL_BYTES + 1), [True, False, True]),
    ],
)
def test_each_goal_is_judged_by_its_own_figure(cost: Cost, met: list[bool]) -> None:
    """What is promised is said to be missed where it is."""
    assert list(row(cost).goals.values()) == met


def test_a_night_lists_twice() -> None:
    """Else two listings would count as one that is wasteful."""
    _, ours = summarise(
        "site",
        10,
        NIGHTS,
        [dict.fromkeys(("aws down", "aws up"), COST) | {"night": replace(COST, requests=21)}],
    )

    assert next(iter(ours.goals.values()))
    assert " 1.05 |" in render([ours])


def test_the_table_has_a_line_for_each_row_and_goals_are_said_of_ours() -> None:
    """It is pasted into the documentation as it is."""
    rows = summarise("site", 10, (AWS, OURS), [{"aws up": COST, "look": COST}])

    lines = render(rows).splitlines()

    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 4
    assert render_goals(rows).startswith("site, towpath: requests <= pages + 10 yes")
    assert "NO" in render_goals(rows)
