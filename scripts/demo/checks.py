"""One promise of a chapter, and whether it was kept."""

from collections.abc import Iterable
from dataclasses import dataclass

from scripts.demo.board import Row

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, and whether it was kept."""

    claim: str
    holds: bool
    detail: str = ""

    def row(self) -> Row:
        """Return it as a line of the summary."""
        text = f"{self.claim}; {self.detail}" if self.detail else self.claim
        return Row("ok", text, "green") if self.holds else Row("FAILED", text, "bold red")


def some(faults: Iterable[str]) -> str:
    """Return the first few, and how many there are besides."""
    listed = list(faults)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return "; ".join(listed[:_SHOWN]) + more
