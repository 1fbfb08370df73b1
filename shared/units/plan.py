"""What has to be done to a machine so that units stand on it, or are gone from it. Pure.

| found                                 | wanted   | done                                          |
|---------------------------------------|----------|-----------------------------------------------|
| no file                               | a file   | written                                       |
| ours, the same                        | a file   | nothing                                       |
| ours, another                         | a file   | written; a unit that runs is started again    |
| ours, of a service in question        | no file  | stopped, disabled, removed                    |
| a link (a masked unit), or not ours   | a file   | refused: somebody decided otherwise           |
| not ours, of another service          | no file  | left alone                                    |
| not ours, of a service in question    | no file  | refused: what we wrote confines it, too       |

Rule: data, state, configuration and users are made where they are missing, and never removed.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePath, PurePosixPath

from shared.errors import UsageError
from shared.units.directives import MARK
from shared.units.render import SHARED_DROP_IN, TARGET, UnitFile, UnitSet

_SERVICE_OF = re.compile(r"towpath-([a-z0-9]+)(?:@[^.]*)?\.(?:service|timer)")
LINK = "\0link"
"""Stands for the text of a file that is a link."""


class Verb(StrEnum):
    """What is done with units by the service manager, in the order in which it is asked for."""

    STOP = "stop"
    DISABLE = "disable"
    RELOAD = "daemon-reload"
    FORGET = "reset-failed"
    ENABLE = "enable"
    RESTART = "restart"
    START = "start"


@dataclass(frozen=True, slots=True)
class CreateUser:
    """Make the system user that daemons run as."""

    name: str


@dataclass(frozen=True, slots=True)
class CreateFolder:
    """Make a folder of data that does not exist yet."""

    path: PurePath
    owner: str = ""
    """Empty: whoever makes it."""


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Write a unit file; `same` means that it stands there already."""

    file: UnitFile
    same: bool = False


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """Remove a unit file that is ours."""

    name: PurePosixPath


@dataclass(frozen=True, slots=True)
class Manage:
    """Ask the service manager for something."""

    verb: Verb
    units: tuple[str, ...] = ()


Action = CreateUser | CreateFolder | WriteFile | RemoveFile | Manage


@dataclass(frozen=True, slots=True)
class Found:
    """What is on the machine."""

    files: Mapping[PurePosixPath, str] = field(default_factory=dict)
    """The files below the folder of units whose names begin with `towpath`; or `LINK`."""
    enabled: Collection[str] = ()
    """The units of ours that start with the machine."""
    running: Collection[str] = ()
    """Those too that are only on their way up or down."""
    starting: Collection[str] = ()
    """Those of the running ones that are not up yet, for the first time."""
    crashing: Collection[str] = ()
    """Those of the running ones that failed, and wait for the next attempt."""
    failed: Collection[str] = ()
    missing_user: str = ""
    missing_folders: tuple[CreateFolder, ...] = ()
    booted: bool = True
    """A service manager runs here, and can be asked."""


def plan_install(
    sets: Sequence[UnitSet], shared: Sequence[UnitFile], found: Found, *, start: bool
) -> Sequence[Action]:
    """Return what makes the units of these services stand; UsageError where others stand."""
    wanted = {file.name: file for each in sets for file in each.files}
    wanted |= {file.name: file for file in shared}
    services = {each.service for each in sets}
    _refuse_strangers({*wanted, *_units_of(services, found)}, found)
    writes = [
        WriteFile(file, same=found.files.get(name) == file.text) for name, file in wanted.items()
    ]
    units = [unit for each in sets for unit in each.units]
    stale = [name for name in _ours(found) if service_of(name) in services and name not in wanted]
    gone = [
        unit
        for unit in sorted({*_known(found), *found.failed})
        if service_of(unit) in services
        and unit not in units
        and (_file_of(unit) not in wanted or "@" in unit)
    ]
    changed = {write.file.name for write in writes if not write.same}
    enable = [unit for unit in (TARGET, *units) if unit not in found.enabled]
    actions: list[Action] = []
    if found.missing_user:
        actions.append(CreateUser(found.missing_user))
    actions += found.missing_folders
    actions += _ended(gone, found)
    actions += [RemoveFile(name) for name in stale]
    actions += writes
    if (changed or stale) and found.booted:
        actions.append(Manage(Verb.RELOAD))
    if failed := tuple(unit for unit in gone if unit in found.failed):
        actions.append(Manage(Verb.FORGET, failed))
    if enable:
        actions.append(Manage(Verb.ENABLE, tuple(enable)))
    if start and found.booted:
        actions += _started(units, changed, found)
    return actions


def plan_remove(services: Collection[str] | None, found: Found) -> Sequence[Action]:
    """Return what removes the units of these services, or all; the shared files go with the last.

    UsageError where one of them has no units of ours, or has one of somebody else: without our
    drop-ins that one would run on, as root and unconfined.
    """
    ours = list(_ours(found))
    present = {service for name in ours if (service := service_of(name))}
    chosen = present if services is None else set(services)
    if unknown := sorted(chosen - present):
        names = ", ".join(map(repr, unknown))
        raise UsageError(
            f"no units of {names} were installed here; installed: {', '.join(sorted(present))}"
            if present
            else f"no units of {names} were installed here"
        )
    _refuse_strangers(_units_of(chosen, found), found)
    last = chosen == present
    removed = [name for name in ours if service_of(name) in chosen or last]
    units = [unit for unit in _known(found) if service_of(unit) in chosen]
    if last:
        units += [TARGET] if TARGET in {*found.enabled, *found.running} else []
    actions = _ended(units, found)
    actions += [RemoveFile(name) for name in removed]
    if removed and found.booted:
        actions.append(Manage(Verb.RELOAD))
    if failed := tuple(unit for unit in sorted(found.failed) if service_of(unit) in chosen):
        actions.append(Manage(Verb.FORGET, failed))
    return actions


def describe(action: Action, folder: PurePath, *, done: bool) -> Sequence[str]:
    """Say in a line for each thing what was done, or would be."""
    match action:
        case CreateUser(name):
            return [f"{'created' if done else 'would create'} user {name!r}"]
        case CreateFolder(path):
            return [f"{'created' if done else 'would create'} folder {str(path)!r}"]
        case WriteFile(file, same=True):
            return [f"unchanged {folder / file.name}"]
        case WriteFile(file):
            return [f"{'wrote' if done else 'would write'} {folder / file.name}"]
        case RemoveFile(name):
            return [f"{'removed' if done else 'would remove'} {folder / name}"]
        case _:
            words = _DONE[action.verb] if done else f"would {action.verb}"
            return [f"{words} {unit}" for unit in action.units]


_DONE: Mapping[Verb, str] = {
    Verb.STOP: "stopped",
    Verb.DISABLE: "disabled",
    Verb.RELOAD: "reloaded",
    Verb.FORGET: "forgot the failure of",
    Verb.ENABLE: "enabled",
    Verb.RESTART: "restarted",
    Verb.START: "started",
}


def service_of(unit: PurePosixPath | str) -> str:
    """Return the service that a unit or a drop-in belongs to; empty where it is for all."""
    first = PurePosixPath(unit).parts[0].removesuffix(".d")
    match = _SERVICE_OF.fullmatch(first)
    return match[1] if match else ""


def _file_of(unit: str) -> PurePosixPath:
    """Return the file of a unit; that of its template for an instance."""
    stem, at, rest = unit.partition("@")
    return PurePosixPath(f"{stem}@.{rest.rpartition('.')[2]}" if at else unit)


def is_ours(text: str) -> bool:
    """Tell whether `towpath units` wrote a file; a property list has its own first line."""
    return any(MARK.strip("# ") in line for line in text.splitlines()[:2])


def _units_of(services: Collection[str], found: Found) -> Iterator[PurePosixPath]:
    """Yield the unit files of these services, whoever wrote them, without drop-ins."""
    return (name for name in found.files if len(name.parts) == 1 and service_of(name) in services)


def _refuse_strangers(names: Iterable[PurePosixPath], found: Found) -> None:
    problems = []
    for name in sorted(names):
        text = found.files.get(name)
        if text == LINK:
            problems.append(
                f"{str(name)!r} is a link: it is masked or was put there by hand; "
                f"`systemctl unmask {name}` or remove it"
            )
        elif text is not None and not is_ours(text):
            problems.append(
                f"{str(name)!r} was not written by `towpath units`; move it away, "
                "and put what you need of it into a drop-in"
            )
    if problems:
        raise UsageError("\n".join(problems))


def _ours(found: Found) -> Iterator[PurePosixPath]:
    """Yield the files that may be removed."""
    return (name for name, text in sorted(found.files.items()) if is_ours(text))


def _known(found: Found) -> Sequence[str]:
    """Return the units that are enabled or run."""
    return sorted({*found.enabled, *found.running})


def _ended(units: Sequence[str], found: Found) -> list[Action]:
    """Return what stops and disables these."""
    stop = tuple(unit for unit in units if unit in found.running)
    disable = tuple(unit for unit in units if unit in found.enabled)
    actions: list[Action] = []
    if stop:
        actions.append(Manage(Verb.STOP, stop))
    if disable:
        actions.append(Manage(Verb.DISABLE, disable))
    return actions


def _started(
    units: Sequence[str], changed: Collection[PurePosixPath], found: Found
) -> Iterator[Action]:
    """Yield what brings the units of changed files, and those that do not run, to life.

    One that waits for its next attempt is asked at once, and its answer is the answer.
    """
    services = {service_of(name) for name in changed}
    everyone = SHARED_DROP_IN in changed
    again = [unit for unit in units if everyone or service_of(unit) in services]
    restart = tuple(
        unit
        for unit in units
        if unit in found.crashing or (unit in again and unit in found.running)
    )
    begin = tuple(
        unit
        for unit in (TARGET, *units)
        if unit not in restart and (unit not in found.running or unit in found.starting)
    )
    if restart:
        yield Manage(Verb.RESTART, restart)
    if begin:
        yield Manage(Verb.START, begin)
