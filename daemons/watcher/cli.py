"""The command `towpath watcher`: arguments to settings to life cycle, and no decisions."""

from collections.abc import Callable, Sequence
from pathlib import Path

from daemons.watcher.settings import Settings, state_folder
from shared.daemon_command import (
    Action,
    DaemonCommand,
    Look,
    OpenDaemon,
    RenderStatus,
    run_daemon_command,
)

# The rest is imported where it is used: --help and errors of usage answer in a fraction of the
# time that aiobotocore needs to load.
# ruff: noqa: PLC0415

SUMMARY = "claim jobs in S3, compute each one's closest detections, push and commit the result"


def main(argv: Sequence[str]) -> int:
    """Run the watcher, or one of the things that can be done instead; returns the exit status."""
    command = DaemonCommand(
        service="watcher",
        settings=Settings,
        state_folder=state_folder,
        open_daemon=_open_daemon,
        show_plan=_show_plan,
        run_checks=_run_checks,
        render_status=_render_status,
        root=lambda settings: settings.root,
        finishes=True,
        actions=[
            Action(
                "--retry",
                "let parked CIDs be tried again, or 'all'",
                _put_back,
                "CID",
                several=True,
            )
        ],
    )
    return run_daemon_command(command, argv)


def _open_daemon() -> OpenDaemon[Settings]:
    from daemons.watcher.opening import open_daemon

    return open_daemon


def _show_plan() -> Look[Settings]:
    from daemons.watcher.preview import show_plan

    return show_plan


def _run_checks() -> Look[Settings]:
    from daemons.watcher.preview import run_checks

    return run_checks


def _render_status() -> RenderStatus:
    from daemons.watcher.status import render_status

    return render_status


def _put_back() -> Callable[[Settings, Path, str], int]:
    from daemons.watcher.putback import put_back_cids

    return put_back_cids
