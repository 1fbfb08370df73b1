"""Run a command that ends with its parent: `python -m scripts.demo.leash PARENT COMMAND...`.

Who ends a demonstration by SIGKILL leaves it no time to end its children, so the kernel is asked to
(Linux; elsewhere the command just runs). The setting outlives exec, and doing it here instead of
between fork and exec keeps threads of the parent out of it.
"""

import ctypes
import os
import signal
import sys
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
"""From <sys/prctl.h>; the standard library does not name it."""


def main() -> NoReturn:
    """Set the death signal and become the command, unless the parent is gone already."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != int(parent):
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - becoming the command is the purpose


if __name__ == "__main__":
    main()
