"""The real uploader as a process of its own, started as a person would start it."""

import signal
import sys
import time
from pathlib import Path

from scripts.demo.bell import Bell
from scripts.demo.children import Child, Children
from scripts.demo.embedded_s3 import EmbeddedS3
from scripts.demo.records import STABILITY_SECONDS
from scripts.demo.stage import DemoFailed, within

_INTERVAL_SECONDS = 2
_GRACE_SECONDS = 5
_READY_SECONDS = 30.0
_KILLED_SECONDS = 10.0
_CLOSING_SECONDS = 20.0
"""What its life cycle allows itself after the grace, and a little."""


class UploaderDaemon:
    """Starts, kills and stops the daemon; all its lives log into one file."""

    def __init__(self, folder: Path, s3: EmbeddedS3, children: Children, bell: Bell) -> None:
        self.root = folder / "output" / "s3"
        self.state = folder / "state"
        self.log = folder / "uploader.log"
        self._config = folder / "uploader.toml"
        self._s3 = s3
        self._children = children
        self._bell = bell
        self._child: Child | None = None
        self._ending = False

    @property
    def pid(self) -> int:
        """The process id of the present life, or the last."""
        return self._child.pid if self._child else 0

    async def start(self) -> float:
        """Start it and wait until it says that it is ready; returns the seconds that took."""
        # A file of its own, so that no other one on this machine is read.
        self._config.write_text(f"grace_seconds = {_GRACE_SECONDS}\n")
        began = time.monotonic()
        self._child = await self._children.start(
            "uploader",
            [
                str(Path(sys.executable).with_name("towpath")),
                *("uploader", "--config", str(self._config)),
                *("-d", str(self.root), "-i", str(_INTERVAL_SECONDS)),
                *("-s", f"{STABILITY_SECONDS:g}", "--endpoint-url", self._s3.server.url),
                *("--state-directory", str(self.state), "--log-form", "json"),
            ],
            log=self.log,
            environ={**self._s3.server.environment(), **self._bell.environment},
        )
        self._ending = False
        with within(_READY_SECONDS, f"the uploader to be ready; see {self.log}"):
            await self._bell.ready()
        return time.monotonic() - began

    def check(self) -> None:
        """Raise DemoFailed if it ended by itself."""
        if self._child is not None and not self._child.running and not self._ending:
            status = self._child.process.returncode
            raise DemoFailed(f"the uploader ended by itself, status {status}; see {self.log}")

    async def kill(self) -> int:
        """End it by SIGKILL; returns its status."""
        return await self._end(signal.SIGKILL, _KILLED_SECONDS)

    async def stop(self) -> int:
        """End it by SIGTERM, as systemd does; returns its status."""
        return await self._end(signal.SIGTERM, _GRACE_SECONDS + _CLOSING_SECONDS)

    async def _end(self, number: signal.Signals, seconds: float) -> int:
        if self._child is None:
            raise DemoFailed("the uploader was never started")
        self.check()
        self._ending = True
        self._child.send(number)
        return await self._child.ended(seconds)
