"""How a command beside the run is called: its line, the project, one process at a time.

A command says its verb, what it is for and its own flags; the rest is the same for all. Rule: the
project is known, sites and keys included, before anything is opened.
"""

import argparse
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup, TaskStatus

from daemons.ingester.completing import complete
from daemons.ingester.project.loading import Project, load_project
from daemons.ingester.settings import Settings, state_folder
from shared.checks import shown
from shared.errors import ExitStatus
from shared.files import ready_folder
from shared.lifecycle import run
from shared.lock import hold_lock
from shared.log import configure_logging
from shared.redact import redact_text
from shared.settings import load_settings
from shared.status import STATUS_NAME, default_state_folder, read_status

if TYPE_CHECKING:
    from daemons.ingester.account.sessions import Central

AddFlags = Callable[[argparse.ArgumentParser], None]

FORMATS = ("text", "json")
_COMMON = ("root", "sites", "endpoint_url", "state_directory", "log_level", "log_form")
"""The options that every command takes."""


@dataclass(frozen=True, slots=True)
class Verb:
    """A command."""

    name: str
    description: str
    """What `--help` begins with."""
    options: tuple[str, ...] = ()
    """The run's options that it takes besides the common ones, by field."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a command."""

    verb: Verb
    settings: Settings
    arguments: argparse.Namespace
    """The command's own flags."""
    state: Path

    def project(self, *, local_only: bool = False) -> Project:
        """Return the chosen sites; UsageError for what is wrong with the project as a whole."""
        return load_project(
            self.settings.root,
            self.state,
            wanted=self.settings.sites,
            environ=os.environ,
            local_only=local_only,
        )

    @asynccontextmanager
    async def accounts(self, project: Project) -> AsyncIterator["Central"]:
        """Open AWS as the automation user, for the length of a block."""
        # Imported late: the SDK takes a second to load, and errors of usage do not wait for it.
        from daemons.ingester.account.sessions import open_central  # noqa: PLC0415 - see above

        if project.keys is None:
            raise RuntimeError("the project was read without keys")
        async with open_central(project.keys, endpoint_url=self.settings.endpoint_url) as central:
            yield central

    def complain(self, site_id: str, reasons: Iterable[str]) -> None:
        """Say what is wrong with a site, a line each, on stderr."""
        lines = [line for reason in reasons for line in reason.splitlines()]
        prefix = f"towpath ingester {self.verb.name}: "
        named = (
            line if line.startswith("site ") else f"site {site_id!r}: {line}" for line in lines
        )
        sys.stderr.write("".join(f"{prefix}{redact_text(shown(line))}\n" for line in named))


def read_call(verb: Verb, argv: Sequence[str], add_flags: AddFlags) -> Call:
    """Read line, environment and file, and set the log up; UsageError.

    The file is the run's: what it says to a run alone is checked and not looked at.
    """

    def add(parser: argparse.ArgumentParser) -> None:
        parser.prog = f"towpath ingester {verb.name}"
        parser.description = verb.description
        add_flags(parser)

    loaded = load_settings(
        Settings,
        argv,
        os.environ,
        service="ingester",
        extra=add,
        flags=(*_COMMON, *verb.options),
    )
    settings = complete(loaded)
    configure_logging("ingester", level=settings.log_level, form=settings.log_form)
    return Call(verb, settings, loaded.arguments, _state_of(settings))


def _state_of(settings: Settings) -> Path:
    """Return the state folder of the runs that are done in this project.

    Those of a unit keep theirs in the base folder: what a command marks must be found by the unit's
    next run, and what has been read once need not be read again.
    """
    folder = state_folder(settings, os.environ)
    if settings.state_directory is not None or (folder / STATUS_NAME).exists():
        return folder
    base = default_state_folder("ingester", os.environ)
    status = read_status(base)
    is_ours = status is not None and status.details.get("root") == str(settings.root.absolute())
    return base if is_ours else folder


def add_format(parser: argparse.ArgumentParser) -> None:
    """Add `--format`."""
    parser.add_argument(
        "--format", choices=FORMATS, default="text", help="for people, or for programs"
    )


@contextmanager
def hold_data(project: Project) -> Iterator[None]:
    """Have the local files to ourselves; AlreadyRunning where a run, or another command, has them.

    Made is the data folder where it is not there yet: the first sync fills it. UsageError where it,
    or the state folder, may not be written into.
    """
    ready_folder(project.data.absolute(), "data folder")
    ready_folder(project.state, "state folder", mode=0o700)
    advice = "wait for its end, or stop it"
    with hold_lock(project.data, notes=project.state, advice=advice):
        yield


def run_command(main: Callable[[], Awaitable[ExitStatus]]) -> ExitStatus:
    """Run a command's asynchronous part; SIGTERM and SIGINT cancel it, and what it opened closes.

    Cancelled it ends with 130, having undone what it must not leave behind.
    """
    return run(lambda: _until_told_otherwise(main))


async def _until_told_otherwise(main: Callable[[], Awaitable[ExitStatus]]) -> ExitStatus:
    status = ExitStatus.INTERRUPTED
    async with anyio.create_task_group() as tasks:
        await tasks.start(_cancel_on_signal, tasks)
        status = await main()
        tasks.cancel_scope.cancel()
    return status


async def _cancel_on_signal(
    tasks: TaskGroup, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            tasks.cancel_scope.cancel()
            return
