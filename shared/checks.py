"""What `--check` says, a line a thing: its name, `ok` or what is wrong, and what was looked at.

Rule: a check only looks. A folder that is missing is in order where the daemon makes it.
"""

import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from shared.errors import ExitStatus


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    what: str
    """The folder, program or address."""
    fault: str = ""
    """What is wrong with it, and what to do; empty: nothing."""
    status: ExitStatus = ExitStatus.USAGE
    """Of the command, when something is wrong with it."""


def write_checks(checks: Iterable[Check]) -> ExitStatus:
    """Print a line each; return the status of the last one that failed."""
    status = ExitStatus.DONE
    for check in checks:
        fields = (check.name, check.fault or "ok", check.what)
        sys.stdout.write("\t".join(filter(None, map(shown, fields))) + "\n")
        status = check.status if check.fault else status
    return status


def check_folder(name: str, folder: Path, *, written: bool = True, made: bool = True) -> Check:
    """Look at a folder that is read, and written unless told otherwise; `made` where missing."""
    folder = folder.absolute()
    if folder.is_dir():
        needed = os.R_OK | os.X_OK | (os.W_OK if written else 0)
        verb = "written into" if written else "read"
        fault = "" if os.access(folder, needed) else f"may not be {verb}; change its mode"
        return Check(name, str(folder), fault)
    if folder.exists() or folder.is_symlink():
        return Check(name, str(folder), "is not a folder; name another")
    if not made:
        return Check(name, str(folder), f"is not there; mount it, or make it: mkdir -p {folder}")
    above = next(each for each in folder.parents if each.exists())
    if not above.is_dir():
        return Check(name, str(folder), f"cannot be made: {str(above)!r} is not a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        return Check(name, str(folder), f"cannot be made: {str(above)!r} may not be written into")
    return Check(name, f"{folder} (will be made)")


def check_program(name: str, program: str, folder: Path) -> Check:
    """Look for the program that a command begins with, as it is looked for when it runs."""
    wanted = program.replace("{python}", sys.executable)
    path = str(folder / wanted) if "/" in wanted else wanted
    found = shutil.which(path)
    if found is None:
        return Check(name, wanted, "is not found, or cannot be executed; name another program")
    return Check(name, found)


def shown(text: str) -> str:
    """Return a text without anything that a terminal would act on."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
