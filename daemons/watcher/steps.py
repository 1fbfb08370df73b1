"""Runs the steps of a CID as children: what each is told, and how it went."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from daemons.watcher.plan import StepEnd
from daemons.watcher.workspace import JobPlace
from shared.commands import CommandLimits, run_command
from shared.templates import fill_template

STEPS = ("sidecar", "closest")
"""In the order in which they run."""

_NOT_PASSED = frozenset(
    {
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "LISTEN_FDS",
        "LISTEN_PID",
        "NOTIFY_SOCKET",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
    }
)
"""What systemd tells this process alone."""


@dataclass(frozen=True, slots=True)
class StepRule:
    """One step: what is run, and for how long at most."""

    template: tuple[str, ...]
    time_seconds: float
    built_in: bool
    """It is our own, and no command of somebody else's."""


@dataclass(frozen=True, slots=True)
class StepRules:
    """What the settings say about the steps."""

    root: Path
    """Where they start, as the scripts did."""
    steps: Mapping[str, StepRule]
    values: Mapping[str, str]
    """Placeholders that are the same for every CID."""
    neowise_years: str
    memory_bytes: int
    file_bytes: int
    term_seconds: float

    @property
    def longest_seconds(self) -> float:
        """How long all steps of one CID may take together."""
        return sum(rule.time_seconds + self.term_seconds for rule in self.steps.values())


class Steps(Protocol):
    """What runs the steps: children, or a test's own hand."""

    async def run(self, step: str, place: JobPlace) -> StepEnd:
        """Run one step to its end; cancelled, nothing of it is left when it returns."""


class CommandSteps:
    """Runs each step as a command of its own."""

    def __init__(self, rules: StepRules, *, progress: Callable[[], None] = lambda: None) -> None:
        self._rules = rules
        self._progress = progress

    async def run(self, step: str, place: JobPlace) -> StepEnd:
        """Run one step to its end; cancelled, nothing of it is left when it returns."""
        rules = self._rules
        rule = rules.steps[step]
        outcome = await run_command(
            fill_template(rule.template, _values(rules, place)),
            cwd=rules.root,
            env=_environment(rules, place),
            limits=CommandLimits(
                time_seconds=rule.time_seconds,
                term_seconds=rules.term_seconds,
                memory_bytes=rules.memory_bytes,
                file_bytes=rules.file_bytes,
            ),
            progress=self._progress,
        )
        return StepEnd(
            step=step,
            ok=outcome.ok,
            exit_status=outcome.exit_status,
            signal=outcome.signal,
            timed_out=outcome.timed_out,
            fault=bool(outcome.fault),
            reason=outcome.reason(),
            tail=outcome.tail,
            built_in=rule.built_in,
        )


def _values(rules: StepRules, place: JobPlace) -> Mapping[str, str]:
    """Return what stands for each placeholder."""
    return {
        **rules.values,
        "chunk_root": str(place.chunk_root),
        "cid": place.cid,
        "optical_root": str(place.optical_root),
        "out_dir": str(place.out_dir),
        "out_root": str(place.out_root),
        "python": sys.executable,
        "root": str(rules.root),
        "sidecar": str(place.sidecar),
        "years": rules.neowise_years,
    }


def _environment(rules: StepRules, place: JobPlace) -> Mapping[str, str]:
    """Return a step's environment: ours, with a place for temporary files that is cleared."""
    environ = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED}
    environ["TMPDIR"] = str(place.scratch)
    if rules.neowise_years:
        environ["NEOWISE_YEARS"] = rules.neowise_years
    return environ
