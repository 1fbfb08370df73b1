"""The tables of the hand-over bench: what counts, and what a CID's share is."""

from dataclasses import replace

import pytest

from bench.handover_table import Measurement, Role, render, summarise
from bench.table import Verdict

ROLE = Role(
    processes=1,
    own_cpu_seconds=2.0,
    steps_cpu_seconds=1.0,
    peak_rss_bytes=90 << 20,
    requests={"put": 200, "list": 30, "sts": 10},
)
RUN = Measurement(
    watchers=4,
    round=1,
    cids=100,
    wall_seconds=10.0,
    roles={"dispatcher": ROLE, "watcher": replace(ROLE, processes=4)},
    requests=480,
    stub_cpu_seconds=1.0,
    stub_procs=1,
)


@pytest.mark.parametrize(
    ("run", "verdict"),
    [
        (RUN, Verdict.COUNTS),
        (replace(RUN, stub_cpu_seconds=9.5), Verdict.VOID),
        (replace(RUN, stub_cpu_seconds=9.5, stub_procs=2), Verdict.COUNTS),
        (replace(RUN, stub_cpu_seconds=9.5, fault="a CID is missing"), Verdict.FAILED),
    ],
)
def test_a_run_counts_only_when_it_proves_something(run: Measurement, verdict: Verdict) -> None:
    """A lost CID must fail the bench, and a saturated stub is not the daemons' speed."""
    assert run.verdict is verdict
    assert summarise([run])[0].verdict is verdict


def test_shares_are_those_of_one_cid() -> None:
    """The goal is in requests and seconds a CID, whatever the number of CIDs."""
    row = summarise([RUN])[0]

    assert (row.requests, row.cids_per_second, row.cpu_seconds) == (4.8, 10.0, 6.0)
    share = row.roles[1]
    assert (share.processes, share.own_cpu_ms, share.steps_cpu_ms) == (4, 20.0, 10.0)
    assert (share.requests, dict(share.by_kind)) == (2.4, {"list": 0.3, "put": 2.0, "sts": 0.1})


def test_void_runs_are_left_out_of_the_medians() -> None:
    """One disturbed run must not decide the figure."""
    runs = [RUN, replace(RUN, wall_seconds=1.0), replace(RUN, wall_seconds=12.0)]

    row = summarise(runs)[0]

    assert (row.counted, row.rounds, row.wall_seconds) == (2, 3, 11.0)


def test_rows_come_by_number_of_watchers() -> None:
    """Runs with other numbers of watchers are other rows, in the order in which they were run."""
    rows = summarise([RUN, replace(RUN, watchers=1), RUN])

    assert [(row.watchers, row.rounds) for row in rows] == [(4, 2), (1, 1)]


def test_tables_are_markdown() -> None:
    """They go into the documentation as they are."""
    whole, parts = render(summarise([RUN])).split("\n\n")

    assert [line.count("|") for line in whole.splitlines()] == [11, 11, 11]
    lines = parts.splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert [cell.strip() for cell in lines[3].split("|")[-4:-1]] == ["0.00", "0.30", "0.10"]
