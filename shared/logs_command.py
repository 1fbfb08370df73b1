"""`towpath logs`: a daemon's entries in the journal, by what they are about.

    towpath logs SERVICE [--cid CID] [--bucket BUCKET] [--key KEY] [--site SITE] [--event EVENT]
                         [--since TIME] [--until TIME] [-n N] [-f] [-o FORMAT] [--user]
    towpath logs SERVICE --events       the events it can log, with level and MESSAGE_ID

It becomes `journalctl` with matches on the fields that the daemons write, so whatever `journalctl`
can do more, it can be asked itself: --dry-run prints the command. Rule: a value is always one
argument with its field in front, so that none can be taken for an option.
"""

import argparse
import difflib
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from shared.cli import command_modules
from shared.errors import ExitStatus, UsageError
from shared.event_names import events_of
from shared.flags import OneLineParser
from shared.journal import message_id

SUMMARY = "show a daemon's entries in the journal, by CID, bucket, key, site or event"

_ENTRY = ".cli"
_FOLDERS = (Path("/run/log/journal"), Path("/var/log/journal"))
_CID = re.compile(r"[0-9]{5}")
_FIELDS = {"cid": "CID", "bucket": "BUCKET", "key": "KEY", "site": "SITE"}
_FORMATS = ("short", "short-iso", "cat", "verbose", "json", "json-pretty")
Become = Callable[[Sequence[str]], NoReturn]


def _become(command: Sequence[str]) -> NoReturn:
    """Let another program take this process's place."""
    os.execvp(command[0], list(command))  # noqa: S606 - an argument list, no shell


def main(argv: Sequence[str], *, become: Become = _become) -> int:
    """Run `towpath logs` with these arguments; becomes journalctl."""
    asked = _parser().parse_args(list(argv))
    package = _package_of(asked.service)
    if asked.events:
        sys.stdout.write(_events_table(package))
        return ExitStatus.DONE
    command = journal_command(asked, package)
    if asked.dry_run:
        sys.stdout.write(shlex.join(command) + "\n")
        return ExitStatus.DONE
    _require_journal(asked.service)
    sys.stdout.flush()
    return become(command)


def journal_command(asked: argparse.Namespace, package: str) -> Sequence[str]:
    """Return the journalctl command of a request; UsageError for values that mean nothing."""
    unit = "--user-unit" if asked.user else "--unit"
    command = [
        "journalctl",
        f"{unit}=towpath-{asked.service}.service",
        f"{unit}=towpath-{asked.service}@*.service",
    ]
    command += [
        f"--{name}={value}"
        for name, value in (
            ("since", asked.since),
            ("until", asked.until),
            ("output", asked.output),
        )
        if value
    ]
    if asked.lines is not None:
        command.append(f"--lines={_number(asked.lines)}")
    if asked.user:
        command.append("--quiet")  # else it says each time that the system's entries are not shown
    if asked.follow:
        command.append("--follow")
    return [*command, *_matches(asked, package)]


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        "towpath logs", "Show a daemon's entries in the journal, by what they are about."
    )
    parser.add_argument("service", metavar="SERVICE", help="the name of a daemon's command")
    parser.add_argument("--cid", metavar="CID", help="what concerns one CID")
    parser.add_argument("--bucket", metavar="BUCKET", help="what concerns one bucket")
    parser.add_argument("--key", metavar="KEY", help="what concerns one object, by its exact key")
    parser.add_argument("--site", metavar="SITE", help="what concerns one site")
    parser.add_argument("--event", metavar="EVENT", help="one kind of event, such as file_uploaded")
    parser.add_argument("--since", metavar="TIME", help="from then on: '2 hours ago', '2026-07-01'")
    parser.add_argument("--until", metavar="TIME", help="up to then")
    parser.add_argument("-n", "--lines", metavar="N", help="only the last N entries")
    parser.add_argument("-f", "--follow", action="store_true", help="wait for more, until Ctrl-C")
    parser.add_argument(
        "-o", "--output", choices=_FORMATS, metavar="FORMAT", help=f"one of {', '.join(_FORMATS)}"
    )
    parser.add_argument("--user", action="store_true", help="of units that were made with --user")
    parser.add_argument("--dry-run", action="store_true", help="print the command instead")
    parser.add_argument(
        "--events", action="store_true", help="list the events, with level and MESSAGE_ID"
    )
    return parser


def _package_of(service: str) -> str:
    """Return the package of a service; UsageError where there is none of the name."""
    packages = {
        name: module.removesuffix(_ENTRY)
        for name, module in command_modules().items()
        if module.startswith("daemons.") and module.endswith(_ENTRY)
    }
    if service not in packages:
        near = difflib.get_close_matches(service, packages, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"services are {', '.join(packages)}"
        raise UsageError(f"unknown service {service!r}; {hint}")
    return packages[service]


def _matches(asked: argparse.Namespace, package: str) -> Iterator[str]:
    """Yield the matches on fields; journalctl shows what fits all of them."""
    if asked.cid is not None and not _CID.fullmatch(asked.cid):
        raise UsageError(f"--cid {asked.cid!r} is no CID; a CID is exactly five digits")
    for name, field in _FIELDS.items():
        value = getattr(asked, name)
        if value:
            yield f"{field}={value}"
    if asked.event:
        events = events_of(package)
        if asked.event not in events:
            near = difflib.get_close_matches(asked.event, events, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "--events lists them"
            raise UsageError(f"--event {asked.event!r} is no event of this service; {hint}")
        yield f"MESSAGE_ID={message_id(asked.event)}"


def _number(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise UsageError(f"--lines {text!r} is no number of entries; give one from 1")
    return int(text)


def _events_table(package: str) -> str:
    """Return the events of a service, one a line."""
    events = events_of(package)
    width = max(map(len, events))
    return "".join(
        f"{event:<{width}}  {level:<8}  {message_id(event)}\n" for event, level in events.items()
    )


def _require_journal(service: str) -> None:
    """Say where the log is on a machine that keeps no journal."""
    if shutil.which("journalctl") is None:
        raise UsageError(
            "this machine has no journal; the log of a daemon in the background is named by "
            f"`towpath {service} --background`, macOS's launchd keeps it in ~/Library/Logs/towpath"
        )
    if not any(folder.is_dir() for folder in _FOLDERS):
        raise UsageError(
            "systemd keeps no journal on this machine; look where the daemon's stderr goes"
        )
