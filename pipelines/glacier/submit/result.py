"""How the jobs of a submission ended, once they were waited for. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

RULE_REGIONS = 25
RULE_SHARE = 0.95
"""Of a submission of so many regions or more, this share is to succeed."""

ResultStatus: TypeAlias = Literal["success", "no_data", "failed", "unfinished"]


@dataclass(frozen=True, slots=True)
class Result:
    """How one job ended."""

    status: ResultStatus
    """`unfinished`: it was not waited for any longer."""
    reason: str = ""
    rounds: int = 0
    """How often it was submitted again because it had run out of time."""
    log: str = ""
    """Where to read on."""

    @property
    def succeeded(self) -> bool:
        """Whether nothing is left to be done; that there is no scene is an answer."""
        return self.status in {"success", "no_data"}

    def to_json(self) -> Mapping[str, object]:
        """Return what the document says of it."""
        return {
            "status": self.status,
            "reason": self.reason or None,
            "rounds": self.rounds,
            "log": self.log or None,
        }


@dataclass(frozen=True, slots=True)
class Tally:
    """How many regions succeeded; one with a job that did not has failed."""

    regions: int
    succeeded: int

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.succeeded / self.regions if self.regions else 0.0

    @property
    def rule_met(self) -> bool | None:
        """Whether enough of them did; None where there are too few regions for the rule."""
        return self.share >= RULE_SHARE if self.regions >= RULE_REGIONS else None

    def to_json(self) -> Mapping[str, object]:
        """Return what the document says of it."""
        rule = {"regions_min": RULE_REGIONS, "share_min": RULE_SHARE, "met": self.rule_met}
        return {
            "regions": self.regions,
            "succeeded": self.succeeded,
            "share": round(self.share, 4),
            "rule": rule,
        }

    def line(self) -> str:
        """Return it as people read it."""
        share = f"{self.succeeded} of {self.regions} regions succeeded ({self.share:.1%})"
        if self.rule_met is None:
            return share
        return f"{share}; {'met' if self.rule_met else 'MISSED'}: at least {RULE_SHARE:.0%}"
