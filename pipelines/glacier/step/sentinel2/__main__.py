"""`python -m pipelines.glacier.step.sentinel2` runs the step.

Exit statuses: 0 every scene is written, present or left out for a reason · 1 something failed ·
2 bad input.
"""

import sys
from collections.abc import Mapping

from pipelines.glacier.step.sentinel2.command import main
from shared.daemon_command import run_with_statuses
from shared.errors import ExitStatus

_STATUSES: Mapping[int, int] = {
    status: ExitStatus.UNEXPECTED for status in ExitStatus if status > ExitStatus.USAGE
}
"""A contract with three numbers: a full disk and an interruption are failures."""

if __name__ == "__main__":
    sys.exit(run_with_statuses("glacier sentinel2", main, sys.argv[1:], _STATUSES))
