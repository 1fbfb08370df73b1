"""The machine that units are put on: what is found there, and how it is changed.

Everything that the planning and rendering modules of this package know of a machine is read here,
and everything that they decide is done here. Rule: what is planned is done one thing after the
other, each is said, and what fails ends it with a line; running it again goes on from there.
"""

import grp
import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PurePosixPath

from shared.errors import PermanentError, UsageError
from shared.files import write_durably
from shared.units.context import OLDEST_SYSTEMD
from shared.units.plan import (
    LINK,
    Action,
    CreateFolder,
    CreateUser,
    Found,
    Manage,
    RemoveFile,
    Verb,
    WriteFile,
)

SYSTEM_UNITS = Path("/etc/systemd/system")
HOME_OF_DAEMONS = Path("/var/lib/towpath")
_MANAGER_SECONDS = 660.0
"""Longer than a unit may take to start or to stop."""
_NOBODY = 65534
_TEST_SECONDS = 30.0
_LARGEST_UNIT_BYTES = 256 * 1024
_SHOWN_LINES = 5
NO_MANAGER = (
    "your own service manager cannot be reached from this shell, as after `su` or `sudo -u`; log "
    "in as that user (ssh, or `machinectl shell USER@`), or as root `loginctl enable-linger USER` "
    "and then, as USER, with XDG_RUNTIME_DIR=/run/user/$(id -u)"
)
_STATE_FIELDS = 4
"""Unit, load, active, sub; the description may be missing."""
_FOLDER_MODE = 0o2775
"""Folders of data are shared by a group, and what is made in them is its own, too."""
_RUNNING = frozenset({"active", "activating", "deactivating", "reloading"})
_CRASHED = "auto-restart"
"""How the manager calls, with further words from 254 on, what waits for its next attempt."""


class ManagerRefused(PermanentError):
    """The service manager, or a tool of the system, did not do what it was asked."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine."""

    name: str
    uid: int
    gid: int
    group: str


@dataclass(frozen=True, slots=True)
class Host:
    """This machine, and the service manager that is spoken to."""

    units: Path
    """The folder of unit files."""
    per_user: bool

    @property
    def booted(self) -> bool:
        """Whether that manager runs; not so in a container, or while an image is built."""
        if self.per_user:
            runtime = os.environ.get("XDG_RUNTIME_DIR", "")
            # After `su` it may be that of another user, where Path would raise PermissionError.
            return bool(runtime) and os.path.isdir(f"{runtime}/systemd")  # noqa: PTH112 - as said
        return Path("/run/systemd/system").is_dir()

    def find(self) -> Found:
        """Return what there is of ours; UsageError where there is no systemd at all."""
        require_systemd()
        states = self._states() if self.booted else []
        rising = {name: how for name, state, how in states if state == "activating"}
        crashing = frozenset(name for name, how in rising.items() if how.startswith(_CRASHED))
        return replace(
            self.installed(),
            running=frozenset(name for name, state, _ in states if state in _RUNNING),
            starting=frozenset(rising) - crashing,
            crashing=crashing,
            failed=frozenset(name for name, state, _ in states if state == "failed"),
            booted=self.booted,
        )

    def installed(self) -> Found:
        """Return what the folder of units says by itself."""
        return Found(files=dict(self._files()), enabled=frozenset(self._enabled()))

    def perform(self, action: Action) -> None:
        """Do one thing; ManagerRefused or OSError where it cannot be done."""
        match action:
            case CreateUser(name):
                create_user(name)
            case CreateFolder(path, owner):
                create_folder(path, find_account(owner) if owner else None)
            case WriteFile(same=True):
                pass
            case WriteFile(file):
                path = self.units / file.name
                path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                write_durably(path, file.text.encode())
            case RemoveFile(name):
                self._remove(self.units / name)
            case Manage(verb, units):
                self._systemctl(verb, *(["--", *units] if units else []))
                if verb == Verb.STOP:
                    self._forget(units)

    def version(self) -> int:
        """Return the version of systemd; the oldest supported where it does not say."""
        try:
            words = self._systemctl("--version").split()
        except (ManagerRefused, UsageError):
            return OLDEST_SYSTEMD
        numbers = [word for word in words[:3] if word.isdecimal()]
        return int(numbers[0]) if numbers else OLDEST_SYSTEMD

    def _files(self) -> Iterator[tuple[PurePosixPath, str]]:
        """Yield the unit files and drop-ins whose names begin as ours do."""
        for path in sorted(self.units.glob("towpath*")):
            if path.suffix in {".service", ".timer", ".target"}:
                yield PurePosixPath(path.name), _text(path)
            elif path.suffix == ".d" and path.is_dir() and not path.is_symlink():
                for inner in sorted(path.glob("*.conf")):
                    yield PurePosixPath(path.name, inner.name), _text(inner)

    def _enabled(self) -> Iterator[str]:
        """Yield what the links say that `systemctl enable` makes."""
        for folder in self.units.glob("*.target.wants"):
            yield from (path.name for path in folder.glob("towpath*") if path.is_symlink())

    def _forget(self, units: Collection[str]) -> None:
        """Have those forgotten that failed on their way down, since nobody will start them."""
        failed = [name for name, state, _ in self._states() if state == "failed" and name in units]
        if failed:
            self._systemctl(Verb.FORGET, "--", *failed)

    def _states(self) -> Sequence[tuple[str, str, str]]:
        """Return the units that the manager knows, how they are, and in its own words."""
        listed = self._systemctl(
            "list-units", "--all", "--plain", "--no-legend", "--no-pager", "--", "towpath*"
        )
        rows = (line.split(None, 4) for line in listed.splitlines())
        return [(row[0], row[2], row[3]) for row in rows if len(row) >= _STATE_FIELDS]

    def _systemctl(self, *words: str) -> str:
        """Run systemctl within bounds and return what it printed."""
        require_systemd()
        manager = ["systemctl", "--user"] if self.per_user else ["systemctl"]
        try:
            return run_tool([*manager, *words])
        except ManagerRefused as error:
            if self.per_user and "connect to bus" in str(error):
                raise ManagerRefused(f"{error}; {NO_MANAGER}") from error
            raise

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        if path.parent != self.units:
            with suppress(OSError):  # drop-ins of others may be in it
                path.parent.rmdir()


def require_systemd() -> None:
    """Refuse a machine that has no systemd."""
    if shutil.which("systemctl") is None:
        raise UsageError(
            "there is no systemctl on this machine; units are for Linux with systemd, and on macOS "
            "for --user"
        )


def run_tool(argv: Sequence[str]) -> str:
    """Run a tool of the system and return what it printed; ManagerRefused has its last lines."""
    environment = {**os.environ, "LC_ALL": "C", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}
    try:
        done = subprocess.run(  # noqa: S603 - an argument list, no shell
            argv,
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_MANAGER_SECONDS,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        raise ManagerRefused(
            f"{' '.join(argv)!r} did not end within {_MANAGER_SECONDS:g} s; see `journalctl -e`"
        ) from error
    except OSError as error:
        raise ManagerRefused(
            f"{argv[0]!r} cannot be started: {error.strerror}; install it"
        ) from error
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-_SHOWN_LINES:]
        why = " ".join(said) or f"exit status {done.returncode}"
        raise ManagerRefused(f"{' '.join(argv)!r} failed: {why}")
    return done.stdout.decode("utf-8", "replace")


def find_account(name: str) -> Account | None:
    """Return a user of this machine, with the name of the user's own group."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    try:
        group = grp.getgrgid(entry.pw_gid).gr_name
    except KeyError:
        group = str(entry.pw_gid)
    return Account(name, entry.pw_uid, entry.pw_gid, group)


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def group_exists(name: str) -> bool:
    """Tell whether this machine has a group."""
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def create_user(name: str) -> None:
    """Make a system user, with a group of its name, without a shell and without a home."""
    run_tool(
        [
            "useradd",
            "--system",
            "--user-group",
            "--no-create-home",
            "--home-dir",
            str(HOME_OF_DAEMONS),
            "--shell",
            "/usr/sbin/nologin",
            name,
        ]
    )


def may_read(path: Path, account: Account | None) -> bool:
    """Tell whether a file's own permissions let somebody read it; None is anybody."""
    status = path.stat()
    if status.st_mode & stat.S_IROTH:
        return True
    if account is None:
        return False
    if account.uid == status.st_uid:
        return bool(status.st_mode & stat.S_IRUSR)
    return account.gid == status.st_gid and bool(status.st_mode & stat.S_IRGRP)


def may_write(folder: Path, account: Account | None, groups: Sequence[str] = ()) -> bool:
    """Tell whether somebody may make files in a folder; None is a user yet to be made.

    The kernel is asked, as that user, since permissions may come from lists as well; from inside,
    because a unit reaches the folder whatever the ones above it allow. Only root can find out;
    anybody else is told yes.
    """
    if os.geteuid() != 0:
        return True
    if account is None and not _has_name(folder.stat().st_uid):
        # A volume of a former machine: it may well belong to the user that is made next.
        return True
    theirs = [grp.getgrnam(name).gr_gid for name in groups]
    uid = gid = _NOBODY
    if account is not None:
        uid, gid = account.uid, account.gid
        theirs += os.getgrouplist(account.name, account.gid)
    asked = subprocess.run(
        ["/usr/bin/test", "-w", ".", "-a", "-x", "."],
        check=False,
        cwd=folder,
        user=uid,
        group=gid,
        extra_groups=theirs,
        timeout=_TEST_SECONDS,
    )
    return asked.returncode == 0


def links_of(paths: Iterable[PurePath]) -> Mapping[PurePath, PurePath]:
    """Return which of the paths lead elsewhere, and where."""
    real = {path: Path(os.path.realpath(path)) for path in paths}
    return {path: target for path, target in real.items() if target != path}


def create_folder(path: PurePath, owner: Account | None) -> None:
    """Make a folder, and those above it, for their owner; existing ones are left as they are.

    Root walks through folders of others here, who could put a link into its way at any moment, so
    no link is followed: each step is taken from the folder before it.
    """
    if not hasattr(os, "O_PATH") or owner is None:
        Path(path).mkdir(parents=True, exist_ok=True)
        return
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    at = os.open("/", flags)
    try:
        for name in path.parts[1:]:
            made = _make(name, at)
            inner = os.open(name, flags, dir_fd=at)
            os.close(at)
            at = inner
            if made:
                os.fchown(at, owner.uid, owner.gid)
                os.fchmod(at, _FOLDER_MODE)
    finally:
        os.close(at)


def _make(name: str, at: int) -> bool:
    try:
        os.mkdir(name, dir_fd=at)
    except FileExistsError:
        return False
    return True


def _text(path: Path) -> str:
    """Return a unit file's text, or that it is a link."""
    if path.is_symlink():
        return LINK
    try:
        with path.open("rb") as stream:
            return stream.read(_LARGEST_UNIT_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise UsageError(
            f"{str(path)!r} cannot be read: {error.strerror}; use sudo, or move it away"
        ) from error


def stable_prefix(prefix: Path) -> Path:
    """Return the folder that stays when the environment in it is replaced by a newer one.

    `make install PREFIX=` puts each version into `PREFIX/releases/`, and `PREFIX/bin` leads to the
    one in use: a unit that named the version would start the old one for ever.
    """
    outer = prefix.parent.parent
    if prefix.parent.name == "releases" and (outer / "bin").resolve() == (prefix / "bin").resolve():
        return outer
    return prefix


def running_prefix() -> Path:
    """Return the environment that this program runs in."""
    return stable_prefix(Path(sys.prefix))
