"""From the measurements of single runs to the table of `bench.glacier_clip`. Pure.

Ratios are a way's figure divided by that of the straightforward way, so less is better.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.markdown import goals_met, set_rows, shown_ratio

REFERENCE = "whole tiles, rasterio.merge"
BYTES_GOAL = 0.25
RSS_GOAL = 0.5
DIFFERING_MAX = 0.01
"""Of ours: GDAL's transformer is exact to an eighth of a pixel; so much may be a neighbour's."""

_MEGABYTE, _MIB = 1_000_000, 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one run took; `fault` says what is wrong with its result."""

    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    fetched_bytes: int
    requests: int
    differing: float = 0.0
    """The share of pixels that are not the tiles' own at their middle."""
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way for one region: medians over the rounds, the highest peak of memory."""

    region: str
    way: str
    cost: Cost
    rounds: int
    ours: bool
    keeps_tiles: bool = False
    """Whole tiles are among its results, so that it has to fetch them."""
    bytes_ratio: float | None = None
    rss_ratio: float | None = None

    @property
    def goals(self) -> Mapping[str, bool]:
        """The goals of ours, and whether they are met; empty for others."""
        if not self.ours or self.bytes_ratio is None or self.rss_ratio is None:
            return {}
        fetching = {f"bytes <= {BYTES_GOAL:g}": self.bytes_ratio <= BYTES_GOAL}
        return {
            **({} if self.keeps_tiles else fetching),
            f"memory <= {RSS_GOAL:g}": self.rss_ratio <= RSS_GOAL,
            f"differing <= {DIFFERING_MAX:.0%}": self.cost.differing <= DIFFERING_MAX,
        }


def summarise(
    region: str, rounds: Sequence[Mapping[str, Cost]], ours: Mapping[str, bool]
) -> Sequence[Row]:
    """Make a row for each way; `rounds` are the costs by way, `ours` says which keep the tiles."""
    costs = {way: _middle([each[way] for each in rounds]) for way in rounds[0]}
    reference = costs.get(REFERENCE)
    return [
        Row(
            region=region,
            way=way,
            cost=cost,
            rounds=len(rounds),
            ours=way in ours,
            keeps_tiles=ours.get(way, False),
            bytes_ratio=cost.fetched_bytes / reference.fetched_bytes if reference else None,
            rss_ratio=cost.peak_rss_bytes / reference.peak_rss_bytes if reference else None,
        )
        for way, cost in costs.items()
    ]


def _middle(costs: Sequence[Cost]) -> Cost:
    return Cost(
        wall_seconds=median(cost.wall_seconds for cost in costs),
        cpu_seconds=median(cost.cpu_seconds for cost in costs),
        peak_rss_bytes=max(cost.peak_rss_bytes for cost in costs),
        fetched_bytes=max(cost.fetched_bytes for cost in costs),
        requests=max(cost.requests for cost in costs),
        differing=max(cost.differing for cost in costs),
        fault="; ".join(filter(None, (cost.fault for cost in costs))),
    )


_COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("region", lambda row: row.region),
    ("way", lambda row: row.way),
    ("wall s", lambda row: f"{row.cost.wall_seconds:.1f}"),
    ("CPU s", lambda row: f"{row.cost.cpu_seconds:.1f}"),
    ("peak MiB", lambda row: f"{row.cost.peak_rss_bytes / _MIB:.0f}"),
    ("fetched MB", lambda row: f"{row.cost.fetched_bytes / _MEGABYTE:.1f}"),
    ("requests", lambda row: str(row.cost.requests)),
    ("bytes x", lambda row: shown_ratio(row.bytes_ratio)),
    ("peak x", lambda row: shown_ratio(row.rss_ratio)),
    ("differing", lambda row: f"{row.cost.differing:.2%}"),
    ("verdict", lambda row: row.cost.fault or "ok"),
)
_TEXT_COLUMNS = 2


def render(rows: Sequence[Row]) -> str:
    """Set the rows as a table for people, which is Markdown at the same time."""
    return set_rows(_COLUMNS, rows, text_columns=_TEXT_COLUMNS)


def render_goals(rows: Sequence[Row]) -> str:
    """Say of each row of ours which goals it meets."""
    return "\n".join(goals_met(f"{row.region}, {row.way}", row.goals) for row in rows if row.goals)
