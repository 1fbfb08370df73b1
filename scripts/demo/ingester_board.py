"""The live table of a run: sites down, phases across, read from the log while it is written."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from daemons.ingester.phases.outcome import Phase, PhaseStatus

_UNDER_WAY = "..."
_STYLES = {
    PhaseStatus.OK.value: "green",
    PhaseStatus.SKIPPED.value: "dim",
    _UNDER_WAY: "bold yellow",
}

Entry = Mapping[str, Any]


class Tail:
    """Reads what a process has logged since the last look; what is no JSON was meant for people."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.said: list[str] = []
        """Lines that are no events."""
        self.seen: list[Entry] = []
        """All events so far."""

    def news(self) -> Sequence[Entry]:
        """Return the events of whole lines that are new."""
        with self._path.open("rb") as log:
            log.seek(self._offset)
            body = log.read()
        whole = body[: body.rfind(b"\n") + 1]
        self._offset += len(whole)
        found = list(self._parsed(whole.decode(errors="replace").splitlines()))
        self.seen += found
        return found

    def of(self, name: str) -> Sequence[Entry]:
        """Return the events of a name so far."""
        return [entry for entry in self.seen if entry["event"] == name]

    def _parsed(self, lines: Sequence[str]) -> Iterator[Entry]:
        for line in lines:
            try:
                yield {"event": "", **json.loads(line)}
            except (ValueError, TypeError):
                self.said.append(line)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where every site stands."""

    sites: tuple[str, ...]
    marks: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Site and phase to how it ended, or that it goes on."""
    hearing: str = ""
    """The episode that is being transcribed."""
    counts: Mapping[str, int] = field(default_factory=dict)

    def line(self) -> str:
        """Return all of it in a line."""
        under_way = [
            f"{site} {phase}" for (site, phase), mark in self.marks.items() if mark == _UNDER_WAY
        ]
        idle = "every phase has ended" if self.marks else "it starts"
        return f"{'; '.join(under_way) or idle}   {self._counted()}"

    def panel(self) -> RenderableType:
        """Return a table."""
        table = Table.grid(padding=(0, 2))
        table.add_row("", *(Text(phase.value.partition("-")[0], "dim") for phase in Phase))
        for site in self.sites:
            marks = (self.marks.get((site, phase.value), "") for phase in Phase)
            table.add_row(
                Text(site, "bold"), *(Text(mark, _STYLES.get(mark, "bold red")) for mark in marks)
            )
        hearing = Text(f"hearing {self.hearing}" if self.hearing else "", "dim")
        return Group(Text(""), table, Text(self._counted(), "bold"), hearing)

    def _counted(self) -> str:
        return "   ".join(f"{name} {count}" for name, count in self.counts.items())


_COUNTED = {
    "audio_downloaded": "audio",
    "transcription_finished": "transcripts",
}


def standing(sites: Sequence[str], events: Sequence[Entry], in_s3: int) -> Standing:
    """Say where a run stands after these events."""
    marks: dict[tuple[str, str], str] = {}
    heard: dict[str, None] = {}
    for entry in events:
        if entry["event"] in ("phase_started", "phase_ended"):
            marks[entry["site"], entry["phase"]] = entry.get("status", _UNDER_WAY)
        elif entry["event"] == "transcription_started":
            heard[entry["key"]] = None
        elif entry["event"] == "transcription_finished":
            heard.pop(entry["key"], None)
    counts = Counter(_COUNTED[entry["event"]] for entry in events if entry["event"] in _COUNTED)
    shown = {name: counts[name] for name in _COUNTED.values()}
    hearing = ", ".join(key.rpartition("--")[0] for key in heard)
    return Standing(tuple(sites), marks, hearing, {**shown, "objects in S3": in_s3})
