"""`towpath units --user` on macOS: property lists in ~/Library/LaunchAgents, and launchctl.

Rule: as on Linux, only files that carry our mark are replaced or removed.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from shared.errors import ExitStatus, UsageError
from shared.files import write_durably
from shared.units.host import ManagerRefused, run_tool
from shared.units.launchd import agents
from shared.units.plan import is_ours
from shared.units.quoting import UnfitPath
from shared.units.render import UnitFile
from shared.units.request import Request, make_context, program_problems
from shared.units.services import chosen_services, load_needs


def run_on_mac(action: str, request: Request, *, dry_run: bool, start: bool) -> int:
    """Install, remove or show agents; returns the exit status."""
    if not request.per_user:
        raise UsageError("on macOS there are units of your own only; say --user")
    folder = Path.home() / "Library" / "LaunchAgents"
    if action == "remove":
        return _remove(_installed(folder, request.services), dry_run=dry_run)
    logs = Path.home() / "Library" / "Logs" / "towpath"
    files = make_agents(request, logs)
    if action == "show":
        sys.stdout.write("\n".join(f"<!-- {folder / each.name} -->\n{each.text}" for each in files))
        return ExitStatus.DONE
    if not dry_run:
        logs.mkdir(parents=True, exist_ok=True)  # launchd makes no folder for a log
    return _install(files, folder, dry_run=dry_run, start=start)


def make_agents(request: Request, logs: Path) -> Sequence[UnitFile]:
    """Return the property lists that a request comes to; UsageError where it cannot be."""
    services = chosen_services(request.services, request.configuration)
    needs = load_needs(services, request.configuration)
    context = make_context(request)
    if problems := list(program_problems(context)):
        raise UsageError("\n".join(problems))
    try:
        return [file for each in needs for file in agents(each, context, logs)]
    except UnfitPath as error:
        raise UsageError(str(error)) from error


def _install(files: Sequence[UnitFile], folder: Path, *, dry_run: bool, start: bool) -> int:
    """Write each, and have launchd take it."""
    status = ExitStatus.DONE
    for file in files:
        path = folder / file.name
        before = path.read_text() if path.is_file() else ""
        if before and not is_ours(before):
            raise UsageError(f"{str(path)!r} was not written by `towpath units`; move it away")
        if before == file.text or dry_run:
            _say("unchanged" if before == file.text else "would write", path)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, file.text.encode())
        _say("wrote", path)
        if start:
            status = max(status, _load(path))
    return status


def _load(path: Path) -> ExitStatus:
    """Have launchd run an agent, in place of an older one of the same name."""
    _unload(path)
    try:
        run_tool(["launchctl", "bootstrap", f"gui/{os.getuid()}", str(path)])
    except ManagerRefused as error:
        sys.stderr.write(f"towpath units: {error}\n")
        return ExitStatus.PARTLY_DONE
    _say("started", path.stem)
    return ExitStatus.DONE


def _unload(path: Path) -> bool:
    """Have launchd let go of an agent; False when it had none of the name."""
    try:
        run_tool(["launchctl", "bootout", f"gui/{os.getuid()}/{path.stem}"])
    except ManagerRefused:
        return False
    return True


def _installed(folder: Path, services: Sequence[str]) -> Iterator[Path]:
    """Yield our property lists, of these services or of all."""
    for path in sorted(folder.glob("towpath.*.plist")):
        if is_ours(path.read_text()) and (not services or path.name.split(".")[1] in services):
            yield path


def _remove(paths: Iterator[Path], *, dry_run: bool) -> int:
    """Have launchd let go of each, and remove it."""
    for path in paths:
        if dry_run:
            _say("would remove", path)
            continue
        if _unload(path):
            _say("stopped", path.stem)
        path.unlink()
        _say("removed", path)
    return ExitStatus.DONE


def _say(what: str, thing: Path | str) -> None:
    sys.stdout.write(f"{what} {thing}\n")
