"""The command `towpath wildlife`: which part of it, and no decisions.

Exit statuses: 0 done · 2 invalid input · 3 budget exceeded · 4 a stage failed · 5 configuration.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from pipelines.wildlife.errors import WildlifeStatus
from shared.cli import summary
from shared.errors import ExitStatus, UsageError

SUMMARY = "turn the pictures of trail cameras into a table of sightings, within a budget"

_VERBS = {
    "validate": "pipelines.wildlife.commands.validate",
    "estimate": "pipelines.wildlife.commands.estimate",
    "label-map": "pipelines.wildlife.commands.label_map",
}
"""The module of each, imported when it is named."""
_STATUSES: Mapping[int, int] = {
    ExitStatus.UNEXPECTED: WildlifeStatus.STAGE_FAILED,
    ExitStatus.CREDENTIALS: WildlifeStatus.CONFIGURATION,
    ExitStatus.PARTLY_DONE: WildlifeStatus.STAGE_FAILED,
    ExitStatus.LOCKED: WildlifeStatus.STAGE_FAILED,
    ExitStatus.UNREACHABLE: WildlifeStatus.CONFIGURATION,
    ExitStatus.SAFETY_STOP: WildlifeStatus.STAGE_FAILED,
}


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    name = argv[0] if argv else "--help"
    if name in {"-h", "--help"}:
        sys.stdout.write(_usage())
        return WildlifeStatus.DONE
    if name not in _VERBS:
        raise UsageError(f"unknown command {name!r}; commands are {', '.join(_VERBS)}")
    # The library of options takes a moment to load, and --help does not wait for it.
    from shared.daemon_command import run_with_statuses  # noqa: PLC0415 - see above

    return run_with_statuses(f"wildlife {name}", _load(_VERBS[name]), argv[1:], _STATUSES)


def _load(module: str) -> Callable[[Sequence[str]], int]:
    def run(argv: Sequence[str]) -> int:
        chosen: Callable[[Sequence[str]], int] = import_module(module).main
        return chosen(argv)

    return run


def _usage() -> str:
    lines = "".join(f"  {name:<11}{summary(module)}\n" for name, module in _VERBS.items())
    return (
        "usage: towpath wildlife [--help] COMMAND ...\n\n"
        "Turn the pictures of trail cameras into a table of sightings, within a budget.\n\n"
        f"commands:\n{lines}\n"
        "`towpath wildlife COMMAND --help` tells the options of one.\n"
    )
