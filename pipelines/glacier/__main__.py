"""`python -m pipelines.glacier` does the same as `towpath glacier`."""

import sys

from pipelines.glacier.command import main
from shared.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("glacier", main, sys.argv[1:]))
