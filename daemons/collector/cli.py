"""The command `towpath collector`: arguments to settings to life cycle, and no decisions."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from daemons.collector.settings import Settings
from shared.daemon_command import DaemonCommand, Look, OpenDaemon, run_daemon_command

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shared.status import Status

# The rest is imported where it is used: --help and errors of usage answer in a fraction of the
# time that aiobotocore needs to load.
# ruff: noqa: PLC0415

SUMMARY = "pull finished results from S3 and merge them into the central folder, never overwriting"


def main(argv: Sequence[str]) -> int:
    """Run the collector, or one of the things that can be done instead; returns the status."""
    command = DaemonCommand(
        service="collector",
        settings=Settings,
        state_folder=_state_folder,
        open_daemon=_open_daemon,
        show_plan=_show_plan,
        run_checks=_run_checks,
        render_status=_render_status,
        root=lambda settings: settings.root,
    )
    return run_daemon_command(command, argv)


def _state_folder(settings: Settings, environ: "Mapping[str, str]") -> "Path":
    from daemons.collector.settings import state_folder

    return state_folder(settings, environ)


def _open_daemon() -> OpenDaemon[Settings]:
    from daemons.collector.opening import open_daemon

    return open_daemon


def _show_plan() -> Look[Settings]:
    from daemons.collector.preview import show_plan

    return show_plan


def _run_checks() -> Look[Settings]:
    from daemons.collector.preview import run_checks

    return run_checks


def _render_status() -> "Callable[[Status, datetime], str]":
    from daemons.collector.status import render_status

    return render_status
