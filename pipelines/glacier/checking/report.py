"""What a check found, for people and for programs, and its exit status. Pure.

| found                       | status |
|-----------------------------|--------|
| no raster at all            | 2      |
| anything wrong              | 1      |
| else                        | 0      |
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from pipelines.glacier.layout import Layout
from pipelines.glacier.satellite import SatelliteName

PASSED, FAILED, NOTHING = 0, 1, 2
_STATUS_WORDS = {PASSED: "passed", FAILED: "failed", NOTHING: "nothing to check"}


@dataclass(frozen=True, slots=True)
class RegionReport:
    """One region's results."""

    region: str
    rasters: int = 0
    """Those that were looked at."""
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What is odd and allowed."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found."""

    satellite: SatelliteName
    folder: str
    layout: Layout
    regions: Sequence[RegionReport]

    @property
    def rasters(self) -> int:
        """How many were looked at."""
        return sum(each.rasters for each in self.regions)

    @property
    def problems(self) -> int:
        """How many there are."""
        return sum(len(each.problems) for each in self.regions)

    @property
    def status(self) -> int:
        """The exit status."""
        if not self.rasters:
            return NOTHING
        return FAILED if self.problems else PASSED


def render_json(report: Report) -> str:
    """Return the document, and nothing beside it."""
    document = {
        "satellite": report.satellite,
        "folder": report.folder,
        "layout": report.layout,
        "status": _STATUS_WORDS[report.status],
        "rasters": report.rasters,
        "problems": report.problems,
        "regions": [asdict(each) for each in report.regions],
    }
    return json.dumps(document, indent=2) + "\n"


def render_text(report: Report) -> str:
    """Return a line for each region, one for each problem and note, and the sums."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield f"{report.satellite} in {report.folder!r}, layout {report.layout}"
    for each in report.regions:
        verdict = "failed" if each.problems else "passed" if each.rasters else "no raster"
        yield f"  {each.region}  {_count(each.rasters, 'raster')}  {verdict}"
        for problem in each.problems:
            yield f"    problem: {problem}"
        for note in each.notes:
            yield f"    note: {note}"
    sums = f"{_count(len(report.regions), 'region')}, {_count(report.rasters, 'raster')}"
    ending = "; this is no pass" if report.status == NOTHING else ""
    yield f"{sums}, {_count(report.problems, 'problem')}: {_STATUS_WORDS[report.status]}{ending}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
