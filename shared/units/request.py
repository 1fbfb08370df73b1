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
from shared.units.plan import CreateFolder
from shared.units.quoting import UnfitPath
from shared.units.render import UnitFile, UnitSet, shared_files, unit_set
from shared.units.services import chosen_services, load_needs
from shared.units.standing import Standing, options_of, standing_of


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for on the command line."""

    services: Sequence[str]
    per_user: bool = False
    prefix: Path | None = None
    run_as: str = ""
    """Empty, as the three that may be None: not said, so as it is installed already."""
    groups: Sequence[str] | None = None
    instances: int | None = None
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
    missing_user: str
    missing_folders: tuple[CreateFolder, ...]
    kept: Mapping[str, str]
    """The options that were not said, and are taken over from how a service is installed."""


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
    found = request.host.installed()
    standings = {name: standing_of(name, found) for name in services}
    requests = {name: _taken_over(request, standings[name]) for name in services}
    asked = [request, *requests.values()]
    if people := list(dict.fromkeys(line for each in asked for line in _people_problems(each))):
        raise UsageError("\n".join(people))
    context = make_context(request)
    problems = [*program_problems(context), *_instance_problems(request, needs, standings)]
    sets: list[UnitSet] = []
    missing: dict[PurePath, str] = {}
    for each in needs:
        own = _own_context(context, requests[each.service], each)
        try:
            sets.append(unit_set(each, replace(own, links=links_of(_paths(each, own)))))
        except UnfitPath as error:
            problems.append(f"{each.service}: {error}")
            continue
        problems += _access_problems(each, own)
        for path in based(each.writes, own.base):
            if not Path(path).is_dir():
                missing.setdefault(PurePath(os.path.realpath(path)), own.user)
    if problems:
        raise UsageError("\n".join(dict.fromkeys(problems)))
    default = any(not each.run_as or each.run_as == DEFAULT_USER for each in requests.values())
    absent = default and not request.per_user and find_account(DEFAULT_USER) is None
    return Prepared(
        tuple(sets),
        shared_files(context),
        DEFAULT_USER if absent else "",
        tuple(CreateFolder(path, owner) for path, owner in missing.items()),
        {name: words for name in services if (words := _kept(request, standings[name]))},
    )


def make_context(request: Request) -> UnitContext:
    """Return what units are made for, as found on this machine."""
    context = UnitContext(
        prefix=request.prefix.absolute() if request.prefix else running_prefix(),
        configuration=request.configuration,
        credentials=not request.per_user and Path(CREDENTIALS).is_file(),
        systemd=request.host.version(),
    )
    return _as_asked(context, request)


def _as_asked(context: UnitContext, request: Request) -> UnitContext:
    """Return the context with what people may say of each service."""
    user = "" if request.per_user else request.run_as or DEFAULT_USER
    account = find_account(user) if user else None
    return replace(
        context,
        user=user,
        group=account.group if account else user,
        groups=tuple(request.groups or ()),
        base=request.base,
        instances=request.instances or 1,
    )


def _own_context(context: UnitContext, request: Request, needs: UnitNeeds) -> UnitContext:
    """Return what the units of one service are made for."""
    own = _as_asked(context, request)
    return own if needs.several else replace(own, instances=1)


def _taken_over(request: Request, standing: Standing) -> Request:
    """Return the request, where it says nothing, as the service is installed already."""
    return replace(
        request,
        run_as=request.run_as or standing.user,
        groups=standing.groups if request.groups is None else request.groups,
        instances=request.instances or standing.instances,
        base=request.base or (Path(standing.base) if standing.base else None),
    )


def _kept(request: Request, standing: Standing) -> str:
    """Return the options that count although they were not said."""
    return options_of(
        Standing(
            "" if request.run_as else standing.user,
            standing.groups if request.groups is None else (),
            None if request.base else standing.base,
            1 if request.instances else standing.instances,
        )
    )


def _paths(needs: UnitNeeds, context: UnitContext) -> Sequence[PurePath]:
    """Return the folders of a service; UnfitPath says which a unit cannot name."""
    return [*based(needs.writes, context.base), *based(needs.reads, context.base)]


def _access_problems(needs: UnitNeeds, context: UnitContext) -> Iterator[str]:
    """Yield what the user of a system unit could not read or write."""
    if context.per_user:
        return
    account = find_account(context.user)
    yield from _reading_problems(context, account, needs.service)
    yield from _writing_problems(context, account, needs)


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
    named = [name for name in (request.run_as, *(request.groups or ())) if name]
    if request.per_user and named:
        yield "--run-as and --group are for system units; with --user, units run as yourself"
        return
    for name in named:
        if not _NAME.fullmatch(name):
            yield f"{name!r} is no name that a unit can say; create a user or group for the daemons"
    account = find_account(request.run_as) if request.run_as else None
    if account is None and request.run_as not in {"", DEFAULT_USER}:
        yield f"--run-as {request.run_as!r} is no user of this machine; create it first"
    if account is not None and account.uid == 0:
        yield "--run-as 'root' would undo the confinement; name the user that the data belongs to"
    for group in request.groups or ():
        if not group_exists(group):
            yield f"--group {group!r} is no group of this machine; create it first"


def _reading_problems(context: UnitContext, account: Account | None, service: str) -> Iterator[str]:
    """Yield that a daemon could not read its configuration."""
    file = Path(context.config_file(service))
    if not may_read(file, account):
        yield (
            f"{str(file)!r} cannot be read by user {context.user!r}; "
            f"`chmod 644 {file}` (secrets belong into {CREDENTIALS})"
        )


def _writing_problems(
    context: UnitContext, account: Account | None, needs: UnitNeeds
) -> Iterator[str]:
    """Yield which folders a daemon could not write into; those to be made will be its own."""
    for path in based(needs.writes, context.base):
        if Path(path).is_dir() and not may_write(Path(path), account, context.groups):
            yield (
                f"{needs.service}: user {context.user!r} may not write into {str(path)!r}; "
                "--run-as its owner, or let that user in (chown, setfacl, or --group)"
            )


def _instance_problems(
    request: Request, needs: Sequence[UnitNeeds], standings: Mapping[str, Standing]
) -> Iterator[str]:
    """Yield what is wrong with the number of instances."""
    if request.instances is None:
        for each in needs:
            if standings[each.service].uncounted:
                yield (
                    f"{each.service}: its units are for several instances, and fewer than two are "
                    "enabled; say with --instances how many it shall be"
                )
    elif request.instances > 1 and not any(each.several for each in needs):
        names = ", ".join(each.service for each in needs)
        yield f"--instances {request.instances}: only one of {names} may run with one configuration"
