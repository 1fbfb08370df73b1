"""Landsat's step as a command: line to options to run, events and log around it, and no decisions.

Exit statuses: 0 every scene is written, present or left out for a reason · 1 something failed ·
2 bad input.
"""

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from pipelines.glacier.landsat.bucket_access import reading_options
from pipelines.glacier.landsat.credentials_file import load_credentials
from pipelines.glacier.landsat.options import SYNTAX, resolve
from pipelines.glacier.lines.line import parse_line
from shared.errors import ExitStatus
from shared.lifecycle import run
from shared.log import configure_logging

SUMMARY = "find and clip scenes of Landsat"

log: FilteringBoundLogger = structlog.get_logger()


def main(argv: Sequence[str]) -> int:
    """Do what the line says; returns the exit status."""
    options = resolve(parse_line(SYNTAX, argv), os.environ, datetime.now(UTC).date())
    # Where nobody has a home, as in a container, the method of Path raises.
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - see above
    credentials = load_credentials(home)
    configure_logging("glacier")
    # Rasters and tables take a moment to import; a mistake in the line is told without them.
    from pipelines.glacier.landsat.region_run import LandsatRun  # noqa: PLC0415 - see above
    from pipelines.glacier.step.reporting import (  # noqa: PLC0415 - see above
        load_finished,
        logging_into,
        open_reporter,
    )

    finished = load_finished()
    with open_reporter() as reporter, logging_into(options.step.log_path):
        for warning in options.step.warnings:
            log.warning("selection_odd", reason=warning)
        log.info(
            "step_started",
            satellite="landsat",
            regions=len(options.step.regions),
            first=options.step.window.first.isoformat(),
            last=options.step.window.last.isoformat(),
        )
        step = LandsatRun(options, reporter, finished, reading_options(os.environ, credentials))

        async def do() -> ExitStatus:
            await step.run()
            return ExitStatus.DONE

        run(do)
        log.info("step_finished", satellite="landsat", status=reporter.summary().status)
        return reporter.finish(sys.stdout)
