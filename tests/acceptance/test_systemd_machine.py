"""The machine that the other systemd tests stand on: apart from the host, and never left behind."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import LIMIT_SECONDS, PROJECT
from tests.support.machine import Machine, open_machine, open_network, require_machine
from tests.support.machine_boot import Bind
from tests.support.machine_journal import started
from tests.support.machine_place import HOME, cgroup_root, remove_stale

HOLDER = """
import signal, sys
from tests.support.machine import open_machine, open_network

# Whoever started these tests in the background has it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
with open_network() as network, open_machine(network) as machine:
    print(machine._leader, machine._place.name, flush=True)
    sys.stdin.read()
"""
"""A run of tests that has a machine until its input ends."""


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """Share a machine among the tests that do not shut it down."""
    require_machine()
    with open_network() as network, open_machine(network) as opened:
        yield opened


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[str]]:
    """Have another run hold a machine; whatever is left of it is killed."""
    require_machine()
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_a_machine_is_up_and_nothing_in_it_has_failed(machine: Machine) -> None:
    """A unit of the host that fails in it would hide one of ours that does."""
    assert machine.run("systemctl", "is-system-running").stdout == "running\n"
    assert machine.run("cat", "/proc/1/comm").stdout == "systemd\n"


def test_nothing_that_a_machine_does_reaches_the_host(machine: Machine) -> None:
    """These tests install, add users and remove: on the machine of whoever runs them."""
    machine.run("useradd", "--system", "towpath-visitor")
    machine.write("/etc/towpath/visitor.toml", "changed = true\n")
    machine.run("hostname", "elsewhere")

    assert "towpath-visitor" not in Path("/etc/passwd").read_text()
    assert not Path("/etc/towpath/visitor.toml").exists()
    assert os.uname().nodename != "elsewhere"


def test_the_people_of_the_host_are_not_in_it(machine: Machine) -> None:
    """Keys in somebody's home folder must not make a test pass."""
    listed = machine.run("ls", "-A", "/root", "/home", "/opt").stdout.split()

    # systemd itself makes root's .ssh.
    assert [name for name in listed if name != ".ssh"] == ["/home:", "/opt:", "/root:"]


def test_its_network_leads_to_servers_of_the_test_alone(machine: Machine) -> None:
    """No real network in tests, also for a daemon that looks for the metadata service."""
    program = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)"
    with machine.network.strict_s3(["bucket"]) as s3:
        machine.run("/usr/bin/python3", "-c", program, "127.0.0.1", str(s3.port))
        away = machine.run("/usr/bin/python3", "-c", program, "169.254.169.254", "80", check=False)

    assert "Network is unreachable" in away.stderr


def test_a_command_is_ended_at_its_limit(machine: Machine) -> None:
    """A hung command fails one test, not the whole run."""
    ended = machine.run("sleep", "1000", limit=0.2, check=False)

    assert ended.status == 124
    assert "sleep" not in machine.run("sh", "-c", "cat /proc/[0-9]*/comm").stdout.split()


def test_a_command_that_fails_is_an_error_with_its_output(machine: Machine) -> None:
    """Without it one reads a traceback and knows nothing."""
    with pytest.raises(AssertionError, match="no-such-folder"):
        machine.run("ls", "/no-such-folder")


def test_a_reboot_keeps_the_disk_and_starts_what_is_enabled(machine: Machine) -> None:
    """What is proved with it, that daemons go on after one, needs a real one."""
    unit = "[Service]\nExecStart=sleep 1000\n[Install]\nWantedBy=multi-user.target\n"
    machine.write("/etc/systemd/system/visitor.service", unit)
    machine.run("systemctl", "enable", "visitor.service")

    machine.reboot()

    machine.journal.wait_for(started("visitor.service"))
    boots = machine.run("journalctl", "--list-boots").stdout.splitlines()[1:]
    assert len(boots) == 2
    assert machine.run("systemctl", "is-active", "visitor.service").stdout == "active\n"


def test_bound_folders_are_seen_as_they_were_asked_for(tmp_path: Path) -> None:
    """What has to outlive a machine lies outside; what is shared by several must not be changed."""
    require_machine()
    kept, fixed = tmp_path / "kept", tmp_path / "fixed"
    for folder in (kept, fixed):
        folder.mkdir()
    binds = [Bind(str(kept), "/kept", writable=True), Bind(str(fixed), "/opt/fixed")]
    with open_network() as network:
        with open_machine(network, binds) as machine:
            machine.run("touch", "/kept/a")
            refused = machine.run("touch", "/opt/fixed/a", check=False)
        with open_machine(network, binds) as machine:
            assert machine.run("ls", "/kept").stdout == "a\n"

    assert "Read-only file system" in refused.stderr
    assert not list(fixed.iterdir())


def test_a_machine_ends_with_the_run_that_is_killed(holder: subprocess.Popen[str]) -> None:
    """Else machines pile up, and the next run has less memory each time."""
    assert holder.stdout is not None
    leader, name = holder.stdout.readline().split()
    ended = os.pidfd_open(int(leader))
    assert name not in remove_stale(), "the machine of a run that lives is no leftover"
    assert Path(f"/proc/{leader}").exists()

    holder.kill()

    assert select.select([ended], [], [], LIMIT_SECONDS)[0], "its systemd lives on"
    os.close(ended)
    holder.wait(LIMIT_SECONDS)
    # Another run may have been quicker.
    remove_stale()
    assert not (HOME / name).exists()
    assert not (cgroup_root() / name).exists()


def test_a_machine_is_torn_down_at_ctrl_c(holder: subprocess.Popen[str]) -> None:
    """The most common end of a test run at a desk."""
    assert holder.stdout is not None
    _, name = holder.stdout.readline().split()

    holder.send_signal(signal.SIGINT)

    holder.wait(LIMIT_SECONDS)
    assert not (HOME / name).exists()
    assert not (cgroup_root() / name).exists()
