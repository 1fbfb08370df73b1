"""A command that a chapter runs to its end, and what it said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from scripts.demo.children import Child, Children
from scripts.demo.stage import within


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that is over."""

    status: int
    said: Sequence[str]
    """What it printed for people, line by line."""

    def line(self, start: str) -> str:
        """Return what it said after these words, the first time."""
        found = (line.removeprefix(start) for line in self.said if line.startswith(start))
        return next(found, "")


async def run_to_end(
    children: Children,
    name: str,
    command: Sequence[str],
    *,
    log: Path,
    seconds: float,
    environ: Mapping[str, str] | None = None,
) -> Ended:
    """Run a command; what it logs is in `log`, what it prints beside it; DemoFailed if too long."""
    child = await children.start(name, command, log=log, environ=environ, piped=True)
    with within(seconds, f"the end of {name}; see {log}"):
        printed = await _said(child)
        status = await child.process.wait()
    await anyio.Path(log.with_suffix(".out")).write_bytes(printed)
    return Ended(status, printed.decode(errors="replace").splitlines())


async def _said(child: Child) -> bytes:
    """Return all that a command prints, once it prints no more."""
    stdout = child.process.stdout
    return b"" if stdout is None else b"".join([piece async for piece in stdout])
