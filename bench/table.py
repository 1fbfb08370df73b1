"""From the measurements of single runs to the table. Pure; a run that proves nothing never counts.

stub's CPU / (wall * its processors) > 0.9   void: the stub was measured, not the client
the check after the run failed               failed: the work was not done
else                                         counts: medians are taken over these
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from statistics import median

from bench.markdown import set_rows, shown_ratio

SATURATED = 0.9
"""Share of the stub's processors above which its own speed decides the wall time."""

REFERENCE = "s5cmd"
"""The tool that the ratio columns compare with."""

_MIB = 1 << 20


class Verdict(Enum):
    """What a run, or all runs of a tool in a scenario, are worth."""

    COUNTS = "ok"
    VOID = "void"
    FAILED = "FAILED"


def verdict_of(fault: str, stub_load: float) -> Verdict:
    """Say whether a run counts; a failure weighs more than saturation."""
    if fault:
        return Verdict.FAILED
    return Verdict.VOID if stub_load > SATURATED else Verdict.COUNTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One run of one tool over one tree; `fault` says what the check afterwards found wrong."""

    scenario: str
    tool: str
    round: int
    files: int
    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    requests: int
    received_bytes: int
    stub_cpu_seconds: float
    stub_procs: int
    fault: str = ""

    @property
    def stub_load(self) -> float:
        """Share of its processors that the stub used while the tool ran."""
        return self.stub_cpu_seconds / (self.wall_seconds * self.stub_procs)

    @property
    def verdict(self) -> Verdict:
        """Whether the run counts; a failure weighs more than saturation."""
        return verdict_of(self.fault, self.stub_load)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One tool in one scenario: medians over the runs that count, and the highest peak of memory.

    `speed_ratio` is the reference's time divided by this tool's (above 1 is faster), `cpu_ratio`
    this tool's processor time divided by the reference's (below 1 is cheaper).
    """

    scenario: str
    tool: str
    verdict: Verdict
    counted: int
    rounds: int
    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: float
    requests_per_file: float
    received_bytes: float
    stub_cpu_seconds: float
    stub_load: float
    speed_ratio: float | None = None
    cpu_ratio: float | None = None


def summarise(measurements: Sequence[Measurement]) -> list[Row]:
    """Make one row for each scenario and tool, in the order of their first appearance.

    Any failed run fails its row. A void run is left out; a row with nothing else is void and
    shows the medians of its void runs. Ratios need two rows that count.
    """
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for one in measurements:
        groups.setdefault((one.scenario, one.tool), []).append(one)
    rows = {name: _row(group) for name, group in groups.items()}
    return [_with_ratios(row, rows.get((row.scenario, REFERENCE))) for row in rows.values()]


def _row(group: Sequence[Measurement]) -> Row:
    counting = [one for one in group if one.verdict is Verdict.COUNTS]
    if any(one.verdict is Verdict.FAILED for one in group):
        verdict = Verdict.FAILED
    else:
        verdict = Verdict.COUNTS if counting else Verdict.VOID
    shown = counting or group

    def middle(value: Callable[[Measurement], float]) -> float:
        return float(median(value(one) for one in shown))

    return Row(
        scenario=group[0].scenario,
        tool=group[0].tool,
        verdict=verdict,
        counted=len(counting),
        rounds=len(group),
        wall_seconds=middle(lambda one: one.wall_seconds),
        cpu_seconds=middle(lambda one: one.cpu_seconds),
        peak_rss_bytes=max(one.peak_rss_bytes for one in shown),
        requests_per_file=middle(lambda one: one.requests / one.files),
        received_bytes=middle(lambda one: one.received_bytes),
        stub_cpu_seconds=middle(lambda one: one.stub_cpu_seconds),
        stub_load=middle(lambda one: one.stub_load),
    )


def _with_ratios(row: Row, reference: Row | None) -> Row:
    usable = reference is not None and reference.verdict is Verdict.COUNTS
    if reference is None or not usable or row.verdict is not Verdict.COUNTS:
        return row
    return replace(
        row,
        speed_ratio=reference.wall_seconds / row.wall_seconds,
        cpu_ratio=row.cpu_seconds / reference.cpu_seconds if reference.cpu_seconds else None,
    )


_COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("scenario", lambda row: row.scenario),
    ("tool", lambda row: row.tool),
    ("wall s", lambda row: f"{row.wall_seconds:.2f}"),
    ("CPU s", lambda row: f"{row.cpu_seconds:.2f}"),
    ("peak MiB", lambda row: f"{row.peak_rss_bytes / _MIB:.0f}"),
    ("req/file", lambda row: f"{row.requests_per_file:.2f}"),
    ("sent MiB", lambda row: f"{row.received_bytes / _MIB:.0f}"),
    ("stub CPU s", lambda row: f"{row.stub_cpu_seconds:.2f}"),
    ("stub load", lambda row: f"{row.stub_load:.0%}"),
    (f"speed x {REFERENCE}", lambda row: shown_ratio(row.speed_ratio)),
    (f"CPU x {REFERENCE}", lambda row: shown_ratio(row.cpu_ratio)),
    ("runs", lambda row: f"{row.counted}/{row.rounds}"),
    ("verdict", lambda row: row.verdict.value),
)
_TEXT_COLUMNS = 2


def render(rows: Sequence[Row]) -> str:
    """Set the rows as a table for people, which is Markdown at the same time."""
    return set_rows(_COLUMNS, rows, text_columns=_TEXT_COLUMNS)
