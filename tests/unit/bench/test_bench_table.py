from dataclasses import replace

import pytest

from bench.table import Measurement, Row, Verdict, render, summarise

RUN = Measurement(
    scenario="A",
    tool="s5cmd",
    round=1,
    files=100,
    wall_seconds=2.0,
    cpu_seconds=1.0,
    peak_rss_bytes=50 << 20,
    requests=100,
    received_bytes=100 << 12,
    stub_cpu_seconds=0.5,
    stub_procs=1,
)


def only(rows: list[Row], tool: str) -> Row:
    """Find the one row of a tool."""
    (row,) = [row for row in rows if row.tool == tool]
    return row


@pytest.mark.parametrize(
    ("stub_cpu", "procs", "fault", "verdict"),
    [
        (1.8, 1, "", Verdict.COUNTS),
        (1.81, 1, "", Verdict.VOID),
        (1.81, 2, "", Verdict.COUNTS),
        (3.61, 2, "", Verdict.VOID),
        (0.1, 1, "2 files left on disk", Verdict.FAILED),
        (2.0, 1, "2 files left on disk", Verdict.FAILED),
    ],
)
def test_a_run_counts_only_when_the_stub_had_time_and_the_work_was_done(
    stub_cpu: float, procs: int, fault: str, verdict: Verdict
) -> None:
    """A saturated stub or undone work would otherwise pass for the client's speed."""
    run = replace(RUN, stub_cpu_seconds=stub_cpu, stub_procs=procs, fault=fault)

    assert run.verdict is verdict


def test_medians_leave_out_void_runs() -> None:
    """One void round must not shift the figures of the others."""
    runs = [
        replace(RUN, wall_seconds=2.0),
        replace(RUN, wall_seconds=4.0),
        replace(RUN, wall_seconds=0.5, stub_cpu_seconds=0.5),
    ]

    (row,) = summarise(runs)

    assert (row.wall_seconds, row.counted, row.rounds) == (3.0, 2, 3)
    assert row.verdict is Verdict.COUNTS


def test_a_row_of_void_runs_is_void_and_has_no_ratio() -> None:
    """A ratio from a saturated stub would be a claim about the stub."""
    ours = replace(RUN, tool="towpath", wall_seconds=0.5)

    rows = summarise([RUN, ours])

    row = only(rows, "towpath")
    assert (row.verdict, row.counted) == (Verdict.VOID, 0)
    assert (row.speed_ratio, row.cpu_ratio) == (None, None)


def test_one_failed_run_fails_its_row() -> None:
    """A tool that is wrong once in three runs has no speed worth comparing."""
    rows = summarise([RUN, replace(RUN, round=2, fault="exit status 1")])

    assert [row.verdict for row in rows] == [Verdict.FAILED]
    assert rows[0].speed_ratio is None


def test_ratios_compare_within_one_scenario() -> None:
    """Faster is above 1 in speed, cheaper below 1 in CPU, and scenarios never mix."""
    ours = replace(RUN, tool="towpath", wall_seconds=4.0, cpu_seconds=3.0)
    alone = replace(ours, scenario="B")

    rows = summarise([ours, RUN, alone])

    assert (rows[0].speed_ratio, rows[0].cpu_ratio) == (0.5, 3.0)
    assert (rows[1].speed_ratio, rows[1].cpu_ratio) == (1.0, 1.0)
    assert (rows[2].scenario, rows[2].speed_ratio) == ("B", None)


def test_ratios_need_a_reference_that_counts() -> None:
    """A void or failed s5cmd is no yardstick."""
    ours = replace(RUN, tool="towpath")

    for spoilt in (replace(RUN, stub_cpu_seconds=2.0), replace(RUN, fault="exit status 1")):
        row = only(summarise([spoilt, ours]), "towpath")

        assert (row.verdict, row.speed_ratio) == (Verdict.COUNTS, None)


def test_memory_is_the_highest_peak() -> None:
    """A limit that is broken once is broken; the median would hide it."""
    runs = [replace(RUN, peak_rss_bytes=size << 20) for size in (10, 90, 20)]

    (row,) = summarise(runs)

    assert row.peak_rss_bytes == 90 << 20


def test_the_table_lines_up_and_names_void_rows() -> None:
    """People read it in a terminal and paste it into the documentation."""
    void = replace(RUN, tool="towpath", stub_cpu_seconds=1.9)

    lines = render(summarise([RUN, void])).splitlines()

    assert len(lines) == 4
    assert {len(line) for line in lines} == {len(lines[0])}
    assert [cell.strip() for cell in lines[3].split("|")[-4:-1]] == ["-", "0/1", "void"]
