"""Where a machine lives on the host, a folder and a cgroup, and how both are given back.

A lock on the folder tells whether the run that made it still lives; what a killed run has left is
removed by the next one. Rule: nothing is touched whose lock is held.
"""

import fcntl
import os
import secrets
import select
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

HOME = Path("/run/towpath-machines")
PREFIX = "towpath-machine-"
_LOCK = "lock"
_LIMIT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Place:
    """What one machine has on the host."""

    name: str
    folder: Path
    cgroup: Path

    @property
    def disk(self) -> Path:
        """Where its disk is mounted, for those who are in its mounts."""
        return self.folder / "disk"

    @property
    def console(self) -> Path:
        """What was said before there was a journal."""
        return self.folder / "console.log"

    @property
    def notify(self) -> Path:
        """The socket on which it says that it is up."""
        return self.folder / "notify"


@contextmanager
def claim_place() -> Iterator[Place]:
    """Have a place for the length of a block; what dead runs have left goes first."""
    cgroups = cgroup_root()
    HOME.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone():
        remove_stale()
        place = _place(f"{PREFIX}{secrets.token_hex(4)}", cgroups)
        place.disk.mkdir(parents=True)
        held = _try_lock(place.folder / _LOCK)
        assert held is not None, f"somebody has taken {place.folder} in the same moment"
    try:
        place.cgroup.mkdir()
        yield place
    finally:
        with _alone():
            _remove(place)
            os.close(held)


def remove_stale() -> list[str]:
    """Remove what runs have left that are no more; returns the names."""
    cgroups = cgroup_root()
    names = {path.name for where in (HOME, cgroups) for path in where.glob(f"{PREFIX}*")}
    removed = []
    for name in sorted(names):
        place = _place(name, cgroups)
        place.folder.mkdir(exist_ok=True)
        held = _try_lock(place.folder / _LOCK)
        if held is not None:
            _remove(place)
            os.close(held)
            removed.append(name)
    return removed


def cgroup_root() -> Path:
    """Return where cgroups of version 2 are; LookupError where they are not."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, folder, kind, *_ = line.split(" ")
        if kind == "cgroup2":
            return Path(folder)
    raise LookupError("no cgroup of version 2 is mounted")


def own_cgroup() -> Path:
    """Return the cgroup of version 2 that this process is in."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::"):
            return cgroup_root() / line.removeprefix("0::/")
    return cgroup_root()


def kill_all(cgroup: Path) -> None:
    """End every process below a cgroup and wait until none is left."""
    try:
        (cgroup / "cgroup.kill").write_text("1")
    except FileNotFoundError:  # a kernel before 5.14
        for table in cgroup.rglob("cgroup.procs"):
            for number in table.read_text().split():
                with suppress(ProcessLookupError):
                    os.kill(int(number), signal.SIGKILL)
    deadline = time.monotonic() + _LIMIT_SECONDS
    with (cgroup / "cgroup.events").open() as events:
        poll = select.poll()
        poll.register(events, select.POLLPRI)
        while "populated 0" not in events.read():
            left = deadline - time.monotonic()
            assert left > 0, f"processes of {cgroup} do not end"
            poll.poll(left * 1000)
            events.seek(0)


def _place(name: str, cgroups: Path) -> Place:
    return Place(name, HOME / name, cgroups / name)


def _remove(place: Place) -> None:
    if place.cgroup.is_dir():
        kill_all(place.cgroup)
        for folder, _, _ in os.walk(place.cgroup, topdown=False):
            Path(folder).rmdir()
    shutil.rmtree(place.folder)


@contextmanager
def _alone() -> Iterator[None]:
    """Hold off others that make or remove places."""
    with (HOME / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _try_lock(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
