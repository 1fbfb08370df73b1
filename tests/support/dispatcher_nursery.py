"""The nursery of dispatchers: `tests.support.nursery`, with another daemon in the cradle.

python -m tests.support.dispatcher_nursery DESCRIPTOR
"""

import importlib
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

from daemons.dispatcher.cli import main as run_dispatcher
from daemons.dispatcher.job import ChunkJobs
from daemons.dispatcher.service import Dispatcher
from shared.cli import run_command
from tests.support import nursery
from tests.support.daemon import LIMIT_SECONDS, PROJECT, Nursery, clean_environment

_LATE = (
    "daemons.dispatcher.opening",
    "daemons.dispatcher.preview",
    "daemons.dispatcher.retry",
)


@contextmanager
def open_dispatcher_nursery() -> Iterator[Nursery]:
    """Run a nursery of dispatchers for the length of a block."""
    # Bound here, so that a daemon may be asked for while the nursery still imports.
    with TemporaryDirectory(prefix="nursery-") as folder, socket.socket(socket.AF_UNIX) as listener:
        address = f"{folder}/socket"
        listener.bind(address)
        listener.listen(64)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.dispatcher_nursery", str(listener.fileno())],
            cwd=PROJECT,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
        )
        try:
            yield Nursery(address)
        finally:
            process.kill()
            process.wait(LIMIT_SECONDS)


def _run(_service: str, _main: Callable[[Sequence[str]], int], argv: Sequence[str]) -> int:
    return run_command("dispatcher", run_dispatcher, argv)


def _doom(birth: nursery.Birth) -> None:
    # The one seam that settings do not reach.
    opening: Any = importlib.import_module("daemons.dispatcher.opening")
    step = nursery._Doom(birth)
    opening.ChunkJobs = partial(ChunkJobs, step=step)
    opening.Dispatcher = partial(Dispatcher, step=step)


if __name__ == "__main__":
    for _name in _LATE:
        importlib.import_module(_name)
    _patched: Any = nursery
    _patched.run_command = _run
    _patched._doom = _doom
    nursery.main(sys.argv[1:])
