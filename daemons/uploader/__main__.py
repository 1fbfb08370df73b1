"""`python -m daemons.uploader` does the same as `towpath uploader`."""

import sys

from daemons.uploader.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
