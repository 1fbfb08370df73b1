"""`python -m daemons.collector` does the same as `towpath collector`."""

import sys

from daemons.collector.cli import main
from shared.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("collector", main, sys.argv[1:]))
