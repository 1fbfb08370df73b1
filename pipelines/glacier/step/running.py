"""One run of a satellite's step: log, events and the summary around what the satellite needs.

Importing it takes a moment, for rasters and tables; commands do so when the line is understood.
"""

import sys
from collections.abc import Callable
from typing import Protocol

import structlog
from structlog.typing import FilteringBoundLogger

from pipelines.glacier.finished import Finished
from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.step.options import StepOptions
from pipelines.glacier.step.reporting import Reporter, load_finished, logging_into, open_reporter
from shared.errors import ExitStatus
from shared.lifecycle import run

log: FilteringBoundLogger = structlog.get_logger()


class Step(Protocol):
    """What a satellite does."""

    async def run(self) -> None:
        """Do all regions; what went wrong is in the reporter."""


def run_step(
    satellite: SatelliteName, options: StepOptions, make: Callable[[Reporter, Finished], Step]
) -> int:
    """Run a step, print its summary as the last line of stdout, and return its exit status."""
    finished = load_finished()
    with open_reporter() as reporter, logging_into(options.log_path):
        for warning in options.warnings:
            log.warning("selection_odd", reason=warning)
        log.info(
            "step_started",
            satellite=satellite,
            regions=len(options.regions),
            first=options.window.first.isoformat(),
            last=options.window.last.isoformat(),
        )
        step = make(reporter, finished)

        async def do() -> ExitStatus:
            await step.run()
            return ExitStatus.DONE

        run(do)
        log.info("step_finished", satellite=satellite, status=reporter.summary().status)
        return reporter.finish(sys.stdout)
