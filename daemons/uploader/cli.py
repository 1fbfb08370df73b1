"""The command `towpath uploader`: arguments to settings to life cycle, and no decisions."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from daemons.uploader.settings import Settings
from shared.daemon_command import (
    Action,
    DaemonCommand,
    Look,
    OpenDaemon,
    RenderStatus,
    default_state_of,
    run_daemon_command,
)
from shared.errors import ExitStatus

# The rest is imported where it is used: --help and errors of usage answer in a fraction of the
# time that aiobotocore needs to load.
# ruff: noqa: PLC0415

SUMMARY = "send what settles below output/s3/<bucket>/<key> to S3, verified, and remove it"


def main(argv: Sequence[str]) -> int:
    """Run the uploader, or one of the things that can be done instead; returns the exit status."""
    command = DaemonCommand(
        service="uploader",
        settings=Settings,
        state_folder=state_folder,
        open_daemon=_open_daemon,
        show_plan=_show_plan,
        run_checks=_run_checks,
        render_status=_render_status,
        root=lambda settings: settings.directory,
        actions=[
            Action("--retry-parked", "ask the daemon to try parked files again", _request_retry)
        ],
    )
    return run_daemon_command(command, argv)


def state_folder(settings: Settings, environ: Mapping[str, str]) -> Path:
    """Return where this uploader keeps its state: one folder a root, so that roots never mix."""
    return settings.state_directory or default_state_of("uploader", settings.directory, environ)


def _open_daemon() -> OpenDaemon[Settings]:
    from daemons.uploader.opening import open_daemon

    return open_daemon


def _show_plan() -> Look[Settings]:
    from daemons.uploader.preview import show_plan

    return show_plan


def _run_checks() -> Look[Settings]:
    from daemons.uploader.preview import run_checks

    return run_checks


def _render_status() -> RenderStatus:
    from daemons.uploader.status import render_status

    return render_status


def _request_retry() -> Callable[[Settings, Path, str], int]:
    def ask(_settings: Settings, folder: Path, _value: str) -> int:
        from daemons.uploader.status import request_retry

        request_retry(folder)
        sys.stdout.write("asked; the next pass tries parked files again\n")
        return ExitStatus.DONE

    return ask
