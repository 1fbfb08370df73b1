"""A command of several verbs: `towpath glacier submit`, `towpath wildlife estimate`.

Each verb is a module with `SUMMARY` and `main(argv)`, imported when it is named: help and a
mistyped name wait for nothing.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

from shared.cli import summary
from shared.errors import ExitStatus, UsageError


@dataclass(frozen=True, slots=True)
class VerbCommand:
    """One command, and its verbs in the order of its help."""

    name: str
    """As it is typed behind `towpath`."""
    purpose: str
    """What it is for, in a sentence."""
    modules: Mapping[str, str]
    """By verb."""
    statuses: Mapping[int, int]
    """The numbers that the command's contract has for the suite's own."""

    def run(self, argv: Sequence[str]) -> int:
        """Run a verb and return its exit status; UsageError for one that there is not."""
        verb = argv[0] if argv else "--help"
        if verb in {"-h", "--help"}:
            sys.stdout.write(self.usage())
            return ExitStatus.DONE
        if verb not in self.modules:
            known = ", ".join(self.modules)
            raise UsageError(f"unknown command {verb!r}; commands are {known}")
        # The library of options takes a moment to load, and --help does not wait for it.
        from shared.daemon_command import run_with_statuses  # noqa: PLC0415 - see above

        name, main = f"{self.name} {verb}", _late(self.modules[verb])
        return run_with_statuses(name, main, argv[1:], self.statuses)

    def usage(self) -> str:
        """Return the help."""
        width = max(map(len, self.modules)) + 2
        lines = "".join(
            f"  {verb:<{width}}{summary(module)}\n" for verb, module in self.modules.items()
        )
        return (
            f"usage: towpath {self.name} [--help] COMMAND ...\n\n"
            f"{self.purpose}\n\n"
            f"commands:\n{lines}\n"
            f"`towpath {self.name} COMMAND --help` tells the options of one.\n"
        )


def _late(module: str) -> Callable[[Sequence[str]], int]:
    def run(argv: Sequence[str]) -> int:
        chosen: Callable[[Sequence[str]], int] = import_module(module).main
        return chosen(argv)

    return run
