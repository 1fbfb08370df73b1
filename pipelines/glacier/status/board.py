"""What the records of jobs say, as rows and sums. Pure.

A record shows its newest submission. What stands in it came from a job, so nothing is relied on.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pipelines.glacier.job_record import JobRecord
from pipelines.glacier.regions import is_region_name

UNREADABLE = "unreadable"
FAILED = frozenset({"failed", "invalid", "partial", UNREADABLE})
"""`partial`: it ran out of time, and nobody has sent it again since."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job."""

    job_name: str
    satellite: str
    region: str
    status: str
    date1: str = ""
    date2: str = ""
    began_at: str = ""
    took: timedelta | None = None
    deliveries: int = 0
    scenes: Mapping[str, int] | None = None
    """How many there are of each status; None where the record could not be read."""
    peak_memory_bytes: int = 0
    reason: str = ""
    submission_id: str = ""

    def to_json(self) -> Mapping[str, object]:
        """Return what programs read."""
        return {
            "job_name": self.job_name,
            "satellite": self.satellite,
            "region": self.region,
            "status": self.status,
            "date1": self.date1 or None,
            "date2": self.date2 or None,
            "started_at": self.began_at or None,
            "seconds": None if self.took is None else self.took.total_seconds(),
            "deliveries": self.deliveries,
            "scenes": self.scenes,
            "peak_memory_bytes": self.peak_memory_bytes or None,
            "reason": self.reason or None,
            "submission_id": self.submission_id or None,
        }


@dataclass(frozen=True, slots=True)
class Again:
    """What sends some regions again: they share all that a submission has one of."""

    satellite: str
    date1: str
    date2: str
    regions: tuple[str, ...]

    def line(self) -> str:
        """Return the command, ready to paste."""
        return (
            f"towpath glacier submit --satellite {self.satellite} --date1 {self.date1} "
            f"--date2 {self.date2} --regions {','.join(self.regions)}"
        )

    def to_json(self) -> Mapping[str, object]:
        """Return what programs read."""
        return {
            "satellite": self.satellite,
            "date1": self.date1,
            "date2": self.date2,
            "regions": list(self.regions),
        }


def row_of(record: JobRecord, job_name: str, satellite: str) -> JobRow:
    """Return the row of a record; name and satellite are those of its key."""
    if not record.entries:
        return unreadable(job_name, satellite, "the record has no submission")
    entry = record.entries[-1]
    named = str(entry.event.get("region") or entry.event.get("regions") or "")
    return JobRow(
        job_name,
        satellite,
        named if is_region_name(named) else region_of(job_name),
        entry.status,
        date1=_day(entry.event.get("date1")),
        date2=_day(entry.event.get("date2")),
        began_at=entry.started_at,
        took=_between(entry.started_at, entry.ended_at),
        deliveries=entry.deliveries,
        scenes=dict(sorted(Counter(scene.status for scene in entry.scenes).items())),
        peak_memory_bytes=entry.peak_memory_bytes,
        reason=" ".join(entry.error.split()),
        submission_id=entry.submission_id,
    )


def unreadable(job_name: str, satellite: str, reason: str) -> JobRow:
    """Return the row of a record that says nothing."""
    return JobRow(job_name, satellite, region_of(job_name), UNREADABLE, reason=reason)


def region_of(job_name: str) -> str:
    """Return the region that a job's name ends in, if it does: no region has a hyphen."""
    last = job_name.rpartition("-")[2]
    return last if is_region_name(last) else ""


def again(rows: Iterable[JobRow]) -> Sequence[Again]:
    """Return what sends the failed ones of some rows again."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        if row.status in FAILED and row.region and row.date1 and row.date2:
            groups.setdefault((row.satellite, row.date1, row.date2), []).append(row.region)
    return [Again(*what, tuple(sorted(dict.fromkeys(regions)))) for what, regions in groups.items()]


def _day(value: object) -> str:
    """Return a day, if it is one: it becomes part of a line that is pasted into a shell."""
    try:
        return date.fromisoformat(str(value)).isoformat()
    except ValueError:
        return ""


def _between(began: str, ended: str) -> timedelta | None:
    """Return the time between two moments of one machine's clock."""
    try:
        return datetime.fromisoformat(ended) - datetime.fromisoformat(began)
    except (ValueError, TypeError, OverflowError):
        return None
