"""`python -m pipelines.glacier.landsat` is Landsat's processing step."""

import sys

from pipelines.glacier.landsat.command import main
from shared.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("glacier landsat", main, sys.argv[1:]))
