"""The property lists by which macOS's launchd keeps daemons running for a user. Pure.

launchd knows no readiness, no watchdog, no reload and no exit status that ends the restarts: a
daemon whose configuration is wrong is started again every half minute, and its log says why.
"""

import math
import plistlib
import re
from pathlib import PurePath, PurePosixPath

from shared.errors import UsageError
from shared.units.context import UnitContext
from shared.units.directives import MARK
from shared.units.needs import UnitNeeds
from shared.units.places import based
from shared.units.quoting import check_path
from shared.units.render import UnitFile

_DAILY = re.compile(r"\*-\*-\* ([01]\d|2[0-3]):([0-5]\d)(?::00)?")
_THROTTLE_SECONDS = 30


def label_of(service: str, number: int = 0) -> str:
    """Return the name by which launchd knows a daemon."""
    return f"towpath.{service}.{number}" if number else f"towpath.{service}"


def agents(needs: UnitNeeds, context: UnitContext, logs: PurePath) -> tuple[UnitFile, ...]:
    """Return the property lists of a daemon, one for each instance."""
    based(needs.writes, context.base)
    numbers = range(1, context.instances + 1) if context.instances > 1 else (0,)
    return tuple(_agent(needs, context, logs, number) for number in numbers)


def _agent(needs: UnitNeeds, context: UnitContext, logs: PurePath, number: int) -> UnitFile:
    label = label_of(needs.service, number)
    command = [
        str(check_path(context.program)),
        needs.service,
        "--config",
        str(check_path(context.config_file(needs.service))),
    ]
    content: dict[str, object] = {
        "Label": label,
        "ProgramArguments": [*command, "--once"] if needs.schedule else command,
        "ExitTimeOut": math.ceil(needs.stop_seconds),
        "ThrottleInterval": _THROTTLE_SECONDS,
        "Umask": int(needs.umask, 8),
        "ProcessType": "Background",
        "StandardErrorPath": str(logs / f"{label}.log"),
    }
    if context.base is not None:
        content["WorkingDirectory"] = str(check_path(context.base))
    if needs.schedule:
        content["StartCalendarInterval"] = _calendar(needs.schedule)
    else:
        content |= {"RunAtLoad": True, "KeepAlive": {"SuccessfulExit": False}}
    head, _, rest = plistlib.dumps(content, sort_keys=False).decode().partition("\n")
    text = f"{head}\n<!-- {MARK.strip('# ')} -->\n{rest}"
    return UnitFile(PurePosixPath(f"{label}.plist"), text)


def _calendar(schedule: str) -> dict[str, int]:
    """Return a daily schedule as launchd takes it; it knows no other of systemd's words."""
    match = _DAILY.fullmatch(schedule)
    if match is None:
        raise UsageError(
            f"the schedule {schedule!r} cannot be said to launchd; "
            "give a time of day, such as '*-*-* 02:30:00'"
        )
    return {"Hour": int(match[1]), "Minute": int(match[2])}
