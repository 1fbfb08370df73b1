"""The command of a daemon: run on, or do one of the things that can be done instead.

A daemon says in a `DaemonCommand` what is its own; the flags, the order in which things are opened
and the exit statuses are the same for all. Rule: whatever takes time to import is named by a
function that imports it when it is called, so that --help and errors of usage answer at once.
"""

import argparse
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from shared.cli import CommandMain, run_command
from shared.daemon_settings import BasicSettings
from shared.errors import ExitStatus, UsageError
from shared.settings import Loaded, load_settings

if TYPE_CHECKING:
    from shared.lifecycle import Control, Service
    from shared.lives import Setup
    from shared.status import Status

# The rest is imported where it is used, for the reason above.
# ruff: noqa: PLC0415

SettingsT = TypeVar("SettingsT", bound=BasicSettings)

OpenDaemon = Callable[[SettingsT, Path, "Control"], AbstractAsyncContextManager["Service"]]
"""Opens a daemon for the length of a block: settings, state folder, control."""
Look = Callable[[SettingsT, Path], Awaitable[ExitStatus]]
"""Prints what it finds and changes nothing: settings, state folder."""
RenderStatus = Callable[["Status", datetime], str]
"""Says in lines what status.json says, as of now."""


@dataclass(frozen=True)
class Action(Generic[SettingsT]):
    """One more thing that a daemon's command does instead of running on."""

    flag: str
    help: str
    run: Callable[[], Callable[[SettingsT, Path, str], int]]
    """Imports late and returns what is called: settings, state folder, value; an exit status."""
    metavar: str = ""
    """What the flag takes; empty: nothing, and the value is the empty text."""
    several: bool = False
    """The flag takes one value or more; they come as one text, separated by blanks."""


@dataclass(frozen=True)
class DaemonCommand(Generic[SettingsT]):
    """What a daemon's command has of its own."""

    service: str
    """One word: the sub-command, the package below `daemons` and the field in the log."""
    settings: type[SettingsT]
    state_folder: Callable[[SettingsT, Mapping[str, str]], Path]
    """Where the state lies, from settings and environment; see `default_state_of`."""
    open_daemon: Callable[[], OpenDaemon[SettingsT]]
    show_plan: Callable[[], Look[SettingsT]]
    run_checks: Callable[[], Look[SettingsT]]
    render_status: Callable[[], RenderStatus]
    actions: Sequence[Action[SettingsT]] = ()
    root: Callable[[SettingsT], Path] | None = None
    """The path that the daemon names as its `root` in its status. With it, whoever asks by hand for
    the status or an action finds a unit's state folder too; see `_Call.reporting_folder`."""
    finishes: bool = False
    """Before a reload the daemon finishes what it has in hand however long that lasts, instead of
    giving it up when the grace is over."""
    runs_once: Callable[[SettingsT], bool] = lambda _settings: False
    """Tells whether it does one pass and ends although nobody says `--once`."""
    before_pass: Callable[[SettingsT, Path], ExitStatus | None] = lambda _settings, _folder: None
    """Asked before anything is opened for one pass: a status is the end of the command."""
    complete: "Callable[[Loaded[SettingsT]], SettingsT]" = lambda loaded: loaded.settings
    """Completes what was read by what lies elsewhere; UsageError has a line for each mistake."""
    plan_flags: Sequence[str] = ()
    """Other flags that mean `--plan`."""
    epilog: Callable[[], str] = str
    """What stands below the options in the help."""
    statuses: Mapping[int, int] = field(default_factory=dict)
    """The numbers of a contract of its own, by our `ExitStatus`; the others stay."""


def run_daemon_command(command: DaemonCommand[SettingsT], argv: Sequence[str]) -> int:
    """Run a daemon's command with these arguments; returns its exit status.

    What a command without numbers of its own raises is raised.
    """
    if not command.statuses:
        return _run(command, argv)
    return run_with_statuses(command.service, partial(_run, command), argv, command.statuses)


def run_with_statuses(
    name: str, main: CommandMain, argv: Sequence[str], statuses: Mapping[int, int]
) -> int:
    """Run a command, and return the number that a contract has for the way it ended.

    Only an `ExitStatus` is replaced: a plain number is the contract's already.
    """
    status = run_command(name, main, argv)
    return statuses.get(status, status) if isinstance(status, ExitStatus) else status


def _run(command: DaemonCommand[SettingsT], argv: Sequence[str]) -> int:
    call = _read_call(command, argv)
    if call.arguments.stop:
        return call.stop()
    if call.arguments.status:
        return call.show_status()
    if call.arguments.background:
        return call.start_in_background()
    return call.run()


def default_state_of(service: str, guarded: Path, environ: Mapping[str, str]) -> Path:
    """Return where a service keeps its state: one folder for each path that it guards.

    So two of them on two paths never mix; a unit's own folder, given by systemd, is taken as it is.
    """
    from shared.status import default_state_folder

    base = default_state_folder(service, environ)
    if environ.get("STATE_DIRECTORY"):
        return base
    path = guarded.absolute()
    return base / f"{path.name or 'root'}-{sha256(bytes(path)).hexdigest()[:12]}"


def _add_flags(parser: argparse.ArgumentParser, command: DaemonCommand[SettingsT]) -> None:
    group = parser.add_argument_group("instead of running on")
    choice = group.add_mutually_exclusive_group()
    for flags, text in (
        (["--once"], "do one pass and exit"),
        (["--plan", *command.plan_flags], "print what a pass would do and change nothing"),
        (["--check"], "check settings, credentials and buckets"),
        (["--background"], "start and return to the shell"),
        (["--stop"], "stop the one in the background"),
        (["--status"], "show what the daemon last reported"),
    ):
        choice.add_argument(*flags, action="store_true", help=text)
    for action in command.actions:
        # Kept under the flag itself, which no setting can be called.
        if action.metavar:
            choice.add_argument(
                action.flag,
                dest=action.flag,
                nargs="+" if action.several else 1,
                metavar=action.metavar,
                help=action.help,
            )
        else:
            choice.add_argument(
                action.flag, dest=action.flag, action="store_const", const=(), help=action.help
            )
    group.add_argument(
        "--log-file", type=Path, metavar="FILE", help="with --background: where the log goes"
    )
    # For --background: the daemon holds a lock on this file for as long as it lives.
    group.add_argument("--pid-file", type=Path, help=argparse.SUPPRESS)


def _read_call(command: DaemonCommand[SettingsT], argv: Sequence[str]) -> "_Call[SettingsT]":
    """Read line, environment and file; UsageError."""

    def add_flags(parser: argparse.ArgumentParser) -> None:
        parser.epilog = command.epilog()
        _add_flags(parser, command)

    loaded = load_settings(
        command.settings, argv, os.environ, service=command.service, extra=add_flags
    )
    settings = command.complete(loaded)
    folder = command.state_folder(settings, os.environ)
    return _Call(command, argv, settings, loaded.arguments, loaded.config_file, folder)


@dataclass(frozen=True)
class _Call(Generic[SettingsT]):
    """One call of a daemon's command."""

    command: DaemonCommand[SettingsT]
    argv: Sequence[str]
    settings: SettingsT
    arguments: argparse.Namespace
    config_file: Path | None
    folder: Path

    @property
    def pid_file(self) -> Path:
        """The file that the one in the background holds a lock on."""
        given: Path | None = self.arguments.pid_file
        return given or self.folder / f"{self.command.service}.pid"

    def run(self) -> int:
        """Do an action, a look, or the daemon's work itself."""
        for action in self.command.actions:
            values: Sequence[str] | None = getattr(self.arguments, action.flag)
            if values is not None:
                self.set_up_log()
                return action.run()(self.settings, self.reporting_folder(), " ".join(values))
        if self.arguments.plan or self.arguments.check:
            from shared.lifecycle import run

            self.set_up_log()
            late = self.command.show_plan if self.arguments.plan else self.command.run_checks
            look = late()
            return run(lambda: look(self.settings, self.folder))
        return self._live()

    def set_up_log(self) -> None:
        """Have the log as the settings say."""
        from shared.log import configure_logging

        configure_logging(
            self.command.service, level=self.settings.log_level, form=self.settings.log_form
        )

    def _live(self) -> int:
        once = self.arguments.once or self.command.runs_once(self.settings)
        ended = self.command.before_pass(self.settings, self.folder) if once else None
        if ended is not None:
            return ended
        from shared.background import hold_pid_file
        from shared.lifecycle import run
        from shared.lives import run_service
        from shared.systemd import Notifier

        self.set_up_log()
        setup, notifier = self.setup(), Notifier(os.environ)

        async def live() -> ExitStatus:
            return await run_service(
                setup, notifier=notifier, once=once, read_again=self._read_again
            )

        with ExitStack() as stack:
            if self.arguments.pid_file is not None:
                stack.enter_context(hold_pid_file(self.arguments.pid_file))
            return run(live)

    def setup(self) -> "Setup":
        """Return what a life with these settings is opened with."""
        from shared.lives import Setup

        open_daemon, settings = self.command.open_daemon(), self.settings

        @asynccontextmanager
        async def opened(control: "Control") -> AsyncIterator["Service"]:
            async with open_daemon(settings, self.folder, control) as daemon:
                yield daemon if settings.metrics == "file" else self._published(daemon, control)

        return Setup(
            opened,
            settings.grace_seconds,
            values=dict(settings),
            prepare=self.set_up_log,
            finishes=self.command.finishes,
        )

    def _published(self, daemon: "Service", control: "Control") -> "Service":
        from shared.metrics_publisher import with_cloudwatch

        return with_cloudwatch(
            daemon,
            control.board,
            aws_region=self.settings.aws_region,
            profile=self.settings.profile,
        )

    def _read_again(self) -> "Setup":
        """Read everything as at the start; UsageError."""
        call = _read_call(self.command, self.argv)
        if self.command.runs_once(call.settings):
            raise UsageError(
                "with these settings it would do one pass and end; stop the daemon to have it so"
            )
        if self.config_file is not None and call.config_file is None:
            # Every option would fall back to its default, and nobody has asked for that.
            raise UsageError(
                f"the configuration file {str(self.config_file)!r} is not there any more; put it "
                "back, or start the daemon anew"
            )
        if self.arguments.pid_file is not None and call.folder != self.folder:
            raise UsageError(
                f"the state folder would move to {str(call.folder)!r}, where --stop looks for a "
                "daemon in the background; stop it and start it anew"
            )
        return call.setup()

    def start_in_background(self) -> int:
        """Start the daemon as a child of its own and wait until it is ready."""
        from shared.background import DiedAtOnce, start_in_background

        service = self.command.service
        log_file = self.arguments.log_file or self.folder / f"{service}.log"
        passed = [argument for argument in self.argv if argument != "--background"]
        command = [sys.executable, "-m", f"daemons.{service}", *passed]
        if self.arguments.pid_file is None:
            command += ["--pid-file", str(self.pid_file)]
        try:
            started = start_in_background(
                command, log_file=log_file, pid_file=self.pid_file, environ=os.environ
            )
        except DiedAtOnce as error:
            sys.stderr.write(f"towpath {service}: {error}\n")
            return error.exit_status
        state = "running" if started.ready else "started, not ready yet"
        sys.stdout.write(f"{state}: process {started.pid}, log {log_file}\n")
        return ExitStatus.DONE

    def stop(self) -> int:
        """Stop the one in the background."""
        from shared.background import stop_background
        from shared.lifecycle import CLEAN_UP_SECONDS

        # Closing has a limit of its own, and the process a moment to end.
        patience = self.settings.grace_seconds + CLEAN_UP_SECONDS + 5.0
        how = stop_background(self.pid_file, grace_seconds=patience)
        sys.stdout.write(f"{how.value}\n")
        return ExitStatus.DONE

    def reporting_folder(self) -> Path:
        """Return the state folder of the daemon that somebody means who asks by hand.

        | the folder that the settings lead to | the base folder, where a unit reports | taken     |
        |--------------------------------------|---------------------------------------|-----------|
        | was named, or has a status           | whatever it has                       | the first |
        | has none                             | a status that names the same root     | the base  |
        | has none                             | none, or that of another root         | the first |
        """
        if self.command.root is None or self.settings.state_directory is not None:
            return self.folder
        from shared.status import STATUS_NAME, default_state_folder, read_status

        base = default_state_folder(self.command.service, os.environ)
        if base == self.folder or (self.folder / STATUS_NAME).exists():
            return self.folder
        status = read_status(base)
        root = str(self.command.root(self.settings).absolute())
        return base if status is not None and status.details.get("root") == root else self.folder

    def show_status(self) -> int:
        """Print what the daemon last wrote into its state folder."""
        from shared.status import read_status

        folder = self.reporting_folder()
        status = read_status(folder)
        if status is None:
            raise UsageError(
                f"no {self.command.service} has reported into {str(folder)!r}; "
                "start one, or repeat the options that it was started with"
            )
        sys.stdout.write(self.command.render_status()(status, datetime.now(UTC)))
        return ExitStatus.DONE
