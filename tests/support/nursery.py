"""A process that has imported every daemon and forks one a request.

    python -m tests.support.nursery DESCRIPTOR

Importing takes most of a second, which hundreds of daemons would pay each; a fork takes
milliseconds. The nursery has neither a loop nor a thread. Each connection is one daemon: which one
it is, its arguments, its environment and its streams come in, its process id and then its exit
status go out. `tests.support.daemon` is the other end.
"""

import gc
import importlib
import json
import mimetypes
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

import botocore.session

from shared.aws import clients
from shared.cli import run_command
from tests.support import quick_sdk
from tests.support.skew import shift_clocks

# What daemons import only when it is needed.
_LATE = (
    "anyio._backends._asyncio",
    "anyio._core._fileio",
    "anyio._core._signals",
    "encodings.idna",
    "importlib.readers",
    "shared.background",
    "shared.commands",
    "shared.lives",
    "shared.log",
    "shared.reloading",
    "uvloop",
)
_LATE_OF = MappingProxyType(
    {
        "collector": ("cli", "opening", "preview"),
        "dispatcher": ("cli", "opening", "preview", "retry"),
        "ingester": ("cli", "opening", "preview"),
        "uploader": ("cli", "opening", "preview"),
        "watcher": ("cli", "opening", "preview", "putback"),
    }
)
"""The services that can be born here, and their own modules."""
_DOOMED = MappingProxyType(
    {
        "collector": ("RunoutJobs",),
        "dispatcher": ("ChunkJobs", "Dispatcher"),
        "ingester": ("Surroundings",),
        "uploader": ("FileJobs",),
        "watcher": ("CidJobs",),
    }
)
"""What a service's `opening` makes that takes a `step`: the one seam that settings do not reach."""
_LONGEST_REQUEST = 1024 * 1024
_STREAMS = 2


@dataclass(frozen=True, slots=True)
class Birth:
    """What a daemon is born with."""

    argv: Sequence[str]
    environ: Mapping[str, str]
    service: str = "uploader"
    step: str = ""
    """A step of its work (see its jobs); empty: none is the last one."""
    occurrence: int = 1
    """The daemon ends itself by SIGKILL when it comes to the step for this time."""
    skew_hours: float = 0.0
    """So far is the wall clock of what takes part in the hand-shake off."""

    def encoded(self) -> bytes:
        """Return what goes through the socket, length first."""
        text = json.dumps(asdict(self)).encode()
        return len(text).to_bytes(4) + text


def main(argv: Sequence[str]) -> None:
    """Serve on the listening socket with the given number until killed."""
    for name in _LATE:
        importlib.import_module(name)
    for service, names in _LATE_OF.items():
        for name in names:
            importlib.import_module(f"daemons.{service}.{name}")
    _load_service_models()
    # What was imported is never collected: looking it through, to be copied page by page, is half
    # of what a short life costs.
    gc.freeze()
    # Keepers that end are nobody's children to wait for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=int(argv[0])) as listener:
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _keep(connection)
            connection.close()


def _load_service_models() -> None:
    """Load what botocore knows of services once; parsing it anew is half of a daemon's start."""
    loader = clients._loader()
    for service in ("s3", "sts", "lambda", "cloudfront"):
        for kind in ("service-2", "endpoint-rule-set-1"):
            loader.load_service_model(service, kind)
    loader.load_data("endpoints")
    loader.load_data("partitions")
    mimetypes.init()
    # What its own clients ask, the nursery's children then know.
    quick_sdk.remember()
    for service in ("s3", "sts"):
        botocore.session.Session().create_client(
            service, "eu-west-1", aws_access_key_id="none", aws_secret_access_key="none"
        )


def _keep(connection: socket.socket) -> None:
    """Fork one daemon, tell its process id, wait for it, tell how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    birth, streams = _receive(connection)
    pid = os.fork()
    if pid == 0:
        connection.close()
        _live(birth, streams)
    for stream in streams:
        os.close(stream)
    connection.sendall(pid.to_bytes(4))
    _, status = os.waitpid(pid, 0)
    with connection:
        connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, signed=True))
    os._exit(0)


def _receive(connection: socket.socket) -> tuple[Birth, Sequence[int]]:
    head, streams, _, _ = socket.recv_fds(connection, 4, _STREAMS)
    size = int.from_bytes(head)
    text = bytearray()
    while len(text) < size:
        piece = connection.recv(min(_LONGEST_REQUEST, size - len(text)))
        if not piece:
            os._exit(1)
        text += piece
    return Birth(**json.loads(text)), streams


def _live(birth: Birth, streams: Sequence[int]) -> None:
    """Be the daemon, as `python -m daemons.SERVICE` would be it."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, stream in enumerate((nothing, *streams)):
        os.dup2(stream, number)
        os.close(stream)
    # The nursery's own may have been made for files, and these are pipes.
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", errors="backslashreplace")
    os.environ.clear()
    os.environ.update(birth.environ)
    os.chdir(birth.environ["HOME"])
    if birth.step:
        _doom(birth)
    if birth.skew_hours:
        shift_clocks(birth.service, birth.skew_hours)
    sys.argv = [f"daemons.{birth.service}", *birth.argv]
    cli: Any = importlib.import_module(f"daemons.{birth.service}.cli")
    sys.exit(run_command(birth.service, cli.main, birth.argv))


@dataclass(slots=True)
class _Doom:
    """Ends the process at a step."""

    birth: Birth
    seen: int = field(default=0)

    def __call__(self, step: str) -> None:
        self.seen += step == self.birth.step
        if self.seen == self.birth.occurrence:
            os.kill(os.getpid(), signal.SIGKILL)


def _doom(birth: Birth) -> None:
    opening: Any = importlib.import_module(f"daemons.{birth.service}.opening")
    step = _Doom(birth)
    for name in _DOOMED[birth.service]:
        setattr(opening, name, partial(getattr(opening, name), step=step))


if __name__ == "__main__":
    main(sys.argv[1:])
