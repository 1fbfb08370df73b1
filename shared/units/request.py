"""What a person asked `towpath units` for, checked against this machine.

Rule: everything that can be wrong is found here, before anything is changed, and all of it is said
at once.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from shared.errors import UsageError
from shared.units.context import CREDENTIALS, DEFAULT_USER, SYSTEM_CONFIGURATION, UnitContext
from shared.units.host import (
    SYSTEM_UNITS,
    Account,
    Host,
    find_account,
    group_exists,
    links_of,
    may_read,
    may_write,
    running_prefix,
)
from shared.units.needs import UnitNeeds
from shared.units.places import HOMES, based, is_below
from shared.units.quoting import UnfitPath
from shared.units.render import UnitFile, UnitSet, shared_files, unit_set
from shared.units.services import chosen_services, load_needs


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for on the command line."""

    services: Sequence[str]
    per_user: bool = False
    prefix: Path | None = None
    run_as: str = ""
    groups: Sequence[str] = ()
    instances: int = 1
    base: Path | None = None

    @property
    def configuration(self) -> Path:
        """The folder in which the services' files lie."""
        return user_folder("XDG_CONFIG_HOME", ".config") / "towpath" if self.per_user else _SYSTEM

    @property
    def host(self) -> Host:
        """This machine, and the manager that is meant."""
        if not self.per_user:
            return Host(SYSTEM_UNITS, per_user=False)
        folder = user_folder("XDG_CONFIG_HOME", ".config") / "systemd" / "user"
        return Host(folder, per_user=True)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is to be installed, as far as it can be known before it is."""

    sets: tuple[UnitSet, ...]
    shared: tuple[UnitFile, ...]
    user: str
    """As whom daemons run; empty for a person's own units."""
    missing_user: str
    missing_folders: tuple[PurePath, ...]


_SYSTEM = Path(SYSTEM_CONFIGURATION)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")


def user_folder(variable: str, usual: str) -> Path:
    """Return one of a person's folders, as the XDG specification has them."""
    given = os.environ.get(variable, "")
    if given.startswith("/"):
        return Path(given)
    home = os.environ.get("HOME", "")
    if not home.startswith("/"):
        raise UsageError("there is no home folder for units of your own; set HOME")
    return Path(home) / usual


def prepare(request: Request) -> Prepared:
    """Return what the request comes to; UsageError has a line for each thing that is wrong."""
    services = chosen_services(request.services, request.configuration)
    needs = load_needs(services, request.configuration)
    if people := list(_people_problems(request)):
        raise UsageError("\n".join(people))
    context = make_context(request)
    account = find_account(context.user) if context.user else None
    problems = [
        *program_problems(context),
        *([] if request.per_user else _reading_problems(context, account, services)),
        *_instance_problems(request, needs),
    ]
    sets: list[UnitSet] = []
    writes: dict[PurePath, str] = {}
    for each in needs:
        own = replace(context, instances=context.instances if each.several else 1)
        try:
            folders = based(each.writes, own.base)
            paths = [*folders, *based(each.reads, own.base)]
            sets.append(unit_set(each, replace(own, links=links_of(paths))))
            writes.update(dict.fromkeys(folders, each.service))
        except UnfitPath as error:
            problems.append(f"{each.service}: {error}")
    if not request.per_user:
        problems += _writing_problems(context, account, writes)
    if problems:
        raise UsageError("\n".join(dict.fromkeys(problems)))
    missing = [PurePath(os.path.realpath(path)) for path in writes if not Path(path).is_dir()]
    return Prepared(
        tuple(sets),
        shared_files(context),
        context.user,
        context.user if context.user and account is None else "",
        tuple(dict.fromkeys(missing)),
    )


def make_context(request: Request) -> UnitContext:
    """Return what units are made for, as found on this machine."""
    prefix = request.prefix.absolute() if request.prefix else running_prefix()
    user = "" if request.per_user else request.run_as or DEFAULT_USER
    account = find_account(user) if user else None
    return UnitContext(
        prefix=prefix,
        configuration=request.configuration,
        user=user,
        group=account.group if account else user,
        groups=tuple(request.groups),
        base=request.base,
        credentials=not request.per_user and Path(CREDENTIALS).is_file(),
        instances=request.instances,
        systemd=request.host.version(),
    )


def program_problems(context: UnitContext) -> Iterator[str]:
    """Yield why the program could not be started by such a unit."""
    program = Path(context.program)
    if not os.access(program, os.X_OK) or not program.is_file():
        yield (
            f"there is no program {str(program)!r}; `make install PREFIX=/opt/towpath` makes it, "
            "or name its environment with --prefix"
        )
        return
    interpreter = Path(context.prefix, "bin", "python")
    for path in (program, interpreter):
        real = PurePath(os.path.realpath(path))
        if not context.per_user and (is_below(real, HOMES) or is_below(path, HOMES)):
            yield (
                f"{str(path)!r} is in a home folder (as {str(real)!r}), which system units do not "
                "see; `make install PREFIX=/opt/towpath` with a Python of the system, or --user"
            )
            return


def _people_problems(request: Request) -> Iterator[str]:
    """Yield what is wrong with user and groups."""
    named = [name for name in (request.run_as, *request.groups) if name]
    if request.per_user and named:
        yield "--run-as and --group are for system units; with --user, units run as yourself"
        return
    for name in named:
        if not _NAME.fullmatch(name):
            yield f"{name!r} is no name that a unit can say; create a user or group for the daemons"
    account = find_account(request.run_as) if request.run_as else None
    if account is None and request.run_as:
        yield f"--run-as {request.run_as!r} is no user of this machine; create it first"
    if account is not None and account.uid == 0:
        yield "--run-as 'root' would undo the confinement; name the user that the data belongs to"
    for group in request.groups:
        if not group_exists(group):
            yield f"--group {group!r} is no group of this machine; create it first"


def _reading_problems(
    context: UnitContext, account: Account | None, services: Sequence[str]
) -> Iterator[str]:
    """Yield which configuration the daemons could not read."""
    for service in services:
        file = Path(context.config_file(service))
        if not may_read(file, account):
            yield (
                f"{str(file)!r} cannot be read by user {context.user!r}; "
                f"`chmod 644 {file}` (secrets belong into {CREDENTIALS})"
            )


def _writing_problems(
    context: UnitContext, account: Account | None, writes: Mapping[PurePath, str]
) -> Iterator[str]:
    """Yield which folders the daemons could not write into; those to be made will be theirs."""
    for path, service in writes.items():
        if Path(path).is_dir() and not may_write(Path(path), account, context.groups):
            yield (
                f"{service}: user {context.user!r} may not write into {str(path)!r}; --run-as its "
                "owner, or let that user in (chown, setfacl, or --group)"
            )


def _instance_problems(request: Request, needs: Sequence[UnitNeeds]) -> Iterator[str]:
    """Yield what is wrong with the number of instances."""
    if request.instances > 1 and not any(each.several for each in needs):
        names = ", ".join(each.service for each in needs)
        yield f"--instances {request.instances}: only one of {names} may run with one configuration"
