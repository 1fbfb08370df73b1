"""The live table of states: what `towpath status` reads, looked at again and again."""

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from shared.engine import EngineOptions, open_engine
from shared.handshake.board import State, make_board
from shared.handshake.layout import Layout
from shared.handshake.survey import Survey
from shared.log import configure_logging
from shared.s3.store import ObjectStore

_SHOWN = (
    *(State.NEW, State.ANSWERED, State.WAITING, State.CLAIMED),
    *(State.PROCESSED, State.COLLECTED, State.PARKED),
)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where every CID stands."""

    states: Mapping[str, State] = field(default_factory=dict)
    planned: int = 0

    def count(self, state: State) -> int:
        """Return how many CIDs are in a state."""
        return sum(found is state for found in self.states.values())

    def line(self) -> str:
        """Return all of it in a line."""
        return "   ".join(f"{state.value} {self.count(state):>2}" for state in _SHOWN)

    def panel(self) -> RenderableType:
        """Return a bar and a table."""
        done = self.count(State.COLLECTED)
        bar = ProgressBar(total=max(1, self.planned), completed=done, width=40)
        head = Table.grid(padding=(0, 2))
        head.add_row(bar, Text(f"{done} of {self.planned} results back on PROD"))
        table = Table.grid(padding=(0, 3))
        table.add_row(*(Text(state.value, "dim") for state in _SHOWN))
        table.add_row(*(Text(str(self.count(state)), "bold") for state in _SHOWN))
        return Group(Text(""), head, table)


async def look(store: ObjectStore, layout: Layout, planned: int) -> Standing:
    """Look once, through the bucket alone, as a laptop with read access would."""
    facts = await Survey(store, layout).look()
    return Standing(make_board(facts, datetime.now(UTC)).states, planned)


@asynccontextmanager
async def open_view(endpoint: str, environ: Mapping[str, str]) -> AsyncIterator[ObjectStore]:
    """Open the bucket for looking."""
    # What this process logs would stand between the lines of the story.
    configure_logging("demo", level="error", form="console")
    with _borrowed(environ):
        options = EngineOptions("us-west-2", None, endpoint, in_flight=16)
        async with open_engine(options, journal=None) as engine:
            yield engine.store


@contextmanager
def _borrowed(environ: Mapping[str, str]) -> Iterator[None]:
    """Have the story's credentials in this process for a while, and no others."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
