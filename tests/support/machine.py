"""A machine of one's own: a real systemd as the first process of its own namespaces.

    with open_network() as network, open_machine(network) as machine:
        machine.run("systemctl", "start", "towpath-uploader")

Its disk is this machine's root under a throw-away layer, its network a loopback that leads nowhere.
Nothing it does reaches the host, and nothing of it is left afterwards, whatever becomes of the
tests: the kernel kills it when they are killed, and the next run removes the rest. Booting takes
about a third of a second.

Not enforced inside: `MemoryMax=`, `TasksMax=`, `CPUWeight=`, where the host's cgroups of version 2
have no controllers.
"""

import functools
import os
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ParamSpec, TypeVar

import pytest

from tests.support.daemon import PROJECT
from tests.support.machine_boot import SYSTEM_PATH, SYSTEMD, Bind, Boot
from tests.support.machine_disk import mount_disk
from tests.support.machine_journal import Journal
from tests.support.machine_place import Place, cgroup_root, claim_place, kill_all, own_cgroup
from tests.support.namespaces import NEW_MOUNTS, NEW_NETWORK, Room, raise_loopback
from tests.support.strict_s3.server import StrictS3

BOOT_SECONDS = 60.0
COMMAND_SECONDS = 30.0
"""How long one command may take, unless told otherwise."""
_MARGIN_SECONDS = 5.0
_PROGRAMS = ("journalctl", "nsenter", "pivot_root", "timeout", "umount")
_ENVIRONMENT = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": SYSTEM_PATH,
    "SYSTEMD_COLORS": "0",
    "SYSTEMD_PAGER": "",
}

_P = ParamSpec("_P")
_T = TypeVar("_T")


@functools.cache
def reason_against() -> str:
    """Say why no machine can be booted here; empty where one can."""
    if os.geteuid() != 0:
        return "a private systemd needs root"
    if not SYSTEMD.exists():
        return "systemd is not installed; `make system` installs it"
    if missing := [name for name in _PROGRAMS if shutil.which(name, path=SYSTEM_PATH) is None]:
        return f"{', '.join(missing)} not found; `make system` installs them"
    try:
        # What the kernel, or whoever keeps this container, allows is found by doing it.
        Room(NEW_NETWORK).close()
        with TemporaryDirectory(prefix="disk-") as folder:
            room = Room(NEW_MOUNTS)
            try:
                room.call(mount_disk, Path(folder))
            finally:
                room.close()
        probe = cgroup_root() / f"towpath-probe-{os.getpid()}"
        probe.mkdir()
        probe.rmdir()
    except (LookupError, OSError) as error:
        return f"a private systemd cannot be booted here: {error}"
    return ""


def require_machine() -> None:
    """Skip the calling test where no machine can be booted."""
    if reason := reason_against():
        pytest.skip(reason)


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended, and what it said."""

    status: int
    stdout: str
    stderr: str


class Network:
    """A loopback of its own, shared by machines and by servers of the test."""

    def __init__(self, room: Room) -> None:
        self._room = room
        room.call(raise_loopback)

    def call(self, function: Callable[_P, _T], *args: _P.args, **settings: _P.kwargs) -> _T:
        """Call a function inside: sockets and threads that it makes stay there."""
        return self._room.call(function, *args, **settings)

    def open_namespace(self) -> int:
        """Return a descriptor with which a process can join it."""
        return self._room.open_namespace("net")

    @contextmanager
    def strict_s3(self, buckets: Sequence[str]) -> Iterator[StrictS3]:
        """Run a strict S3 inside for the length of a block; the test looks into it as ever."""
        s3 = StrictS3(buckets)
        self.call(s3.start)
        try:
            yield s3
        finally:
            s3.stop()


@contextmanager
def open_network() -> Iterator[Network]:
    """Have a network for the length of a block."""
    room = Room(NEW_NETWORK)
    try:
        yield Network(room)
    finally:
        room.close()


class Machine:
    """A disk that lasts as long as this object, and a systemd that can be booted from it again."""

    def __init__(
        self, place: Place, disk: Room, root: Path, network: Network, binds: Sequence[Bind]
    ) -> None:
        self._place = place
        self._disk = disk
        self._root = root
        self.network = network
        self._binds = binds
        self._outer: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self._journal: Journal | None = None

    @property
    def journal(self) -> Journal:
        """The journal of this boot."""
        assert self._journal is not None, "the machine is off"
        return self._journal

    def boot(self) -> None:
        """Boot, and return once everything enabled has been started; AssertionError."""
        self._place.notify.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(str(self._place.notify))
            self._outer = self._start_outer()
            self._await_ready(listener, self._outer)
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children")
        self._leader = int(children.read_text().split()[0])
        self._journal = self._follow()

    def reboot(self) -> None:
        """Shut down in order and boot again."""
        self.power_off()
        self.boot()

    def power_off(self) -> None:
        """Shut down in order: every unit is stopped first."""
        assert self._outer is not None, "the machine is off"
        # What `systemctl poweroff` does where no login manager is asked first.
        mode = "--job-mode=replace-irreversibly"
        self.run("systemctl", "start", "--no-block", mode, "poweroff.target")
        try:
            self._outer.wait(BOOT_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not shut down\n{self.journal.tail()}") from None
        self.cut_power()

    def cut_power(self) -> None:
        """End every process in this moment, if the machine is on."""
        if self._outer is not None:
            kill_all(self._place.cgroup)
            self._outer.wait(BOOT_SECONDS)
            self._outer = None
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def run(
        self,
        *command: str,
        limit: float = COMMAND_SECONDS,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
    ) -> Finished:
        """Run a command as root; unless told not to check, AssertionError where it fails."""
        done = subprocess.run(
            self._inside(("timeout", "--kill-after=2", str(limit), *command), env or {}),
            input=stdin.encode(),
            capture_output=True,
            check=False,
            timeout=limit + _MARGIN_SECONDS,
        )
        finished = Finished(
            done.returncode,
            done.stdout.decode(errors="backslashreplace"),
            done.stderr.decode(errors="backslashreplace"),
        )
        assert not check or finished.status == 0, (
            f"{command} ended with {finished.status}\n{finished.stdout}{finished.stderr}"
            f"\n{self.journal.tail()}"
        )
        return finished

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Return properties of a unit as systemd knows them now."""
        asked = [f"--property={name}" for name in names]
        lines = self.run("systemctl", "show", unit, *asked).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines)

    def path(self, inside: str) -> Path:
        """Return how the host reaches a path; beware of absolute links on the way."""
        return Path(f"/proc/{self._leader}/root", inside.lstrip("/"))

    def write(self, inside: str, text: str, *, mode: int = 0o644) -> None:
        """Write a file, with the folders above it."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def _inside(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> list[str]:
        variables = [f"{name}={value}" for name, value in {**_ENVIRONMENT, **(env or {})}.items()]
        enter = ["nsenter", f"--target={self._leader}", "--mount", "--pid", "--cgroup", "--uts"]
        return [*enter, "--ipc", "--net", "--root", "--wd", "env", "-i", *variables, *command]

    def _follow(self) -> Journal:
        """Follow the journal from outside: shutting down would wait for a process inside."""
        boot = self.path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
        folder = f"--directory={self.path('/var/log/journal')}"
        follow = ["journalctl", "--follow", "--no-tail", "--all", "--output=json"]
        return Journal([*follow, folder, f"_BOOT_ID={boot}"])

    def _start_outer(self) -> subprocess.Popen[bytes]:
        network = self.network.open_namespace()
        boot = Boot(
            name="machine",
            root=str(self._root),
            cgroup=str(self._place.cgroup),
            cgroup_left=str(own_cgroup()),
            network=network,
            notify=str(self._place.notify),
            binds=self._binds,
        )
        command = [sys.executable, "-S", "-m", "tests.support.machine_boot", boot.encoded()]
        with self._place.console.open("ab") as console:
            try:
                return self._disk.call(
                    subprocess.Popen,
                    command,
                    cwd=PROJECT,
                    env={"PATH": SYSTEM_PATH, "PYTHONDONTWRITEBYTECODE": "1"},
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=console,
                    pass_fds=[network],
                    # A Ctrl-C in the terminal is meant for the tests alone.
                    start_new_session=True,
                )
            finally:
                os.close(network)

    def _await_ready(self, listener: socket.socket, outer: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + BOOT_SECONDS
        ended = os.pidfd_open(outer.pid)
        try:
            while True:
                left = deadline - time.monotonic()
                waited: list[socket.socket | int] = [listener, ended]
                readable = select.select(waited, [], [], max(left, 0))[0]
                assert readable, f"it is not up after {BOOT_SECONDS} s\n{self._console()}"
                assert listener in readable, f"it ended while it booted\n{self._console()}"
                if b"READY=1" in listener.recv(4096).split(b"\n"):
                    return
        finally:
            os.close(ended)

    def _console(self) -> str:
        return self._place.console.read_text(errors="backslashreplace")


@contextmanager
def open_machine(network: Network, binds: Sequence[Bind] = ()) -> Iterator[Machine]:
    """Have a booted machine for the length of a block."""
    with claim_place() as place:
        disk = Room(NEW_MOUNTS)
        try:
            machine = Machine(place, disk, disk.call(mount_disk, place.disk), network, binds)
            try:
                machine.boot()
                yield machine
            finally:
                machine.cut_power()
        finally:
            disk.close()
