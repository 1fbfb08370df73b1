"""PROD and two EC2 machines: each a folder of its own, each daemon a process of its own."""

import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.demo.bell import Bell
from scripts.demo.children import Child, Children
from scripts.demo.stage import DemoFailed, within

BUCKET = "sky-handshake"
LEASE_SECONDS = 4.0
RADIUS_ARCSEC = 5.0
_READY_SECONDS = 30.0
_END_SECONDS = 40.0
_USUAL = ("--log-form", "json", "--grace", "5")
_PROD = ("--poll", "1")
_EC2 = (
    *("--poll", "1", "--lease", f"{LEASE_SECONDS:g}", "--radius", f"{RADIUS_ARCSEC:g}"),
    *("--attempts", "2", "--first-delay", "1"),
)


@dataclass(slots=True)
class Site:
    """A machine of the story."""

    name: str
    root: Path

    @property
    def positions(self) -> Path:
        """Where PROD's chunks and the archive's answers lie."""
        return self.root / "data/local-cats/tmp/positions/new"

    @property
    def central(self) -> Path:
        """Where PROD's results end."""
        return self.root / "data/local-cats/tmp/positions/aws_compare_out"

    def cids_in_work(self) -> Sequence[str]:
        """Return the CIDs that a watcher of this machine has in hand."""
        return [path.name for path in self.root.glob("work/*/[0-9][0-9][0-9][0-9][0-9]")]


class Daemons:
    """Starts and ends the daemons; each logs into a file of its own."""

    def __init__(
        self, folder: Path, children: Children, bell: Bell, environ: Mapping[str, str]
    ) -> None:
        self._folder = folder
        self._children = children
        self._bell = bell
        self._environ = {**environ, "BUCKET": BUCKET, "WORKERS": "2"}
        self._running: dict[str, Child] = {}

    def site(self, name: str) -> Site:
        """Return a machine, its folders made."""
        site = Site(name, self._folder / name)
        site.positions.mkdir(parents=True, exist_ok=True)
        return site

    async def start(self, service: str, site: Site, *more: str) -> int:
        """Start a daemon and wait until it is ready; returns its process id."""
        key = f"{service}-{site.name}"
        log = self._folder / f"{key}.log"
        usual = _EC2 if service == "watcher" else _PROD
        state = self._folder / f"{key}.state"
        config = self._folder / "empty.toml"
        # A file of its own, so that no other one on this machine is read.
        config.touch()
        child = await self._children.start(
            key,
            [
                *(str(Path(sys.executable).with_name("towpath")), service, "--config", str(config)),
                *("--root", str(site.root), "--state-directory", str(state)),
                *(*usual, *_USUAL, *more),
            ],
            log=log,
            environ={**self._environ, **self._bell.environment},
        )
        self._running[key] = child
        with within(_READY_SECONDS, f"the {key} to be ready; see {log}"):
            await self._bell.ready()
        return child.pid

    def check(self) -> None:
        """Raise DemoFailed if a daemon ended by itself."""
        for key, child in self._running.items():
            if not child.running:
                status = child.process.returncode
                log = self._folder / f"{key}.log"
                raise DemoFailed(f"the {key} ended by itself, status {status}; see {log}")

    async def kill(self, service: str, site: Site) -> int:
        """End a daemon by SIGKILL; returns its status."""
        child = self._running.pop(f"{service}-{site.name}")
        child.send(signal.SIGKILL)
        return await child.ended(_END_SECONDS)

    async def stop_all(self) -> Mapping[str, int]:
        """End all of them by SIGTERM, as systemd does; returns their statuses."""
        running, self._running = self._running, {}
        for child in running.values():
            child.send(signal.SIGTERM)
        return {key: await child.ended(_END_SECONDS) for key, child in running.items()}

    async def ask_status(self) -> str:
        """Return what `towpath status` tells a person."""
        log = self._folder / "status.txt"
        command = [str(Path(sys.executable).with_name("towpath")), "status"]
        child = await self._children.start("status", command, log=log, environ=self._environ)
        await child.ended(_END_SECONDS)
        return log.read_text(encoding="utf-8", errors="replace")
