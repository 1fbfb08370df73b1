"""How a demonstration hears that a daemon is ready: as systemd does, on `NOTIFY_SOCKET`."""

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import UNIXDatagramSocket


class Bell:
    """Waits for what daemons say; made by `open_bell`."""

    def __init__(self, heard: UNIXDatagramSocket, path: Path) -> None:
        self._heard = heard
        self._path = path

    @property
    def environment(self) -> Mapping[str, str]:
        """The variable that leads a daemon here."""
        return {"NOTIFY_SOCKET": str(self._path)}

    async def ready(self) -> None:
        """Wait until a daemon says that start-up is over; the caller bounds the wait."""
        while True:
            message, _ = await self._heard.receive()
            if b"READY=1" in message.splitlines():
                return


@asynccontextmanager
async def open_bell() -> AsyncIterator[Bell]:
    """Listen for the length of a block."""
    # Not in the demonstration's own folder: the path of a socket may have 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="towpath-demo-") as folder:
        path = Path(folder) / "notify"
        async with await anyio.create_unix_datagram_socket(local_path=path) as heard:
            yield Bell(heard, path)
