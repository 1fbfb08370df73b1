"""`python -m pipelines.glacier.step.sentinel2` runs the step.

Exit statuses: 0 every scene is written, present or left out for a reason · 1 something failed ·
2 bad input.
"""

import sys

from pipelines.glacier.step.errors import STATUSES
from pipelines.glacier.step.sentinel2.command import main
from shared.daemon_command import run_with_statuses

if __name__ == "__main__":
    sys.exit(run_with_statuses("glacier sentinel2", main, sys.argv[1:], STATUSES))
