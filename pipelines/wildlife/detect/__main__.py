"""`python -m pipelines.wildlife.detect` is what the container runs."""

import sys

from pipelines.wildlife.detect.command import exit_status, main
from shared.cli import run_command

if __name__ == "__main__":
    sys.exit(exit_status(run_command("wildlife detect", main, sys.argv[1:])))
