"""`towpath units`: put the daemons under systemd, confined to what their configuration needs.

    towpath units install [SERVICE...] [--dry-run] [--no-start] [--instances N]
                          [--run-as USER] [--group GROUP] [--prefix DIR] [--working-directory DIR]
    towpath units install --user [SERVICE...]         a user's own manager; launchd on macOS
    towpath units remove  [SERVICE...] [--user] [--dry-run]
    towpath units show    [SERVICE...] [--user]       print what install would write

Without SERVICE: those that have a file `/etc/towpath/<service>.toml` (`~/.config/towpath` with
--user); `remove` takes all that are installed. Every configuration is checked before anything is
written. One line is printed for each thing done.

Exit status 0: it is as asked. 2: nothing was done, the lines say why. 4: all was installed, and
something did not start. 1: the system refused something half way; run it again.

An option that is not given stays as it was given when the service was installed, and a line says
so; `--run-as towpath`, `--group ''` and `--instances 1` go back to the defaults.

Rule: what it did not make it does not touch, and running it again changes nothing.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from shared.errors import ExitStatus, PermanentError, UsageError
from shared.flags import OneLineParser
from shared.units.host import NO_MANAGER, Host, ManagerRefused
from shared.units.plan import Action, Manage, Verb, describe, plan_install, plan_remove
from shared.units.request import Request, prepare

SUMMARY = "install, show or remove the units that keep daemons running"

_MOST_INSTANCES = 1000


def main(argv: Sequence[str]) -> int:
    """Run `towpath units` with these arguments."""
    arguments = _parser().parse_args(list(argv))
    request = _request(arguments)
    if sys.platform == "darwin":
        from shared.units.mac import run_on_mac  # noqa: PLC0415 - nowhere else

        start = not arguments.no_start
        return run_on_mac(arguments.action, request, dry_run=arguments.dry_run, start=start)
    match arguments.action:
        case "install":
            return _install(request, dry_run=arguments.dry_run, start=not arguments.no_start)
        case "remove":
            return _remove(request, dry_run=arguments.dry_run)
        case _:
            return _show(request)


def _parser() -> argparse.ArgumentParser:
    """Return the parser of all three verbs."""
    parser = OneLineParser("towpath units", "Install, show or remove the units of the daemons.")
    verbs = parser.add_subparsers(dest="action", required=True, parser_class=OneLineParser)
    install = verbs.add_parser("install", help="write, enable and start units")
    remove = verbs.add_parser("remove", help="stop, disable and remove them; data stays")
    show = verbs.add_parser("show", help="print what install would write")
    install.add_argument("--no-start", action="store_true", help="enable, and start at the boot")
    for verb in (install, remove):
        verb.add_argument("--dry-run", action="store_true", help="say what would be done")
    show.set_defaults(dry_run=True)
    parser.set_defaults(no_start=False)
    for verb in (install, show):
        _add_making(verb)
    for verb in (install, remove, show):
        verb.add_argument(
            "service", nargs="*", metavar="SERVICE", help="default: all that are configured"
        )
        verb.add_argument(
            "--user", action="store_true", help="units of your own, without root; less confined"
        )
    return parser


def _add_making(verb: argparse.ArgumentParser) -> None:
    """Add the flags that say what units are made like."""
    verb.add_argument(
        "--prefix", type=Path, metavar="DIR", help="environment to start from; default: this one"
    )
    verb.add_argument(
        "--run-as",
        default="",
        metavar="USER",
        help="whom the data belongs to; default: as installed, or else the system user towpath, "
        "which is created",
    )
    verb.add_argument(
        "--group",
        action="append",
        metavar="GROUP",
        help="a further group of the daemons (may be repeated); default: as installed, or none",
    )
    verb.add_argument(
        "--instances",
        metavar="N",
        help="how many of a service that may run several times; default: as installed, or 1",
    )
    verb.add_argument(
        "--working-directory",
        type=Path,
        metavar="DIR",
        help="what relative paths of the configuration are relative to; else they are refused",
    )


def _request(arguments: argparse.Namespace) -> Request:
    """Return what was asked for."""
    request = Request(tuple(arguments.service), per_user=arguments.user)
    if arguments.action == "remove":
        return request
    count: str | None = arguments.instances
    if count is not None and not (count.isdecimal() and 1 <= int(count) <= _MOST_INSTANCES):
        raise UsageError(f"--instances {count!r} is no number from 1 to {_MOST_INSTANCES}")
    groups: Sequence[str] | None = arguments.group
    base: Path | None = arguments.working_directory
    return replace(
        request,
        prefix=arguments.prefix,
        run_as=arguments.run_as,
        groups=None if groups is None else tuple(filter(None, groups)),
        instances=None if count is None else int(count),
        base=base.absolute() if base else None,
    )


def _install(request: Request, *, dry_run: bool, start: bool) -> int:
    """Install units."""
    prepared = prepare(request)
    host = request.host
    _require_manager(host, dry_run=dry_run)
    found = replace(
        host.find(),
        missing_user=prepared.missing_user,
        missing_folders=prepared.missing_folders,
    )
    actions = plan_install(prepared.sets, prepared.shared, found, start=start)
    for service, options in prepared.kept.items():
        keeps = "would keep" if dry_run else "kept"
        sys.stdout.write(f"{keeps} {service} as it was installed: {options}\n")
    status = _perform(actions, host, dry_run=dry_run)
    if start and not host.booted:
        sys.stdout.write("not started: no service manager runs here; they start at the boot\n")
    return status


def _remove(request: Request, *, dry_run: bool) -> int:
    """Remove units."""
    host = request.host
    _require_manager(host, dry_run=dry_run)
    actions = plan_remove(request.services or None, host.find())
    if not actions:
        sys.stdout.write(f"nothing to remove: no units of ours in {host.units}\n")
    return _perform(actions, host, dry_run=dry_run)


def _show(request: Request) -> int:
    """Print what would be written."""
    prepared = prepare(request)
    files = [*prepared.shared, *(file for each in prepared.sets for file in each.files)]
    texts = (f"# --- {request.host.units / file.name}\n{file.text}" for file in files)
    sys.stdout.write("\n".join(texts))
    return ExitStatus.DONE


def _require_manager(host: Host, *, dry_run: bool) -> None:
    """Refuse early what would fail half way."""
    if dry_run:
        return
    if not host.per_user and os.geteuid() != 0:
        raise UsageError("system units are root's; use sudo, or --user for units of your own")
    if host.per_user and not host.booted:
        raise UsageError(NO_MANAGER)


def _perform(actions: Sequence[Action], host: Host, *, dry_run: bool) -> int:
    """Do everything in order, a line each; what does not start hinders nothing else."""
    status = ExitStatus.DONE
    for action in actions:
        if not dry_run:
            try:
                host.perform(action)
            except ManagerRefused as error:
                if not _is_start(action):
                    raise
                sys.stderr.write(f"towpath units: {error}\n")
                status = ExitStatus.PARTLY_DONE
                continue
            except OSError as error:
                raise PermanentError(f"{_named(action, host)}: {error.strerror}") from error
        lines = describe(action, host.units, done=not dry_run)
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    return status


def _is_start(action: Action) -> bool:
    """Tell whether an action brings a daemon to life, which depends on more than on us."""
    return isinstance(action, Manage) and action.verb in {Verb.START, Verb.RESTART}


def _named(action: Action, host: Host) -> str:
    """Return what could not be done."""
    what = describe(action, host.units, done=False)
    return what[0].removeprefix("would ") if what else "the service manager"
