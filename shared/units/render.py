"""The unit files of a daemon, from its needs and the place they are made for. Pure.

    towpath.target                          all of them: stopping it stops them
    towpath-.service.d/hardening.conf       how each is confined
    towpath-<service>.service               one daemon
    towpath-<service>@.service              one of several, where more than one is asked for
    towpath-<service>.service.d/needs.conf  user, folders, limits: what depends on configuration
    towpath-<service>.timer                 where it does a pass now and then

Rule: one truth. What `towpath units` installs, what `systemd/` of the repository shows and what
the tests verify comes from here.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from shared.units.context import CREDENTIALS, STEPS_SYSTEMD, UnitContext
from shared.units.directives import Directive, Section, render_unit
from shared.units.hardening import HARDENING, USER_HARDENING, relaxed
from shared.units.needs import UnitNeeds
from shared.units.places import HOMES, Sight, plan_sight
from shared.units.quoting import check_path, quote_argument, quote_program, whole_line

TARGET = "towpath.target"
SHARED_DROP_IN = PurePosixPath("towpath-.service.d/hardening.conf")
_MARGIN_SECONDS = 15
_START_SECONDS = 300
_RESTART_SECONDS = 15
_ENDS = ((2, "the configuration is wrong"), (5, "another one holds the lock"))
_ENDS_OF_A_PASS = (
    _ENDS[0],
    (4, "some items failed, and the next run tries them"),
    _ENDS[1],
)
_FURTHER = (
    Directive("Documentation", "man:systemd.exec(5)"),
    Directive("After", "network-online.target nss-lookup.target time-sync.target"),
    Directive("Wants", "network-online.target"),
)


@dataclass(frozen=True, slots=True)
class UnitFile:
    """A file below the folder of units."""

    name: PurePosixPath
    text: str


@dataclass(frozen=True, slots=True)
class UnitSet:
    """The files of one daemon, and the names by which systemd is told to run it."""

    service: str
    files: tuple[UnitFile, ...]
    units: tuple[str, ...]
    """What is enabled and started: instances of a template, or a timer in place of its service."""


def shared_files(context: UnitContext) -> tuple[UnitFile, ...]:
    """Return what all units have in common."""
    target = [
        Section("Unit", [Directive("Description", "Towpath: all of its daemons")]),
        Section("Install", [Directive("WantedBy", _boot_target(context))]),
    ]
    hardening = USER_HARDENING if context.per_user else HARDENING
    return (
        UnitFile(PurePosixPath(TARGET), render_unit(target)),
        UnitFile(SHARED_DROP_IN, render_unit([Section("Service", hardening)])),
    )


def unit_set(needs: UnitNeeds, context: UnitContext) -> UnitSet:
    """Return the files of one daemon; UnfitPath where its configuration cannot be confined."""
    template = context.instances > 1
    stem = f"towpath-{needs.service}{'@' if template else ''}"
    name = f"{stem}.service"
    drop_in = PurePosixPath(f"{name}.d/needs.conf")
    files = [
        UnitFile(PurePosixPath(name), render_unit(_service(needs, context))),
        UnitFile(drop_in, render_unit(_needs(needs, context))),
    ]
    if needs.schedule:
        timer = f"{stem}.timer"
        files.append(UnitFile(PurePosixPath(timer), render_unit(_timer(needs))))
        units: tuple[str, ...] = (timer,)
    elif template:
        numbers = range(1, context.instances + 1)
        units = tuple(f"{stem}{number}.service" for number in numbers)
    else:
        units = (name,)
    return UnitSet(needs.service, tuple(files), units)


def _service(needs: UnitNeeds, context: UnitContext) -> Iterator[Section]:
    """Yield the sections that do not depend on what the configuration says."""
    number = " %i" if context.instances > 1 else ""
    head = [Directive("Description", f"Towpath {needs.service}{number}: {needs.summary}")]
    if not context.per_user:
        head += _FURTHER
    head.append(Directive("PartOf", TARGET))
    head.append(
        Directive("StartLimitIntervalSec", "0", "What is wrong may be mended by somebody else.")
    )
    yield Section("Unit", head)
    yield Section("Service", [*_running(needs, context), *_ending(needs, context)])
    if needs.schedule is None:
        yield Section("Install", [Directive("WantedBy", TARGET)])


def _running(needs: UnitNeeds, context: UnitContext) -> Iterator[Directive]:
    """Yield how it is started, watched and reloaded."""
    words = [needs.service, "--config", str(check_path(context.config_file(needs.service)))]
    if needs.schedule:
        words.append("--once")
    program = quote_program(context.program)
    yield Directive("Type", "notify")
    yield Directive("NotifyAccess", "main")
    yield Directive("ExecStart", " ".join([program, *map(quote_argument, words)]))
    if needs.schedule is None:
        yield Directive("ExecReload", "/bin/kill -HUP $MAINPID")
    yield Directive("SyslogIdentifier", f"towpath-{needs.service}")
    yield Directive(
        "SyslogLevel", "err", "What comes as text, and not as an entry, is why it could not go on."
    )
    yield Directive("WatchdogSec", _seconds(needs.watchdog_seconds))
    yield Directive("TimeoutStartSec", str(_START_SECONDS))


def _ending(needs: UnitNeeds, context: UnitContext) -> Iterator[Directive]:
    """Yield how it is stopped, and when it is started again."""
    stop = needs.stop_seconds + _MARGIN_SECONDS
    yield Directive(
        "TimeoutStopSec", _seconds(stop), "The daemon's own grace and clean-up, and a margin."
    )
    yield Directive(
        "KillMode", "mixed", "The daemon ends its own children; what is left goes in the end."
    )
    yield Directive("Restart", "on-failure")
    yield Directive("RestartSec", str(_RESTART_SECONDS))
    if context.systemd >= STEPS_SYSTEMD:
        yield Directive("RestartSteps", "5")
        yield Directive("RestartMaxDelaySec", "300")
    ends = needs.ends or (_ENDS_OF_A_PASS if needs.schedule else _ENDS)
    yield Directive(
        "RestartPreventExitStatus",
        " ".join(str(status) for status, _ in ends),
        ", ".join(f"{status}: {meaning}" for status, meaning in ends) + ".",
    )


def _needs(needs: UnitNeeds, context: UnitContext) -> Iterator[Section]:
    """Yield what the configuration asks for."""
    limits = [
        Directive("MemoryMax", _share(needs.memory_max, context.instances)),
        Directive("TasksMax", str(needs.tasks_max)),
        Directive("LimitNOFILE", "65536"),
        Directive(
            "LogRateLimitBurst",
            "200000",
            "An event a file is more than the journal usually takes within 30 s.",
        ),
    ]
    base = _base(context)
    if context.per_user:
        yield Section("Service", [*base, *limits, *relaxed_for_users(needs)])
        return
    sight = plan_sight(needs, base=context.base, links=context.links, program=context.prefix)
    if sight.mounts:
        yield Section("Unit", [Directive("RequiresMountsFor", " ".join(sight.mounts))])
    yield Section(
        "Service",
        [
            *_identity(context),
            *base,
            *_own_folders(needs, context),
            *_seen(sight),
            *limits,
            *relaxed(needs),
        ],
    )


def relaxed_for_users(needs: UnitNeeds) -> Sequence[Directive]:
    """Return what is given back in a user's own manager, where less is taken."""
    return [item for item in relaxed(needs) if item.key in {"UMask", "OOMPolicy"}]


def _identity(context: UnitContext) -> Iterator[Directive]:
    """Yield as whom it runs, and with whose keys."""
    yield Directive("User", context.user)
    yield Directive("Group", context.group)
    if context.groups:
        yield Directive("SupplementaryGroups", " ".join(context.groups))
    if context.credentials:
        yield Directive("LoadCredential", f"aws:{CREDENTIALS}")
        yield Directive("Environment", "AWS_SHARED_CREDENTIALS_FILE=%d/aws")


def _base(context: UnitContext) -> Iterator[Directive]:
    """Yield the working folder, where relative paths are meant to start from one."""
    if context.base is not None:
        yield Directive("WorkingDirectory", whole_line(check_path(context.base)))


def _own_folders(needs: UnitNeeds, context: UnitContext) -> Iterator[Directive]:
    """Yield the folders that systemd makes for it."""
    own = f"towpath/{needs.service}" + ("/%i" if context.instances > 1 else "")
    yield Directive("StateDirectory", own)
    yield Directive(
        "StateDirectoryMode", "0750", "Monitors in the daemon's group read metrics.prom there."
    )
    yield Directive("CacheDirectory", own)
    yield Directive("CacheDirectoryMode", "0700")
    yield Directive("RuntimeDirectory", own)
    yield Directive("RuntimeDirectoryMode", "0750")
    yield Directive("Environment", f"XDG_CACHE_HOME=%C/{own}")


def _seen(sight: Sight) -> Iterator[Directive]:
    """Yield what it sees of the file system."""
    if sight.protect_home != "yes":
        yield Directive(
            "ProtectHome", sight.protect_home, "A folder of data lies in a home: only that is seen."
        )
        yield Directive(
            "TemporaryFileSystem",
            " ".join(f"{home}:ro,mode=0755" for home in HOMES),
            "By itself ProtectHome=tmpfs lets anybody write there, and what is written is lost.",
        )
    for key, values in (
        ("ReadWritePaths", sight.read_write),
        ("BindPaths", sight.bind),
        ("ReadOnlyPaths", sight.read_only),
        ("BindReadOnlyPaths", sight.bind_read_only),
    ):
        if values:
            yield Directive(key, " ".join(values))


def _timer(needs: UnitNeeds) -> Iterator[Section]:
    """Yield the timer of what does a pass now and then."""
    yield Section(
        "Unit",
        [
            Directive("Description", f"Towpath {needs.service}: when its next pass is due"),
            Directive("PartOf", TARGET),
        ],
    )
    yield Section(
        "Timer",
        [
            Directive("OnCalendar", needs.schedule or ""),
            Directive("Persistent", "yes", "A run that was missed is made up for."),
            Directive("RandomizedDelaySec", "120"),
            Directive("AccuracySec", "1min"),
        ],
    )
    yield Section("Install", [Directive("WantedBy", TARGET)])


def _boot_target(context: UnitContext) -> str:
    return "default.target" if context.per_user else "multi-user.target"


def _seconds(seconds: float) -> str:
    """Return whole seconds, rounded up."""
    return str(math.ceil(seconds))


def _share(memory_max: str, instances: int) -> str:
    """Return the memory of one of several that share the machine."""
    if memory_max.endswith("%"):
        return f"{max(1, int(memory_max[:-1]) // instances)}%"
    return memory_max
