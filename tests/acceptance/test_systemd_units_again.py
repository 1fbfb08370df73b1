"""`towpath units` a second time, under a real systemd: what stays, what goes, what it refuses."""

from pathlib import Path

import pytest

from tests.support.machine_journal import started
from tests.support.machine_towpath import open_cloud, open_towpath
from tests.support.watching import BUCKET

pytestmark = pytest.mark.timeout(600)  # the first one installs the program

SETTINGS = {"bucket": BUCKET, "root": "/srv/neowise", "poll_seconds": 0.3}
OWN = "/etc/systemd/system/towpath-watcher.service"
FOURTH = "towpath-watcher@4.service"


def test_options_stay_and_failures_are_said_and_forgotten(towpath_program: Path) -> None:
    """Upgrades repeat `units install` alone, and a monitor looks at what has failed."""
    with open_cloud([BUCKET]) as cloud, open_towpath(towpath_program, cloud) as site:
        site.machine.run("useradd", "--system", "astronomer")
        site.configure("watcher", **SETTINGS)
        site.towpath("units", "install", "watcher", "--instances", "4", "--run-as", "astronomer")
        site.machine.journal.wait_for(started(FOURTH))

        again = site.towpath("units", "install").stdout

        assert "kept watcher as it was installed: --run-as astronomer --instances 4\n" in again
        assert not [line for line in again.splitlines() if not line.startswith(("kept", "unch"))]
        assert site.machine.show(FOURTH, "User") == {"User": "astronomer"}

        site.override(FOURTH, "ExecStart=", "ExecStart=/bin/false")
        site.systemctl("restart", FOURTH, check=False)
        assert site.machine.show(FOURTH, "SubState") == {"SubState": "auto-restart"}
        failed = site.towpath("units", "install", check=False)
        assert (failed.status, FOURTH in failed.stderr) == (4, True)

        site.towpath("units", "install", "--instances", "2")
        listed = site.systemctl("list-units", "--all", "--plain", "--no-legend", "towpath*").stdout
        assert FOURTH not in listed

        site.machine.write(OWN, "[Service]\nExecStart=/bin/sleep inf\n")
        refused = site.towpath("units", "remove", check=False)
        assert (refused.status, refused.stdout) == (2, "")
        assert "was not written by" in refused.stderr
        site.machine.run("rm", OWN)
        site.towpath("units", "remove")
