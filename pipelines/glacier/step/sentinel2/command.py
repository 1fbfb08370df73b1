"""Sentinel-2's step as a command: line to options to run, and no decisions.

Exit statuses: 0 every scene is written, present or left out for a reason · 1 something failed ·
2 bad input.
"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from pipelines.glacier.lines.line import parse_line
from pipelines.glacier.step.sentinel2.options import SYNTAX, resolve
from shared.log import configure_logging

# Rasters take a moment to import; a mistake in the line is told without them.
# ruff: noqa: PLC0415


def main(argv: Sequence[str]) -> int:
    """Do what the line says; returns the exit status."""
    options = resolve(parse_line(SYNTAX, argv), os.environ, datetime.now(UTC).date())
    configure_logging("glacier")
    from pipelines.glacier.step.running import run_step
    from pipelines.glacier.step.sentinel2.region_run import Sentinel2Run

    return run_step("sentinel2", options.step, partial(Sentinel2Run, options))
