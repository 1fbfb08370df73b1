"""From the runs of `bench.wildlife_stage2` to its table. Pure.

Ratios are the naive way's figure divided by ours, so more is better.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.markdown import goals_met, set_rows, shown_ratio

OURS, NAIVE = "towpath, Stage2Post", "naive: dictionaries"
SECONDS_GOAL = 30.0
RSS_GOAL_BYTES = 1_000_000_000
_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one run took; `fault` says what is wrong with its result."""

    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    observations: int
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way: medians over the rounds, the highest peak of memory."""

    way: str
    detections: int
    cost: Cost
    rounds: int
    times_faster: float | None = None
    """The naive way's time by this one's."""
    times_smaller: float | None = None
    """The naive way's memory by this one's."""

    @property
    def goals(self) -> Mapping[str, bool]:
        """The goals of ours, and whether they are met; empty for the other."""
        if self.way != OURS:
            return {}
        return {
            f"wall <= {SECONDS_GOAL:g} s": self.cost.wall_seconds <= SECONDS_GOAL,
            f"memory <= {RSS_GOAL_BYTES / 1e9:g} GB": self.cost.peak_rss_bytes <= RSS_GOAL_BYTES,
            "same observations": not self.cost.fault,
        }


def summarise(detections: int, rounds: Sequence[Mapping[str, Cost]]) -> Sequence[Row]:
    """Make a row for each way; `rounds` are the costs by way."""
    costs = {way: _middle([each[way] for each in rounds]) for way in rounds[0]}
    naive = costs.get(NAIVE)
    return [
        Row(
            way=way,
            detections=detections,
            cost=cost,
            rounds=len(rounds),
            times_faster=naive.wall_seconds / cost.wall_seconds if naive else None,
            times_smaller=naive.peak_rss_bytes / cost.peak_rss_bytes if naive else None,
        )
        for way, cost in costs.items()
    ]


def _middle(costs: Sequence[Cost]) -> Cost:
    return Cost(
        wall_seconds=median(cost.wall_seconds for cost in costs),
        cpu_seconds=median(cost.cpu_seconds for cost in costs),
        peak_rss_bytes=max(cost.peak_rss_bytes for cost in costs),
        observations=costs[0].observations,
        fault="; ".join(filter(None, (cost.fault for cost in costs))),
    )


_COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("way", lambda row: row.way),
    ("detections", lambda row: f"{row.detections}"),
    ("observations", lambda row: f"{row.cost.observations}"),
    ("wall s", lambda row: f"{row.cost.wall_seconds:.1f}"),
    ("CPU s", lambda row: f"{row.cost.cpu_seconds:.1f}"),
    ("peak MiB", lambda row: f"{row.cost.peak_rss_bytes / _MIB:.0f}"),
    ("speed x", lambda row: shown_ratio(row.times_faster)),
    ("memory x", lambda row: shown_ratio(row.times_smaller)),
    ("runs", lambda row: f"{row.rounds}"),
    ("verdict", lambda row: row.cost.fault or "ok"),
)


def render(rows: Sequence[Row]) -> str:
    """Set the rows as a table for people, which is Markdown at the same time."""
    return set_rows(_COLUMNS, rows, text_columns=1)


def render_goals(rows: Sequence[Row]) -> str:
    """Say of ours which goals it meets."""
    return "\n".join(goals_met(row.way, row.goals) for row in rows if row.goals)
