"""How a service is installed already, so that installing it again keeps that. Pure.

| option                  | is taken from                                         |
|-------------------------|-------------------------------------------------------|
| `--run-as`, `--group`   | `User=`, `SupplementaryGroups=` of our `needs.conf`   |
| `--working-directory`   | its `WorkingDirectory=`                               |
| `--instances`           | the instances that are enabled, or run                |

Rule: only what `towpath units` wrote counts, and an option that is given changes it.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath

from shared.units.context import DEFAULT_USER
from shared.units.plan import Found, is_ours

_INSTANCE = re.compile(r"towpath-([a-z0-9]+)@([1-9][0-9]{0,3})\.service")


@dataclass(frozen=True, slots=True)
class Standing:
    """The options that the units of one service were made with; empty ones were the defaults."""

    user: str = ""
    groups: tuple[str, ...] = ()
    base: PurePath | None = None
    instances: int = 1
    uncounted: bool = False
    """There is a template, and too few of its instances are left to tell how many were meant."""


def standing_of(service: str, found: Found) -> Standing:
    """Return how a service stands on a machine; as by default where it does not."""
    template = _is_there(found, f"towpath-{service}@.service")
    stem = f"towpath-{service}{'@' if template else ''}"
    text = found.files.get(PurePosixPath(f"{stem}.service.d/needs.conf"), "")
    lines = _directives(text) if is_ours(text) else {}
    user = lines.get("User", "")
    base = lines.get("WorkingDirectory", "").replace("%%", "%")
    count = _highest(service, found) if template else 1
    return Standing(
        user="" if user == DEFAULT_USER else user,
        groups=tuple(lines.get("SupplementaryGroups", "").split()),
        base=PurePosixPath(base) if base.startswith("/") else None,
        instances=max(1, count),
        uncounted=template and count < 2,  # noqa: PLR2004 - a template is for more than one
    )


def options_of(standing: Standing) -> str:
    """Return the options that would make such units, as a shell takes them."""
    words = [*(("--run-as", standing.user) if standing.user else ())]
    for group in standing.groups:
        words += ["--group", group]
    if standing.instances > 1:
        words += ["--instances", str(standing.instances)]
    if standing.base is not None:
        words += ["--working-directory", str(standing.base)]
    return shlex.join(words)


def _is_there(found: Found, name: str) -> bool:
    return is_ours(found.files.get(PurePosixPath(name), ""))


def _directives(text: str) -> Mapping[str, str]:
    """Return the lines of a file that our renderer wrote; of a key that repeats, the last one."""
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {key: value for key, equals, value in pairs if equals}


def _highest(service: str, found: Found) -> int:
    """Return the number of the last instance that is enabled, or runs."""
    matches = map(_INSTANCE.fullmatch, {*found.enabled, *found.running})
    return max((int(match[2]) for match in matches if match and match[1] == service), default=0)
