"""Where units are to be installed: program, user, folders, and which service manager. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath, PurePosixPath

OLDEST_SYSTEMD = 252
STEPS_SYSTEMD = 254
"""The first that can let the pause between restarts grow."""
SYSTEM_CONFIGURATION = PurePosixPath("/etc/towpath")
CREDENTIALS = SYSTEM_CONFIGURATION / "credentials" / "aws"
DEFAULT_PREFIX = PurePosixPath("/opt/towpath")
DEFAULT_USER = "towpath"


@dataclass(frozen=True, slots=True)
class UnitContext:
    """What units are made for, besides the needs of each."""

    prefix: PurePath = DEFAULT_PREFIX
    """The environment whose `bin/towpath` is started."""
    configuration: PurePath = SYSTEM_CONFIGURATION
    """The folder of the `<service>.toml`."""
    user: str = DEFAULT_USER
    """Empty: the units are those of a user's own manager."""
    group: str = DEFAULT_USER
    groups: tuple[str, ...] = ()
    """Further groups, for data that belongs to somebody else."""
    base: PurePath | None = None
    """What relative paths of the configuration are relative to."""
    credentials: bool = False
    """There is a file of credentials for systemd to pass on."""
    links: Mapping[PurePath, PurePath] = field(default_factory=dict)
    """Paths of the configuration that lead elsewhere, and where."""
    instances: int = 1
    systemd: int = OLDEST_SYSTEMD

    @property
    def per_user(self) -> bool:
        """Whether the units are those of a user's own manager."""
        return not self.user

    @property
    def program(self) -> PurePath:
        """What is started."""
        return self.prefix / "bin" / "towpath"

    def config_file(self, service: str) -> PurePath:
        """Return the file that a service reads."""
        return self.configuration / f"{service}.toml"
