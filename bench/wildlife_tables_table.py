"""From the measurements of single runs to the table of `bench.wildlife_tables`. Pure.

What is wanted is memory that does not grow with the rows, so each row of the table says by how much
it grew since the fewest rows of the same way.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.markdown import goals_met, set_rows

STATE, STRAIGHTFORWARD = "state", "straightforward"
GROWTH_GOAL_MIB = 64
RSS_GOAL_MIB = 400
"""The function has 512 MB."""

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one run took; `fault` says what is wrong with its table."""

    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    file_bytes: int
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way with so many rows: medians over the rounds, the highest peak of memory."""

    rows: int
    way: str
    cost: Cost
    rounds: int
    grown_bytes: int
    """Since the fewest rows."""
    rss_ratio: float | None
    """To the straightforward way; None of that one, and where it was not measured."""

    @property
    def goals(self) -> Mapping[str, bool]:
        """The goals of the state, and whether they are met; empty for the other way."""
        if self.way != STATE:
            return {}
        return {
            f"growth <= {GROWTH_GOAL_MIB} MiB": self.grown_bytes <= GROWTH_GOAL_MIB * _MIB,
            f"peak <= {RSS_GOAL_MIB} MiB": self.cost.peak_rss_bytes <= RSS_GOAL_MIB * _MIB,
        }


def summarise(costs: Mapping[tuple[int, str], Sequence[Cost]]) -> Sequence[Row]:
    """Make a row for each number of rows and way; the costs are those of the rounds."""
    middle = {key: _middle(each) for key, each in costs.items()}
    return [
        Row(
            rows=rows,
            way=way,
            cost=cost,
            rounds=len(costs[rows, way]),
            grown_bytes=cost.peak_rss_bytes - _fewest(middle, way).peak_rss_bytes,
            rss_ratio=_ratio(cost, middle.get((rows, STRAIGHTFORWARD))) if way == STATE else None,
        )
        for (rows, way), cost in middle.items()
    ]


def _middle(costs: Sequence[Cost]) -> Cost:
    return Cost(
        wall_seconds=median(cost.wall_seconds for cost in costs),
        cpu_seconds=median(cost.cpu_seconds for cost in costs),
        peak_rss_bytes=max(cost.peak_rss_bytes for cost in costs),
        file_bytes=max(cost.file_bytes for cost in costs),
        fault="; ".join(filter(None, (cost.fault for cost in costs))),
    )


def _fewest(costs: Mapping[tuple[int, str], Cost], way: str) -> Cost:
    return costs[min(key for key in costs if key[1] == way)]


def _ratio(cost: Cost, other: Cost | None) -> float | None:
    return None if other is None else cost.peak_rss_bytes / other.peak_rss_bytes


_COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("way", lambda row: row.way),
    ("rows", lambda row: f"{row.rows:,}"),
    ("wall s", lambda row: f"{row.cost.wall_seconds:.1f}"),
    ("CPU s", lambda row: f"{row.cost.cpu_seconds:.1f}"),
    ("rows/s", lambda row: f"{row.rows / row.cost.wall_seconds:,.0f}"),
    ("peak MiB", lambda row: f"{row.cost.peak_rss_bytes / _MIB:.0f}"),
    ("grown MiB", lambda row: f"{row.grown_bytes / _MIB:.0f}"),
    ("peak x", lambda row: "-" if row.rss_ratio is None else f"{row.rss_ratio:.2f}"),
    ("file MiB", lambda row: f"{row.cost.file_bytes / _MIB:.1f}"),
    ("verdict", lambda row: row.cost.fault or "ok"),
)


def render(rows: Sequence[Row]) -> str:
    """Set the rows as a table for people, which is Markdown at the same time."""
    return set_rows(_COLUMNS, rows, text_columns=1)


def render_goals(rows: Sequence[Row]) -> str:
    """Say of each row of the state which goals it meets."""
    return "\n".join(goals_met(f"{row.rows:,} rows", row.goals) for row in rows if row.goals)
