"""Sentinel-2's step as a command: line to options to run, events and log around it, no decisions.

Exit statuses: 0 every scene is written, present or left out for a reason · 1 something failed ·
2 bad input.
"""

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from structlog.typing import FilteringBoundLogger

from pipelines.glacier.lines.line import parse_line
from pipelines.glacier.step.sentinel2.options import SYNTAX, resolve
from shared.errors import ExitStatus
from shared.lifecycle import run
from shared.log import configure_logging

# Rasters take a moment to import; a mistake in the line is told without them.
# ruff: noqa: PLC0415

log: FilteringBoundLogger = structlog.get_logger()


def main(argv: Sequence[str]) -> int:
    """Do what the line says; returns the exit status."""
    options = resolve(parse_line(SYNTAX, argv), os.environ, datetime.now(UTC).date())
    configure_logging("glacier")
    from pipelines.glacier.step.reporting import load_finished, logging_into, open_reporter
    from pipelines.glacier.step.sentinel2.region_run import Sentinel2Run

    finished = load_finished()
    with open_reporter() as reporter, logging_into(options.step.log_path):
        for warning in options.step.warnings:
            log.warning("selection_odd", reason=warning)
        log.info(
            "step_started",
            satellite="sentinel2",
            regions=len(options.step.regions),
            first=options.step.window.first.isoformat(),
            last=options.step.window.last.isoformat(),
        )
        step = Sentinel2Run(options, reporter, finished)

        async def do() -> ExitStatus:
            await step.run()
            return ExitStatus.DONE

        run(do)
        log.info("step_finished", satellite="sentinel2", status=reporter.summary().status)
        return reporter.finish(sys.stdout)
