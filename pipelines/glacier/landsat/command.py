"""Landsat's step as a command: line to options to run, and no decisions.

Exit statuses: 0 every scene is written, present or left out for a reason · 1 something failed ·
2 bad input.
"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pipelines.glacier.landsat.bucket_access import reading_options
from pipelines.glacier.landsat.credentials_file import load_credentials
from pipelines.glacier.landsat.options import SYNTAX, resolve
from pipelines.glacier.lines.line import parse_line
from shared.log import configure_logging

# Rasters and tables take a moment to import; a mistake in the line is told without them.
# ruff: noqa: PLC0415


def main(argv: Sequence[str]) -> int:
    """Do what the line says; returns the exit status."""
    options = resolve(parse_line(SYNTAX, argv), os.environ, datetime.now(UTC).date())
    # Where nobody has a home, as in a container, the method of Path raises.
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - see above
    reading = reading_options(os.environ, load_credentials(home))
    configure_logging("glacier")
    from pipelines.glacier.landsat.region_run import LandsatRun
    from pipelines.glacier.step.running import run_step

    return run_step("landsat", options.step, partial(LandsatRun, options, reading=reading))
