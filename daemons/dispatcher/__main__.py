"""`python -m daemons.dispatcher` does the same as `towpath dispatcher`."""

import sys

from daemons.dispatcher.cli import main
from shared.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("dispatcher", main, sys.argv[1:]))
