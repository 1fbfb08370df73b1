#!/usr/bin/env python3
"""`towpath glacier submit` under its old name: the same flags, run by any Python.

Different from the old one: the service is Lambda where none is named, a run without names, index
or `--all` is refused, and the exit status is not 0 when something failed.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

_USAGE = 2


def main() -> NoReturn:
    """Become the command; exits where it is not installed."""
    own = Path(__file__).resolve().parents[2] / ".venv" / "bin" / "towpath"
    program = str(own) if os.access(own, os.X_OK) else shutil.which("towpath")
    if program is None:
        sys.stderr.write("submit_aws_job.py: towpath is not installed; run 'make install'\n")
        sys.exit(_USAGE)
    os.execv(program, [program, "glacier", "submit", *sys.argv[1:]])  # noqa: S606 - it is our own


if __name__ == "__main__":
    main()
