"""The command `towpath ingester`: a run, what can be done instead, and the commands beside it.

Rule: it decides nothing but which module is loaded; that one is loaded only when it is named.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from daemons.ingester.settings import Settings, state_folder
from shared.cli import summary
from shared.daemon_command import (
    DaemonCommand,
    Look,
    OpenDaemon,
    RenderStatus,
    run_daemon_command,
    run_with_statuses,
)
from shared.errors import ExitStatus, UsageError
from shared.settings import Loaded

# The rest is imported where it is used: --help, errors of usage and a run that is not due answer
# in a fraction of the time that aiobotocore needs to load.
# ruff: noqa: PLC0415

SUMMARY = "keep podcast sites in step with S3: fetch, transcribe, upload, have them indexed"

_RUN = "run"
_VERBS = (
    "gap",
    "sync",
    "consistency",
    "roles",
    "access",
    "rss-retrieval",
    "process-audio",
    "srt-indexing",
)
"""The commands beside the run; each is the module of its name in `daemons.ingester.commands`."""
_OLD_FLAGS = {
    "--force-local-indexing": "--force-index",
    "--skip-local-indexing": "--skip-cloud-indexing",
}
_STATUSES: Mapping[int, int] = {
    ExitStatus.CREDENTIALS: 2,
    ExitStatus.PARTLY_DONE: 1,
    ExitStatus.LOCKED: 3,
    ExitStatus.UNREACHABLE: 1,
    ExitStatus.SAFETY_STOP: 1,
}
"""0 done, 1 ended with errors, 2 nothing was begun, 3 another run has the lock, 130 interrupted."""


def main(argv: Sequence[str]) -> int:
    """Do a run, what can be done instead, or one of the other commands; returns the status."""
    word = argv[0] if argv else ""
    if word in _VERBS:
        return run_with_statuses(f"ingester {word}", _load(word), argv[1:], _STATUSES)
    if word and not word.startswith("-") and word != _RUN:
        raise UsageError(f"unknown command {word!r}; commands are {_RUN}, {', '.join(_VERBS)}")
    rest = argv[1:] if word == _RUN else argv
    command = DaemonCommand(
        service="ingester",
        settings=Settings,
        state_folder=state_folder,
        open_daemon=_open_daemon,
        show_plan=_show_plan,
        run_checks=_run_checks,
        render_status=_render_status,
        root=lambda settings: settings.root,
        finishes=True,
        runs_once=lambda settings: settings.schedule is None,
        before_pass=_not_due,
        complete=_complete,
        plan_flags=["--dry-run"],
        epilog=_epilog if {"-h", "--help"} & set(rest) else str,
        statuses=_STATUSES,
    )
    return run_daemon_command(command, [_OLD_FLAGS.get(each, each) for each in rest])


def _load(verb: str) -> Callable[[Sequence[str]], int]:
    """Return what runs a verb; imported when it is called."""

    def run(argv: Sequence[str]) -> int:
        from importlib import import_module

        module = import_module(_module(verb))
        chosen: Callable[[Sequence[str]], int] = module.main
        return chosen(argv)

    return run


def _module(verb: str) -> str:
    return f"daemons.ingester.commands.{verb.replace('-', '_')}"


def _epilog() -> str:
    # The braces are what `towpath completion` looks for.
    paragraphs = [
        "Other commands, each with a --help of its own:",
        f"{{{','.join(_VERBS)}}}",
        *(f"{verb}: {summary(_module(verb))}" for verb in _VERBS),
    ]
    return "\n\n".join(paragraphs)


def _complete(loaded: Loaded[Settings]) -> Settings:
    from daemons.ingester.completing import complete

    return complete(loaded)


def _not_due(settings: Settings, folder: Path) -> ExitStatus | None:
    """End at once where the last complete run of these sites is young enough."""
    if not settings.min_interval_hours:
        return None
    from daemons.ingester.project.sites import choose_sites, load_sites
    from daemons.ingester.runs.interval import load_interval

    wanted = choose_sites(load_sites(settings.root), settings.sites).known_ids
    now = datetime.now(UTC)
    least = timedelta(hours=settings.min_interval_hours)
    due = load_interval(folder).due_at(wanted, least, now, settings.confined_by)
    if due <= now:
        return None
    at = due.astimezone().strftime("%Y-%m-%d %H:%M")
    sys.stdout.write(f"nothing to do: the last complete run is young enough; due at {at}\n")
    return ExitStatus.DONE


def _open_daemon() -> OpenDaemon[Settings]:
    from daemons.ingester.opening import open_daemon

    return open_daemon


def _show_plan() -> Look[Settings]:
    from daemons.ingester.preview import show_plan

    return show_plan


def _run_checks() -> Look[Settings]:
    from daemons.ingester.preview import run_checks

    return run_checks


def _render_status() -> RenderStatus:
    from daemons.ingester.status import render_status

    return render_status
