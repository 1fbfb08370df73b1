"""What every chapter is given, and how it says that it cannot go on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import anyio

from scripts.demo.board import Board

PROJECT = Path(__file__).resolve().parents[2]

ScaleName = Literal["full", "small"]


class DemoFailed(Exception):
    """The demonstration cannot go on; the message says why and where to look."""


class NotPlayed(DemoFailed):
    """A chapter needs what is not installed; the message says what, and how to get it."""


@dataclass(slots=True)
class Linger:
    """The wait after the story, until a person has played enough: the one wait without a limit."""

    under_way: bool = False
    over: anyio.Event = field(default_factory=anyio.Event)

    async def wait(self) -> None:
        """Wait until somebody ends it."""
        self.under_way = True
        await self.over.wait()


@dataclass(frozen=True, slots=True)
class Stage:
    """The place and the manner of one run."""

    folder: Path
    """Empty, and the chapter's own; it is left to be looked at."""
    scale: ScaleName
    keep: bool
    """Leave everything running after the story, until `linger` is over."""
    board: Board
    linger: Linger = field(default_factory=Linger)


@contextmanager
def within(seconds: float, awaited: str) -> Iterator[None]:
    """Bound a wait; DemoFailed says what did not come."""
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError as error:
        raise DemoFailed(f"waited {seconds:g} s in vain for {awaited}") from error
