"""From the runs of the hand-over to its tables. Pure; a run that proves nothing never counts.

The verdicts are those of `bench.table`: a run whose check failed fails its row, one in which the
stub used more than its share is void.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.markdown import set_rows, set_table
from bench.table import Verdict, verdict_of

_MIB = 1 << 20
_MILLI = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What the daemons of one role used in a run, and asked for by kind."""

    processes: int
    own_cpu_seconds: float
    steps_cpu_seconds: float
    peak_rss_bytes: int
    requests: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One run of all daemons; `fault` says what the check afterwards found wrong."""

    watchers: int
    round: int
    cids: int
    wall_seconds: float
    roles: Mapping[str, Role]
    requests: int
    stub_cpu_seconds: float
    stub_procs: int
    fault: str = ""

    @property
    def stub_load(self) -> float:
        """Share of its processors that the stub used."""
        return self.stub_cpu_seconds / (self.wall_seconds * self.stub_procs)

    @property
    def verdict(self) -> Verdict:
        """Whether the run counts."""
        return verdict_of(self.fault, self.stub_load)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleRow:
    """One role for one number of watchers: medians, a CID's share; the highest peak of memory."""

    role: str
    processes: int
    own_cpu_ms: float
    steps_cpu_ms: float
    peak_rss_bytes: float
    requests: float
    by_kind: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One number of watchers: medians over the runs that count; a CID's share of requests."""

    watchers: int
    verdict: Verdict
    counted: int
    rounds: int
    cids: int
    wall_seconds: float
    cids_per_second: float
    requests: float
    cpu_seconds: float
    stub_cpu_seconds: float
    stub_load: float
    roles: Sequence[RoleRow]


def summarise(measurements: Sequence[Measurement]) -> list[Row]:
    """Make one row for each number of watchers, in the order of their first appearance."""
    groups: dict[int, list[Measurement]] = {}
    for one in measurements:
        groups.setdefault(one.watchers, []).append(one)
    return [_row(group) for group in groups.values()]


def _row(group: Sequence[Measurement]) -> Row:
    counting = [one for one in group if one.verdict is Verdict.COUNTS]
    if any(one.verdict is Verdict.FAILED for one in group):
        verdict = Verdict.FAILED
    else:
        verdict = Verdict.COUNTS if counting else Verdict.VOID
    shown = counting or group
    return Row(
        watchers=group[0].watchers,
        verdict=verdict,
        counted=len(counting),
        rounds=len(group),
        cids=group[0].cids,
        wall_seconds=median(one.wall_seconds for one in shown),
        cids_per_second=median(one.cids / one.wall_seconds for one in shown),
        requests=median(one.requests / one.cids for one in shown),
        cpu_seconds=median(
            sum(role.own_cpu_seconds + role.steps_cpu_seconds for role in one.roles.values())
            for one in shown
        ),
        stub_cpu_seconds=median(one.stub_cpu_seconds for one in shown),
        stub_load=median(one.stub_load for one in shown),
        roles=[_role_row(role, shown) for role in group[0].roles],
    )


def _role_row(role: str, shown: Sequence[Measurement]) -> RoleRow:
    def share(value: Callable[[Role], float]) -> float:
        return median(value(one.roles[role]) / one.cids for one in shown)

    kinds = sorted({kind for one in shown for kind in one.roles[role].requests})
    return RoleRow(
        role=role,
        processes=shown[0].roles[role].processes,
        own_cpu_ms=share(lambda one: one.own_cpu_seconds) * _MILLI,
        steps_cpu_ms=share(lambda one: one.steps_cpu_seconds) * _MILLI,
        peak_rss_bytes=max(one.roles[role].peak_rss_bytes for one in shown),
        requests=share(lambda one: sum(one.requests.values())),
        by_kind={
            kind: share(lambda one, kind=kind: one.requests.get(kind, 0))  # type: ignore[misc]
            for kind in kinds
        },
    )


_KINDS = ("put", "get", "head", "list")
_WHOLE: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("watchers", lambda row: f"{row.watchers}"),
    ("CIDs", lambda row: f"{row.cids}"),
    ("wall s", lambda row: f"{row.wall_seconds:.1f}"),
    ("CIDs/s", lambda row: f"{row.cids_per_second:.1f}"),
    ("req/CID", lambda row: f"{row.requests:.2f}"),
    ("CPU s", lambda row: f"{row.cpu_seconds:.1f}"),
    ("stub CPU s", lambda row: f"{row.stub_cpu_seconds:.1f}"),
    ("stub load", lambda row: f"{row.stub_load:.0%}"),
    ("runs", lambda row: f"{row.counted}/{row.rounds}"),
    ("verdict", lambda row: row.verdict.value),
)
_PARTS: tuple[tuple[str, Callable[[RoleRow], str]], ...] = (
    ("own CPU ms/CID", lambda role: f"{role.own_cpu_ms:.1f}"),
    ("steps CPU ms/CID", lambda role: f"{role.steps_cpu_ms:.1f}"),
    ("peak MiB", lambda role: f"{role.peak_rss_bytes / _MIB:.0f}"),
    ("req/CID", lambda role: f"{role.requests:.2f}"),
)


def render(rows: Sequence[Row]) -> str:
    """Set the rows as two tables for people, which are Markdown at the same time."""
    parts = [["watchers", "role", *(title for title, _ in _PARTS), *_KINDS, "others"]]
    for row in rows:
        for role in row.roles:
            kinds = [role.by_kind.get(kind, 0.0) for kind in _KINDS]
            shares = [*kinds, max(0.0, role.requests - sum(kinds))]
            shown = [show(role) for _, show in _PARTS]
            parts.append([f"{row.watchers}", role.role, *shown, *(f"{n:.2f}" for n in shares)])
    return f"{set_rows(_WHOLE, rows)}\n\n{set_table(parts)}"
