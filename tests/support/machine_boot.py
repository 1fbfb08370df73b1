"""Become a machine: a process that ends up as the systemd of its own namespaces.

    python -m tests.support.machine_boot JSON-OF-A-BOOT

Started by `tests.support.machine` from a thread in whose mounts the machine's disk lies. The
process itself stays outside as the parent of the machine's first process and ends with it; both are
killed by the kernel when the thread that started them is gone, however it went.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.support.namespaces import (
    NEW_CGROUP,
    NEW_IPC,
    NEW_MOUNTS,
    NEW_NAMES,
    NEW_NETWORK,
    NEW_PROCESSES,
    NO_DEVICES,
    NO_SET_UID,
    PRIVATE,
    READ_ONLY,
    SHARED,
    bind,
    die_with_parent,
    join,
    mount,
    raise_loopback,
    unshare,
)

SYSTEMD = Path("/lib/systemd/systemd")
NOTIFY_SOCKET = Path("/run/machine/notify")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DEVICES = ("full", "null", "random", "tty", "urandom", "zero")
_LINKS = {
    "fd": "/proc/self/fd",
    "ptmx": "pts/ptmx",
    "stderr": "fd/2",
    "stdin": "fd/0",
    "stdout": "fd/1",
}


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or folder of the host that the machine sees."""

    source: str
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Boot:
    """What a machine is booted with."""

    name: str
    root: str
    """Where its disk is mounted."""
    cgroup: str
    """A cgroup of version 2 for it alone."""
    cgroup_left: str
    """The one that the parent outside goes back to: a cgroup with children holds no process."""
    network: int
    """A descriptor of its network namespace."""
    notify: str
    """The socket on which it says that it is up."""
    binds: Sequence[Bind] = ()

    def encoded(self) -> str:
        """Return it as an argument."""
        return json.dumps(asdict(self))


def main(argv: Sequence[str]) -> int:
    """Boot; returns, outside, the wait status once the machine is gone."""
    fields = json.loads(argv[0])
    boot = Boot(**{**fields, "binds": [Bind(**each) for each in fields["binds"]]})
    die_with_parent(signal.SIGKILL)
    _enter_cgroup(boot.cgroup)
    join(boot.network, NEW_NETWORK)
    unshare(NEW_MOUNTS | NEW_PROCESSES | NEW_CGROUP | NEW_NAMES | NEW_IPC)
    first = os.fork()
    if first == 0:
        die_with_parent(signal.SIGKILL)
        _be_first(boot)
    _enter_cgroup(boot.cgroup_left)
    _, status = os.waitpid(first, 0)
    return os.waitstatus_to_exitcode(status) & 0xFF


def _enter_cgroup(folder: str) -> None:
    Path(folder, "cgroup.procs").write_text("0")


def _be_first(boot: Boot) -> None:
    root = Path(boot.root)
    socket.sethostname(boot.name)
    raise_loopback()
    mount("", Path("/"), flags=PRIVATE)
    _mount_kernel(root)
    _mount_devices(root)
    for each in (*boot.binds, Bind(boot.notify, str(NOTIFY_SOCKET), writable=True)):
        _show(each, root)
    _leave_host(root)
    # As systemd-nspawn does: else what LoadCredential= mounts does not reach the unit.
    mount("", Path("/"), flags=SHARED)
    environ = {"container": "machine", "NOTIFY_SOCKET": str(NOTIFY_SOCKET), "PATH": SYSTEM_PATH}
    arguments = ["--system", "--log-target=journal", "--show-status=false"]
    os.execve(SYSTEMD, [str(SYSTEMD), *arguments], environ)  # noqa: S606 - no shell is wanted


def _mount_kernel(root: Path) -> None:
    mount("proc", root / "proc", "proc")
    mount("sysfs", root / "sys", "sysfs", READ_ONLY)
    mount("cgroup2", root / "sys/fs/cgroup", "cgroup2")
    flags = NO_SET_UID | NO_DEVICES
    mount("tmpfs", root / "run", "tmpfs", flags, "mode=755")
    mount("tmpfs", root / "tmp", "tmpfs", flags, "mode=1777")
    # The kernel's own is the host's, and `journalctl --boot` would find all boots to be one.
    boot_id = root / "run/boot-id"
    boot_id.write_text(f"{uuid.uuid4()}\n")
    bind(boot_id, root / "proc/sys/kernel/random/boot_id", writable=False)


def _mount_devices(root: Path) -> None:
    devices = root / "dev"
    mount("tmpfs", devices, "tmpfs", NO_SET_UID, "mode=755")
    for name in _DEVICES:
        (devices / name).touch()
        bind(Path("/dev", name), devices / name, writable=True)
    for name, target in _LINKS.items():
        (devices / name).symlink_to(target)
    (devices / "pts").mkdir()
    (devices / "shm").mkdir()
    mount("devpts", devices / "pts", "devpts", options="newinstance,ptmxmode=0666,mode=620")
    mount("tmpfs", devices / "shm", "tmpfs", NO_SET_UID | NO_DEVICES, "mode=1777")


def _show(what: Bind, root: Path) -> None:
    source, target = Path(what.source), root / what.target.lstrip("/")
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    bind(source, target, writable=what.writable)


def _leave_host(root: Path) -> None:
    """Make the disk the root of everything and let go of the host's."""
    os.chdir(root)
    left = Path(".left")
    left.mkdir(exist_ok=True)
    subprocess.run(["pivot_root", ".", left], check=True)
    os.chdir("/")
    subprocess.run(["umount", "--lazy", f"/{left}"], check=True)
    Path("/", left).rmdir()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
