"""The program as a machine has it: `make install PREFIX=/opt/towpath`, done once for all tests.

It is installed on a machine, from this tree and from wheels that `make wheels` has fetched, so no
index is asked. The folder lies beside the test environment and is shown to other machines
read-only; it is brought up to date when something changed that goes into it.
"""

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.daemon import PROJECT
from tests.support.machine import Machine, open_machine, open_network
from tests.support.machine_boot import Bind

WHEELS = PROJECT / ".venv" / "wheels"
PROGRAM = PROJECT / ".venv" / "program"
PREFIX = "/opt/towpath"
_TREE = "/srv/towpath"
_WHEELS_INSIDE = "/srv/wheels"
_INSTALL_SECONDS = 300.0
_SOURCES = ("daemons/**/*", "pipelines/**/*", "shared/**/*", "requirements/*.txt")
_FILES = ("pyproject.toml", "scripts/install_prefix.sh")


def installed_program() -> Path:
    """Return the folder that is a machine's /opt/towpath; what is in it is that of this tree."""
    require_wheels()
    PROGRAM.mkdir(exist_ok=True)
    with _alone():
        wanted, stamp = _digest(), PROGRAM / ".digest"
        if not stamp.exists() or stamp.read_text() != wanted:
            _install(PROGRAM)
            stamp.write_text(wanted)
    return PROGRAM


def require_wheels() -> None:
    """Skip the calling test where there are no packages to install from."""
    if not (WHEELS / ".done").exists():
        pytest.skip("no wheels in .venv/wheels; `make wheels` fetches them")


def offer_wheels(machine: Machine) -> None:
    """Have the machine's pip look nowhere but among the wheels."""
    text = f"[global]\nno-index = true\nfind-links = {_WHEELS_INSIDE}\n"
    machine.write("/etc/pip.conf", text)


def _install(folder: Path) -> None:
    binds = [
        Bind(str(PROJECT), _TREE),
        Bind(str(WHEELS), _WHEELS_INSIDE),
        Bind(str(folder), PREFIX, writable=True),
    ]
    command = ("make", "-C", _TREE, "install", f"PREFIX={PREFIX}")
    with open_network() as network, open_machine(network, binds) as machine:
        offer_wheels(machine)
        machine.run(*command, limit=_INSTALL_SECONDS)


def _digest() -> str:
    """Tell by the content of all that is installed whether it is installed already."""
    found = {path for pattern in _SOURCES for path in PROJECT.glob(pattern)}
    found |= {PROJECT / name for name in _FILES}
    digest = hashlib.sha256()
    for path in sorted(found):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(f"{path.relative_to(PROJECT)} {path.stat().st_size}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


@contextmanager
def _alone() -> Iterator[None]:
    """Let one run of tests at a time install."""
    with (PROJECT / ".venv" / "program.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
