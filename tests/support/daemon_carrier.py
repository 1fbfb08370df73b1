"""The command of a daemon that writes down what is done to it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from shared.daemon_command import Action, DaemonCommand
from shared.daemon_settings import DaemonSettings
from shared.errors import ExitStatus
from shared.lifecycle import Control
from shared.status import Status, ago


class Settings(DaemonSettings):
    """Carry things along."""


@dataclass
class Report:
    """What a pass of the carrier did."""

    failed: int

    def fields(self) -> Mapping[str, object]:
        """All counts."""
        return {"failed": self.failed}


@dataclass
class Carrier:
    """A daemon that writes down what is done to it."""

    failed: int = 0
    seen: list[str] = field(default_factory=list)

    async def run(self, control: Control) -> None:
        """Run on: end at once, as if stopped."""
        self.seen.append("run")

    async def run_once(self) -> Report:
        """Do one pass."""
        self.seen.append("pass")
        return Report(self.failed)

    @asynccontextmanager
    async def open(
        self, settings: Settings, folder: Path, control: Control
    ) -> AsyncIterator["Carrier"]:
        """Be open for a block."""
        self.seen.append(f"open {folder.name} {settings.log_level}")
        yield self
        self.seen.append("closed")

    async def look(self, settings: Settings, folder: Path) -> ExitStatus:
        """Look without touching."""
        self.seen.append(f"look {folder.name}")
        return ExitStatus.UNREACHABLE

    def act(self, settings: Settings, folder: Path, value: str) -> int:
        """Do something else."""
        self.seen.append(f"act {folder.name} {value!r}")
        return ExitStatus.PARTLY_DONE


def command(carrier: Carrier, folder: Path) -> DaemonCommand[Settings]:
    """Make the carrier's command."""

    def rendered(status: Status, now: datetime) -> str:
        return f"{status.service} wrote {ago(status.age(now).total_seconds())}\n"

    return DaemonCommand(
        service="carrier",
        settings=Settings,
        state_folder=lambda settings, _: settings.state_directory or folder,
        open_daemon=lambda: carrier.open,
        show_plan=lambda: carrier.look,
        run_checks=lambda: carrier.look,
        render_status=lambda: rendered,
        actions=[
            Action("--forget", "forget everything", lambda: carrier.act),
            Action("--retry", "try again", lambda: carrier.act, metavar="CID", several=True),
            Action("--name", "be called", lambda: carrier.act, metavar="NAME"),
        ],
    )
