"""`python -m pipelines.wildlife` is `towpath wildlife`."""

import sys

from pipelines.wildlife.command import main
from shared.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("wildlife", main, sys.argv[1:]))
