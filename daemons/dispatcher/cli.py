"""The command `towpath dispatcher`: arguments to settings to life cycle, and no decisions."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from daemons.dispatcher.settings import Settings, state_folder
from shared.daemon_command import Action, DaemonCommand, Look, OpenDaemon, run_daemon_command

if TYPE_CHECKING:
    from shared.status import Status

# The rest is imported where it is used: --help and errors of usage answer in a fraction of the
# time that aiobotocore needs to load.
# ruff: noqa: PLC0415

SUMMARY = "make a job in the bucket of every chunk of positions that has no answer yet"


def main(argv: Sequence[str]) -> int:
    """Run the dispatcher, or one of the things that can be done instead; returns the status."""
    command = DaemonCommand(
        service="dispatcher",
        settings=Settings,
        state_folder=state_folder,
        open_daemon=_open_daemon,
        show_plan=_show_plan,
        run_checks=_run_checks,
        render_status=_render_status,
        root=lambda settings: settings.project,
        actions=(
            Action(
                flag="--retry",
                help="let CIDs out of quarantine, or 'all'; the next pass tries them",
                run=_retry,
                metavar="CID",
                several=True,
            ),
        ),
    )
    return run_daemon_command(command, argv)


def _open_daemon() -> OpenDaemon[Settings]:
    from daemons.dispatcher.opening import open_daemon

    return open_daemon


def _show_plan() -> Look[Settings]:
    from daemons.dispatcher.preview import show_plan

    return show_plan


def _run_checks() -> Look[Settings]:
    from daemons.dispatcher.preview import run_checks

    return run_checks


def _render_status() -> "Callable[[Status, datetime], str]":
    from daemons.dispatcher.status import render_status

    return render_status


def _retry() -> Callable[[Settings, Path, str], int]:
    from daemons.dispatcher.retry import retry

    return retry
