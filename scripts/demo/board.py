"""What a person sees of a demonstration: a live panel on a terminal, plain lines elsewhere.

Rule: whatever is shown on a terminal is also readable in a file.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from textwrap import wrap
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_PLAIN_WIDTH = 110
_PLAIN_EVERY_SECONDS = 3.0
_INDENT = "  "
_NARROWEST = 30


class Progress(Protocol):
    """Where things stand, in two forms; one that equals the last is not shown again in a file."""

    def line(self) -> str:
        """Return all of it in a line."""

    def panel(self) -> RenderableType:
        """Return what a terminal shows."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Where things stand."""

    planned: int = 0
    """How many files the writer is going to complete."""
    written: int = 0
    waiting: int = 0
    """Complete and not in S3 yet."""
    in_s3: int = 0
    on_disk: int = 0
    sent_bytes: int = 0
    per_second: float = 0.0
    delay: str = ""
    """Settled to in S3, as text."""

    def line(self) -> str:
        """Return all of it in a line."""
        return (
            f"written {self.written:>5}   waiting {self.waiting:>4}   in S3 {self.in_s3:>5}   "
            f"on disk {self.on_disk:>4}   {self.per_second:>4.0f}/s   {self.delay}"
        )

    def panel(self) -> RenderableType:
        """Return a bar above the line."""
        bar = ProgressBar(total=max(1, self.planned), completed=self.in_s3, width=40)
        line = Table.grid(padding=(0, 2))
        line.add_row(bar, Text(f"{self.in_s3} of {self.planned} files"))
        return Group(Text(""), line, Text(self.line(), "bold"))


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the summary: what it is about, and what is to be said."""

    label: str
    text: str
    style: str = ""


class Board:
    """Shows one chapter after the other."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or _console()
        self._began = time.monotonic()
        self._live: Live | None = None
        self._plain_due = 0.0
        self._shown: Progress | None = None

    def chapter(self, title: str, meaning: str) -> None:
        """Head a chapter; its clock begins to run."""
        self._began = time.monotonic()
        self._plain_due = _PLAIN_EVERY_SECONDS
        self._print(Text(title, "bold"))
        for line in _wrapped(meaning, self._console.width):
            self._print(Text(line))
        self._print(Text(""))

    @contextmanager
    def live(self) -> Iterator[None]:
        """Have a panel below what is told, on a terminal, for the length of the block."""
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def say(self, text: str, style: str = "") -> None:
        """Tell what happens, with the time since the chapter began."""
        clock = f"{self._clock()}{_INDENT}"
        # In a file a line is a line, however long.
        room = self._console.width - len(clock) if self._console.is_terminal else len(text)
        for number, line in enumerate(_wrapped(text, room)):
            margin = " " * len(clock) if number else clock
            self._print(Text.assemble((margin, "dim"), (line, style)))

    def show(self, numbers: Progress) -> None:
        """Show where things stand: at once on a terminal, now and then elsewhere."""
        if self._live is not None:
            self._live.update(numbers.panel(), refresh=True)
        elif not self._console.is_terminal:
            elapsed = time.monotonic() - self._began
            if elapsed >= self._plain_due and numbers != self._shown:
                self._shown = numbers
                self._plain_due = elapsed + _PLAIN_EVERY_SECONDS
                self._print(Text(f"{self._clock()}  {numbers.line()}".rstrip()))

    def summary(self, heading: str, rows: Sequence[Row]) -> None:
        """Show the rows of one part of a summary."""
        self._print(Text(f"\n{heading}", "bold"))
        labels = max(len(row.label) for row in rows)
        # Not a table: it would fill each line up with blanks, and cut what is to be copied.
        indent = len(_INDENT) + labels + len(_INDENT)
        for row in rows:
            label = _INDENT + row.label.ljust(labels) + _INDENT
            for number, line in enumerate(_wrapped(row.text, self._console.width - indent)):
                margin = " " * indent if number else label
                self._print(Text.assemble((margin, row.style), line))

    def verdict(self, text: str, *, good: bool) -> None:
        """Say in a line how it ended."""
        self._print(Text(f"\n{text}", "bold green" if good else "bold red"))

    def _print(self, what: RenderableType) -> None:
        # Lines have been broken where they should be.
        self._console.print(what, soft_wrap=isinstance(what, Text))

    def _clock(self) -> str:
        elapsed = time.monotonic() - self._began
        return f"{int(elapsed // 60)}:{elapsed % 60:04.1f}"


def _wrapped(text: str, room: int) -> Sequence[str]:
    """Break a text into lines as far in as it is, but no word: paths are there to be copied."""
    margin = text[: len(text) - len(text.lstrip())]
    return wrap(
        text,
        max(_NARROWEST, room),
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]


def _console() -> Console:
    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH)
