"""How every unit is confined, and what had to be given back to some, with the reason. Pure.

`HARDENING` goes into a drop-in that systemd applies to every unit whose name begins with
`towpath-`. What a unit needs beyond that goes into a drop-in of its own, which is read later, by
its name: `hardening.conf`, `needs.conf`, and then the `override.conf` of `systemctl edit`.

Rule: a unit is confined by default, and each exception stands here with its reason.
"""

from collections.abc import Sequence

from shared.units.directives import Directive
from shared.units.needs import UnitNeeds

HARDENING: Sequence[Directive] = (
    Directive("NoNewPrivileges", "yes"),
    Directive("CapabilityBoundingSet", "", "The daemons need no privilege at all."),
    Directive("AmbientCapabilities", ""),
    Directive("PrivateUsers", "yes"),
    Directive("PrivateTmp", "yes"),
    Directive("PrivateDevices", "yes"),
    Directive("DevicePolicy", "closed"),
    Directive("PrivateIPC", "yes"),
    Directive("PrivateMounts", "yes"),
    Directive("ProtectSystem", "strict", "What may be written is named in needs.conf."),
    Directive("ProtectHome", "yes"),
    Directive("ProtectClock", "yes"),
    Directive("ProtectHostname", "yes"),
    Directive("ProtectKernelLogs", "yes"),
    Directive("ProtectKernelModules", "yes"),
    Directive("ProtectKernelTunables", "yes"),
    Directive("ProtectControlGroups", "yes"),
    Directive("ProtectProc", "invisible"),
    Directive(
        "ProcSubset",
        "all",
        "Not pid: /proc/locks names who holds a lock, /proc/sys the boot that a time belongs to, "
        "and numerical libraries read cpuinfo and meminfo.",
    ),
    Directive(
        "RestrictAddressFamilies",
        "AF_UNIX AF_INET AF_INET6",
        "S3 and the instance's metadata; the journal and systemd itself are AF_UNIX. No "
        "IPAddressDeny=: S3 has no addresses that could be named.",
    ),
    Directive("RestrictNamespaces", "yes"),
    Directive("RestrictRealtime", "yes"),
    Directive("RestrictSUIDSGID", "yes"),
    Directive("LockPersonality", "yes"),
    Directive("MemoryDenyWriteExecute", "yes"),
    Directive("RemoveIPC", "yes"),
    Directive("KeyringMode", "private"),
    Directive("SystemCallArchitectures", "native"),
    Directive("SystemCallFilter", "@system-service"),
    Directive(
        "SystemCallFilter",
        "~@privileged @resources",
        "A step's limits are set with prlimit64, which is not in @resources.",
    ),
    Directive(
        "SystemCallErrorNumber", "EPERM", "A library that tries something gets an error, no signal."
    ),
    Directive("UMask", "0077"),
    Directive(
        "LimitCORE", "0", "The memory of a daemon holds keys; the watchdog's abort dumps it."
    ),
)

USER_HARDENING: Sequence[Directive] = tuple(
    directive
    for directive in HARDENING
    if directive.key
    in {
        "LimitCORE",
        "LockPersonality",
        "MemoryDenyWriteExecute",
        "NoNewPrivileges",
        "RestrictAddressFamilies",
        "RestrictNamespaces",
        "RestrictRealtime",
        "RestrictSUIDSGID",
        "SystemCallArchitectures",
        "SystemCallErrorNumber",
        "SystemCallFilter",
        "UMask",
    }
)
"""What a user's own manager can do without privileges: seccomp. Everything that hides or protects
files needs a mount namespace, which many systems do not let users make."""


def relaxed(needs: UnitNeeds) -> Sequence[Directive]:
    """Return what is given back to a unit of these needs."""
    directives = []
    if needs.umask != "0077":
        directives.append(
            Directive("UMask", needs.umask, "What it makes is for people, who have to read it.")
        )
    if needs.runs_steps:
        directives.append(
            Directive(
                "OOMPolicy",
                "continue",
                "A step that takes too much memory is a failed step, not a failed daemon.",
            )
        )
    return directives
