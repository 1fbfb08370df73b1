from dataclasses import replace

from bench.wildlife_tables_table import (
    STATE,
    STRAIGHTFORWARD,
    Cost,
    render,
    render_goals,
    summarise,
)

_MIB = 1 << 20
COST = Cost(wall_seconds=10.0, cpu_seconds=9.0, peak_rss_bytes=100 * _MIB, file_bytes=_MIB)


def test_growth_is_since_the_fewest_rows_of_the_same_way() -> None:
    """Bounded memory shows in what more rows add, not in the peak alone."""
    costs = {
        (1000, STATE): [COST],
        (1000, STRAIGHTFORWARD): [replace(COST, peak_rss_bytes=90 * _MIB)],
        (9000, STRAIGHTFORWARD): [replace(COST, peak_rss_bytes=800 * _MIB)],
        (9000, STATE): [replace(COST, peak_rss_bytes=164 * _MIB), COST],
    }

    rows = {(row.rows, row.way): row for row in summarise(costs)}

    assert rows[9000, STATE].grown_bytes == 64 * _MIB
    assert rows[9000, STRAIGHTFORWARD].grown_bytes == 710 * _MIB
    assert (rows[9000, STATE].rss_ratio, rows[9000, STATE].rounds) == (164 / 800, 2)
    assert rows[9000, STRAIGHTFORWARD].goals == {}
    assert "9,000 rows: growth <= 64 MiB yes, peak <= 400 MiB yes" in render_goals([*rows.values()])


def test_a_goal_that_is_missed_is_told() -> None:
    """A benchmark that cannot fail proves nothing."""
    costs = {
        (1, STATE): [COST],
        (2, STATE): [replace(COST, peak_rss_bytes=401 * _MIB, fault="rows differ")],
        (3, STATE): [replace(COST, peak_rss_bytes=165 * _MIB)],
    }

    few, many, more = summarise(costs)

    assert few.rss_ratio is None
    assert not any(many.goals.values())
    assert [*more.goals.values()] == [False, True]
    assert "rows differ" in render([few, many])
