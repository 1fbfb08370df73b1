"""What a daemon needs of the machine it runs on, in words that know no service manager. Pure.

Each daemon says it in `daemons/<service>/unit.py`, from its settings. Rule: what is not named here
the daemon cannot touch, so `writes` is exactly what the configuration makes it write.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

_SERVICE = re.compile(r"[a-z][a-z0-9]{0,30}")
_MEMORY = re.compile(r"[1-9][0-9]{0,7}M|[1-9][0-9]?%|100%|infinity")
_UMASK = re.compile(r"0[0-7]{3}")
_CALENDAR = re.compile(r"[A-Za-z0-9*:,./~ -]{1,100}")


@dataclass(frozen=True, slots=True)
class UnitNeeds:
    """What one daemon needs, with one configuration."""

    service: str
    """One word, which is also the sub-command."""
    summary: str
    """What it does, for `systemctl status`."""
    stop_seconds: float
    """How long the daemon itself may take to end, grace and clean-up together."""
    writes: tuple[PurePath, ...] = ()
    """Folders outside its state folder in which it creates, changes or removes something."""
    reads: tuple[PurePath, ...] = ()
    """What it reads besides; inside a folder of `writes` it is protected from being written."""
    watchdog_seconds: float = 300.0
    """How long the working loop may show no progress before the process is replaced."""
    memory_max: str = "infinity"
    """For the daemon and all its children: `512M`, or a share of the machine such as `90%`."""
    tasks_max: int = 512
    """Processes and threads, the children's too."""
    umask: str = "0077"
    """What it makes for people to read needs another than the default."""
    runs_steps: bool = False
    """It starts programs of others, which expect more of a machine than our own code does."""
    several: bool = False
    """More than one may run on a machine, with the same configuration."""
    schedule: str | None = None
    """When to do one pass, in systemd's calendar words; None: it runs on and on."""
    ends: tuple[tuple[int, str], ...] = ()
    """Exit statuses after which it is not started again, and what they mean; empty: the usual."""

    def __post_init__(self) -> None:
        """Refuse what could not be written into a unit."""
        for name, value, form in (
            ("service", self.service, _SERVICE),
            ("memory_max", self.memory_max, _MEMORY),
            ("umask", self.umask, _UMASK),
            ("schedule", self.schedule or "daily", _CALENDAR),
        ):
            if not form.fullmatch(value):
                raise ValueError(f"{name} {value!r} does not match {form.pattern!r}")
        if self.several and self.schedule:
            raise ValueError(f"{self.service!r} is both several and on a schedule")


def outermost(paths: Iterable[PurePath | None]) -> tuple[PurePath, ...]:
    """Return the paths in order, without those that lie in another one and without None."""
    given = sorted({path for path in paths if path is not None})
    return tuple(path for path in given if not any(other in path.parents for other in given))
