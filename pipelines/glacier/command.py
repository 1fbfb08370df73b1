"""The command `towpath glacier`: which part of it, and no decisions.

Exit statuses: 0 done · 1 something failed · 2 bad input, or nothing could be checked or sent.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from shared.cli import summary
from shared.errors import ExitStatus, UsageError

SUMMARY = "run satellite, glacier regions and dates next to the imagery on AWS"

_VERBS = {
    "submit": "pipelines.glacier.submit.command",
    "status": "pipelines.glacier.status.command",
    "check": "pipelines.glacier.checking.command",
    "sync": "pipelines.glacier.transfer.sync_command",
    "verify": "pipelines.glacier.transfer.verify_command",
    "pull": "pipelines.glacier.transfer.pull_command",
    "deploy": "pipelines.glacier.deploy.deploy_command",
    "tasks": "pipelines.glacier.deploy.tasks_command",
    "validate": "pipelines.glacier.deploy.validate_command",
    "test-container": "pipelines.glacier.deploy.container_command",
    "iam": "pipelines.glacier.deploy.iam_command",
    "cleanup": "pipelines.glacier.deploy.cleanup_command",
}
"""The module of each, imported when it is named."""
_STATUSES: Mapping[int, int] = {
    ExitStatus.CREDENTIALS: 2,
    ExitStatus.PARTLY_DONE: 1,
    ExitStatus.LOCKED: 1,
    ExitStatus.UNREACHABLE: 2,
    ExitStatus.SAFETY_STOP: 1,
}


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    name = argv[0] if argv else "--help"
    if name in {"-h", "--help"}:
        sys.stdout.write(_usage())
        return ExitStatus.DONE
    if name not in _VERBS:
        raise UsageError(f"unknown command {name!r}; commands are {', '.join(_VERBS)}")
    # The library of options takes a moment to load, and --help does not wait for it.
    from shared.daemon_command import run_with_statuses  # noqa: PLC0415 - see above

    return run_with_statuses(f"glacier {name}", _load(_VERBS[name]), argv[1:], _STATUSES)


def _load(module: str) -> Callable[[Sequence[str]], int]:
    def run(argv: Sequence[str]) -> int:
        chosen: Callable[[Sequence[str]], int] = import_module(module).main
        return chosen(argv)

    return run


def _usage() -> str:
    lines = "".join(f"  {name:<16}{summary(module)}\n" for name, module in _VERBS.items())
    return (
        "usage: towpath glacier [--help] COMMAND ...\n\n"
        "Run satellite, glacier regions and dates next to the imagery on AWS.\n\n"
        f"commands:\n{lines}\n"
        "`towpath glacier COMMAND --help` tells the options of one.\n"
    )
