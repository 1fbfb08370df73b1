"""`python -m daemons.uploader` does the same as `towpath uploader`."""

import sys

from daemons.uploader.cli import main
from shared.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("uploader", main, sys.argv[1:]))
