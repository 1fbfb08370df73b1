"""`python -m pipelines.neowise` does the same as `towpath neowise`."""

import sys

from pipelines.neowise.cli import main
from shared.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("neowise", main, sys.argv[1:]))
