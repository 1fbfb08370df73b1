"""`python -m daemons.watcher` does the same as `towpath watcher`."""

import sys

from daemons.watcher.cli import main
from shared.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("watcher", main, sys.argv[1:]))
