"""`python -m daemons.ingester` does the same as `towpath ingester`."""

import sys

from daemons.ingester.cli import main
from shared.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("ingester", main, sys.argv[1:]))
