"""A process that has imported everything and forks one daemon a request.

    python -m tests.support.nursery DESCRIPTOR

Importing takes most of a second, which hundreds of daemons would pay each; a fork takes
milliseconds. The nursery has neither a loop nor a thread. Each connection is one daemon: its
arguments, its environment and its streams come in, its process id and then its exit status go out.
`tests.support.daemon` is the other end.
"""

import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from aiobotocore.session import AioSession

from daemons.uploader.cli import main as run_uploader
from daemons.uploader.job import FileJobs
from shared.aws import clients
from shared.cli import run_command

# What the daemon imports only when it is needed.
_LATE = (
    "anyio._backends._asyncio",
    "daemons.uploader.opening",
    "daemons.uploader.preview",
    "shared.background",
    "shared.log",
    "uvloop",
)
_LONGEST_REQUEST = 1024 * 1024
_STREAMS = 2


@dataclass(frozen=True, slots=True)
class Birth:
    """What a daemon is born with."""

    argv: Sequence[str]
    environ: Mapping[str, str]
    step: str = ""
    """A step of a file's way (see `FileJobs`); empty: none is the last one."""
    occurrence: int = 1
    """The daemon ends itself by SIGKILL when it comes to the step for this time."""

    def encoded(self) -> bytes:
        """Return what goes through the socket, length first."""
        text = json.dumps(asdict(self)).encode()
        return len(text).to_bytes(4) + text


def main(argv: Sequence[str]) -> None:
    """Serve on the listening socket with the given number until killed."""
    for name in _LATE:
        importlib.import_module(name)
    _share_service_models()
    # Keepers that end are nobody's children to wait for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=int(argv[0])) as listener:
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _keep(connection)
            connection.close()


def _share_service_models() -> None:
    """Load what botocore knows of S3 and STS once; parsing it anew is half of a daemon's start."""
    loader = AioSession().get_component("data_loader")
    for service in ("s3", "sts"):
        for kind in ("service-2", "endpoint-rule-set-1"):
            loader.load_service_model(service, kind)
    loader.load_data("endpoints")
    loader.load_data("partitions")
    original = clients._session

    def with_models(settings: clients.ClientSettings) -> AioSession:
        session = original(settings)
        session.register_component("data_loader", loader)
        return session

    clients._session = with_models


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
    """Be the daemon, as `python -m daemons.uploader` would be it."""
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
    sys.argv = ["daemons.uploader", *birth.argv]
    sys.exit(run_command("uploader", run_uploader, birth.argv))


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
    # The one seam that settings do not reach.
    opening: Any = importlib.import_module("daemons.uploader.opening")
    opening.FileJobs = partial(FileJobs, step=_Doom(birth))


if __name__ == "__main__":
    main(sys.argv[1:])
