"""The live table of a submission: a line for each region, and what is in the bucket of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipelines.glacier.job_record import JobRecord

_STYLES = {"success": "green", "running": "bold yellow", "partial": "yellow", "": "dim"}
_COUNTED = ("download", "clipped")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where every region stands."""

    states: Mapping[str, str]
    """What the job's record says; empty before there is one."""
    counts: Mapping[tuple[str, str], int]
    """Objects by region and folder."""

    def line(self) -> str:
        """Return all of it in a line."""
        states = Counter(self.states.values())
        told = ", ".join(
            f"{count} {state or 'waiting'}" for state, count in sorted(states.items(), reverse=True)
        )
        raw, scenes = (self._total(kind) for kind in _COUNTED)
        return f"{told}   {raw} raw tiles and {scenes} scenes in S3"

    def panel(self) -> RenderableType:
        """Return a table."""
        table = Table.grid(padding=(0, 2))
        heads = ("region", "record", "raw tiles in S3", "scenes in S3")
        table.add_row(*(Text(head, "dim") for head in heads))
        for name, state in self.states.items():
            counts = (str(self.counts.get((name, kind), 0)) for kind in _COUNTED)
            table.add_row(
                Text(name, "bold"),
                Text(state, _STYLES.get(state, "bold red")),
                *counts,
            )
        return Group(Text(""), table)

    def _total(self, kind: str) -> int:
        return sum(count for (_, each), count in self.counts.items() if each == kind)


def standing(
    regions: Sequence[str], keys: Sequence[str], records: Mapping[str, JobRecord]
) -> Standing:
    """Say where the regions stand by what is in the bucket."""
    states = {name: str(records[name].status) if name in records else "" for name in regions}
    places = (key.split("/")[:2] for key in keys if key.count("/") > 1)
    return Standing(states, Counter((region, kind) for region, kind in places))
