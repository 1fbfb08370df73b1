"""From the measurements of single runs to the table of `bench.wildlife_stage0`. Pure.

Ratios are a way's figure divided by that of fetching whole files, so less is better.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from bench.markdown import goals_met, set_rows, shown_ratio
from bench.table import Verdict, verdict_of

REFERENCE = "whole files, Pillow"
BYTES_GOAL = 0.05
RATE_GOAL = 500

_MEGABYTE, _MIB = 1_000_000, 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one run took; `fault` says what is wrong with its result."""

    pictures: int
    seconds: float
    """From the first listing to the last line, without the interpreter's start."""
    cpu_seconds: float
    peak_rss_bytes: int
    read_bytes: int
    """Of pictures, over the network."""
    requests: int
    stub_load: float
    """Share of its processor that the stub used meanwhile."""
    fault: str = ""

    @property
    def rate(self) -> float:
        """Pictures a second."""
        return self.pictures / self.seconds

    @property
    def verdict(self) -> Verdict:
        """Whether it counts."""
        return verdict_of(self.fault, self.stub_load)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way: medians over the rounds, the highest peak of memory."""

    way: str
    cost: Cost
    rounds: int
    verdict: Verdict
    ours: bool
    bytes_ratio: float | None = None
    time_ratio: float | None = None

    @property
    def goals(self) -> Mapping[str, bool]:
        """The goals of ours, and whether they are met; empty for others."""
        if not self.ours:
            return {}
        met = {f"pictures/s >= {RATE_GOAL}": self.cost.rate >= RATE_GOAL}
        if self.bytes_ratio is not None:
            met[f"bytes <= {BYTES_GOAL:.0%}"] = self.bytes_ratio <= BYTES_GOAL
        return met


def summarise(rounds: Sequence[Mapping[str, Cost]], ours: str) -> Sequence[Row]:
    """Make a row for each way; `rounds` are the costs by way."""
    rows = [_row(way, [costs[way] for costs in rounds], ours=way == ours) for way in rounds[0]]
    reference = next((row.cost for row in rows if row.way == REFERENCE), None)
    if reference is None:
        return rows
    return [
        replace(
            row,
            bytes_ratio=row.cost.read_bytes / reference.read_bytes if row.cost.requests else None,
            time_ratio=row.cost.seconds / reference.seconds,
        )
        for row in rows
    ]


def _row(way: str, costs: Sequence[Cost], *, ours: bool) -> Row:
    verdicts = {cost.verdict for cost in costs}
    worst = next(
        each for each in (Verdict.FAILED, Verdict.VOID, Verdict.COUNTS) if each in verdicts
    )
    middle = replace(
        costs[0],
        seconds=median(cost.seconds for cost in costs),
        cpu_seconds=median(cost.cpu_seconds for cost in costs),
        peak_rss_bytes=max(cost.peak_rss_bytes for cost in costs),
        stub_load=median(cost.stub_load for cost in costs),
        fault="; ".join(filter(None, (cost.fault for cost in costs))),
    )
    return Row(way=way, cost=middle, rounds=len(costs), verdict=worst, ours=ours)


_COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("way", lambda row: row.way),
    ("pictures/s", lambda row: f"{row.cost.rate:.0f}"),
    ("wall s", lambda row: f"{row.cost.seconds:.1f}"),
    ("CPU s", lambda row: f"{row.cost.cpu_seconds:.1f}"),
    ("peak MiB", lambda row: f"{row.cost.peak_rss_bytes / _MIB:.0f}"),
    ("MB read", lambda row: f"{row.cost.read_bytes / _MEGABYTE:.0f}"),
    ("requests", lambda row: str(row.cost.requests)),
    ("stub load", lambda row: f"{row.cost.stub_load:.0%}"),
    ("bytes x whole", lambda row: shown_ratio(row.bytes_ratio)),
    ("time x whole", lambda row: shown_ratio(row.time_ratio)),
    ("verdict", lambda row: row.verdict.value),
)


def render(rows: Sequence[Row]) -> str:
    """Set the rows as a table for people, which is Markdown at the same time."""
    return set_rows(_COLUMNS, rows, text_columns=1)


def render_goals(rows: Sequence[Row]) -> str:
    """Say of ours which goals it meets."""
    return "\n".join(goals_met(row.way, row.goals) for row in rows if row.goals)
