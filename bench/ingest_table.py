"""From the measurements of single commands to the table of `bench.ingest_sync`. Pure.

A task of a tool is the sum of its commands: where one tool does both directions in one process,
another needs two. Ratios are this tool's figure divided by that of `aws s3 sync --dryrun`, so less
is better, and only rows that count have one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from bench.markdown import goals_met, set_rows, shown_ratio
from bench.table import Verdict, verdict_of

REFERENCE = "aws s3 sync"
"""What a task's label begins with for the tool that the ratio columns compare with."""

TIME_GOAL = 0.5
RSS_GOAL_BYTES = 200_000_000
HANDFUL = 10
"""Requests beyond one for each page."""

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one command took; `fault` says what the check afterwards found wrong."""

    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    requests: int
    stub_cpu_seconds: float
    stub_procs: int = 1
    fault: str = ""

    def __add__(self, other: "Cost") -> "Cost":
        """One after the other."""
        return Cost(
            wall_seconds=self.wall_seconds + other.wall_seconds,
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
            peak_rss_bytes=max(self.peak_rss_bytes, other.peak_rss_bytes),
            requests=self.requests + other.requests,
            stub_cpu_seconds=self.stub_cpu_seconds + other.stub_cpu_seconds,
            stub_procs=self.stub_procs,
            fault="; ".join(filter(None, (self.fault, other.fault))),
        )

    @property
    def stub_load(self) -> float:
        """Share of its processors that the stub used meanwhile."""
        return self.stub_cpu_seconds / (self.wall_seconds * self.stub_procs)

    @property
    def verdict(self) -> Verdict:
        """Whether it counts."""
        return verdict_of(self.fault, self.stub_load)


@dataclass(frozen=True, slots=True)
class Task:
    """What is compared: a label, the tool's commands, and what the goals say of it."""

    group: str
    """Rows of one group are compared with each other: the gap report, a night."""
    label: str
    commands: Sequence[str]
    ours: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One task at one site: medians over the rounds that count, the highest peak of memory."""

    site: str
    task: Task
    verdict: Verdict
    cost: Cost
    pages: int
    """Requests that listing it once takes, of a thousand objects each."""
    rounds: int
    time_ratio: float | None = None
    rss_ratio: float | None = None

    @property
    def listings(self) -> int:
        """How often the site is listed."""
        return 2 if self.task.group == "night" else 1

    @property
    def goals(self) -> Mapping[str, bool]:
        """The goals of ours, and whether they are met; empty for others."""
        if not self.task.ours:
            return {}
        met = {
            f"requests <= pages + {HANDFUL}": self.cost.requests
            <= self.listings * self.pages + HANDFUL,
            f"peak <= {RSS_GOAL_BYTES // 1_000_000} MB": self.cost.peak_rss_bytes <= RSS_GOAL_BYTES,
        }
        if self.time_ratio is not None:
            met[f"time <= {TIME_GOAL} x aws"] = self.time_ratio <= TIME_GOAL
        return met


def summarise(
    site: str, pages: int, tasks: Sequence[Task], rounds: Sequence[Mapping[str, Cost]]
) -> list[Row]:
    """Make a row for each task; `rounds` are the costs by command. A failed command fails it."""
    rows = [_row(site, pages, task, rounds) for task in tasks]
    references = {
        row.task.group: row
        for row in rows
        if row.task.label.startswith(REFERENCE) and row.verdict is Verdict.COUNTS
    }
    return [_with_ratios(row, references.get(row.task.group)) for row in rows]


def _row(site: str, pages: int, task: Task, rounds: Sequence[Mapping[str, Cost]]) -> Row:
    costs = []
    for by_command in rounds:
        first, *others = (by_command[name] for name in task.commands)
        costs.append(sum(others, start=first))
    counting = [cost for cost in costs if cost.verdict is Verdict.COUNTS]
    verdict = Verdict.COUNTS if counting else Verdict.VOID
    if any(cost.verdict is Verdict.FAILED for cost in costs):
        verdict = Verdict.FAILED
    shown = counting or costs
    cost = Cost(
        wall_seconds=median(cost.wall_seconds for cost in shown),
        cpu_seconds=median(cost.cpu_seconds for cost in shown),
        peak_rss_bytes=max(cost.peak_rss_bytes for cost in shown),
        requests=max(cost.requests for cost in shown),
        stub_cpu_seconds=median(cost.stub_cpu_seconds for cost in shown),
        stub_procs=shown[0].stub_procs,
        fault="; ".join(filter(None, (cost.fault for cost in costs))),
    )
    return Row(site=site, task=task, verdict=verdict, cost=cost, pages=pages, rounds=len(rounds))


def _with_ratios(row: Row, reference: Row | None) -> Row:
    if reference is None or row.verdict is not Verdict.COUNTS:
        return row
    return replace(
        row,
        time_ratio=row.cost.wall_seconds / reference.cost.wall_seconds,
        rss_ratio=row.cost.peak_rss_bytes / reference.cost.peak_rss_bytes,
    )


_COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("site", lambda row: row.site),
    ("task", lambda row: row.task.group),
    ("command", lambda row: row.task.label),
    ("wall s", lambda row: f"{row.cost.wall_seconds:.1f}"),
    ("CPU s", lambda row: f"{row.cost.cpu_seconds:.1f}"),
    ("requests", lambda row: str(row.cost.requests)),
    ("peak MiB", lambda row: f"{row.cost.peak_rss_bytes / _MIB:.0f}"),
    ("stub load", lambda row: f"{row.cost.stub_load:.0%}"),
    ("time x aws", lambda row: shown_ratio(row.time_ratio)),
    ("requests / pages", lambda row: f"{row.cost.requests / row.listings / row.pages:.2f}"),
    ("peak x aws", lambda row: shown_ratio(row.rss_ratio)),
    ("verdict", lambda row: row.verdict.value),
)
_TEXT_COLUMNS = 3


def render(rows: Sequence[Row]) -> str:
    """Set the rows as a table for people, which is Markdown at the same time."""
    return set_rows(_COLUMNS, rows, text_columns=_TEXT_COLUMNS)


def render_goals(rows: Sequence[Row]) -> str:
    """Say of each row of ours which goals it meets."""
    return "\n".join(
        goals_met(f"{row.site}, {row.task.label}", row.goals) for row in rows if row.goals
    )
