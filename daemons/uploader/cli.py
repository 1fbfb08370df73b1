"""The command `towpath uploader`: arguments to settings to life cycle, and no decisions."""

import argparse
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from daemons.uploader.settings import Settings
from shared.errors import ExitStatus, UsageError
from shared.settings import load_settings

# The rest is imported where it is used: --help and errors of usage answer in a fraction of the
# time that aiobotocore needs to load.
# ruff: noqa: PLC0415

SUMMARY = "send what settles below output/s3/<bucket>/<key> to S3, verified, and remove it"


def main(argv: Sequence[str]) -> int:
    """Run the uploader, or one of the things that can be done instead; returns the exit status."""
    loaded = load_settings(Settings, argv, os.environ, service="uploader", extra=_add_flags)
    settings, arguments = loaded.settings, loaded.arguments
    if arguments.stop:
        return _stop(settings, arguments)
    if arguments.status:
        return _show_status(settings)
    if arguments.retry_parked:
        return _request_retry(settings)
    if arguments.background:
        return _start_in_background(settings, arguments, argv)
    from shared.lifecycle import run
    from shared.log import configure_logging

    configure_logging("uploader", level=settings.log_level, form=settings.log_form)
    if arguments.plan or arguments.check:
        from daemons.uploader.preview import run_checks, show_plan

        return run(lambda: (show_plan if arguments.plan else run_checks)(settings))
    return _live(settings, arguments)


def _add_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("instead of running on")
    choice = group.add_mutually_exclusive_group()
    choice.add_argument("--once", action="store_true", help="do one pass and exit")
    choice.add_argument(
        "--plan", action="store_true", help="print what a pass would do and change nothing"
    )
    choice.add_argument(
        "--check", action="store_true", help="check settings, credentials and buckets"
    )
    choice.add_argument("--background", action="store_true", help="start and return to the shell")
    choice.add_argument("--stop", action="store_true", help="stop the one in the background")
    choice.add_argument("--status", action="store_true", help="show what the daemon last reported")
    choice.add_argument(
        "--retry-parked", action="store_true", help="ask the daemon to try parked files again"
    )
    group.add_argument(
        "--log-file", type=Path, metavar="FILE", help="with --background: where the log goes"
    )
    # For --background: the daemon holds a lock on this file for as long as it lives.
    group.add_argument("--pid-file", type=Path, help=argparse.SUPPRESS)


def _live(settings: Settings, arguments: argparse.Namespace) -> int:
    from contextlib import ExitStack

    from daemons.uploader.opening import Daemon, open_daemon
    from daemons.uploader.status import state_folder
    from shared.background import hold_pid_file
    from shared.lifecycle import Control, run, run_service
    from shared.systemd import Notifier

    folder = state_folder(settings, os.environ)
    notifier = Notifier(os.environ)

    @asynccontextmanager
    async def opened(control: Control) -> AsyncIterator[Daemon]:
        async with open_daemon(settings, folder, control) as daemon:
            yield daemon

    async def live() -> ExitStatus:
        return await run_service(
            opened, grace_seconds=settings.grace_seconds, notifier=notifier, once=arguments.once
        )

    with ExitStack() as stack:
        if arguments.pid_file is not None:
            stack.enter_context(hold_pid_file(arguments.pid_file))
        return run(live)


def _start_in_background(
    settings: Settings, arguments: argparse.Namespace, argv: Sequence[str]
) -> int:
    from daemons.uploader.status import state_folder
    from shared.background import DiedAtOnce, start_in_background

    folder = state_folder(settings, os.environ)
    pid_file = arguments.pid_file or folder / "uploader.pid"
    log_file = arguments.log_file or folder / "uploader.log"
    passed = [argument for argument in argv if argument != "--background"]
    command = [sys.executable, "-m", "daemons.uploader", *passed]
    if arguments.pid_file is None:
        command += ["--pid-file", str(pid_file)]
    try:
        started = start_in_background(
            command, log_file=log_file, pid_file=pid_file, environ=os.environ
        )
    except DiedAtOnce as error:
        sys.stderr.write(f"towpath uploader: {error}\n")
        return error.exit_status
    state = "running" if started.ready else "started, not ready yet"
    sys.stdout.write(f"{state}: process {started.pid}, log {log_file}\n")
    return ExitStatus.DONE


def _stop(settings: Settings, arguments: argparse.Namespace) -> int:
    from daemons.uploader.status import state_folder
    from shared.background import stop_background

    folder = state_folder(settings, os.environ)
    # The daemon's own clean-up may take a little longer than the grace it gives its uploads.
    patience = settings.grace_seconds + 20.0
    pid_file = arguments.pid_file or folder / "uploader.pid"
    how = stop_background(pid_file, grace_seconds=patience)
    sys.stdout.write(f"{how.value}\n")
    return ExitStatus.DONE


def _show_status(settings: Settings) -> int:
    from daemons.uploader.status import load_status, render_status, state_folder

    folder = state_folder(settings, os.environ)
    status = load_status(folder)
    if status is None:
        raise UsageError(f"no uploader has reported into {str(folder)!r}; start one, or name -d")
    sys.stdout.write(render_status(status, datetime.now(UTC)))
    return ExitStatus.DONE


def _request_retry(settings: Settings) -> int:
    from daemons.uploader.status import request_retry, state_folder

    request_retry(state_folder(settings, os.environ))
    sys.stdout.write("asked; the next pass tries parked files again\n")
    return ExitStatus.DONE
