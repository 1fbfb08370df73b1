"""The uploader under a real systemd: what a unit promises to those who sleep while it works."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.journal import message_id
from tests.support.gate import Gate
from tests.support.machine_journal import restarting, started, stopped
from tests.support.machine_towpath import TowpathMachine, open_cloud, open_towpath
from tests.support.strict_s3.access import ACCESS_KEY
from tests.support.strict_s3.faults import Fault, Wait

pytestmark = pytest.mark.timeout(600)  # the first one installs the program

UNIT = "towpath-uploader.service"
BUCKET = "colony-shots"
ROOT = "/data/output/s3"
STATE = "/var/lib/towpath/uploader"
QUICK = "RestartSec=100ms"
"""In place of the seconds that a machine in trouble is given."""


@pytest.fixture(scope="module")
def installed(towpath_program: Path) -> Iterator[TowpathMachine]:
    """Have a machine on which the uploader was installed and started."""
    with open_cloud([BUCKET]) as cloud, open_towpath(towpath_program, cloud) as site:
        _configure(site)
        site.override(UNIT, QUICK)
        site.towpath("units", "install", "uploader")
        yield site


@pytest.fixture
def site(installed: TowpathMachine) -> TowpathMachine:
    """Have the uploader run as it was installed, whatever the test before did to it."""
    installed.s3.faults.clear()
    state = installed.machine.show(UNIT, "LoadState", "ActiveState")
    if state["LoadState"] != "loaded":
        installed.towpath("units", "install", "uploader")
    elif state["ActiveState"] != "active":
        _configure(installed)
        installed.override(UNIT, QUICK)
        installed.systemctl("reset-failed", UNIT, check=False)
        installed.systemctl("start", UNIT)
    return installed


def _configure(site: TowpathMachine, **settings: object) -> None:
    usual = {"directory": ROOT, "interval_seconds": 0.5, "stability_seconds": 1}
    site.configure("uploader", **{**usual, "grace_seconds": 2, **settings})


def _arrives(site: TowpathMachine, key: str, content: bytes = b"picture", after: int = 0) -> None:
    """Put a file in place and wait until it is in S3 and off the disk."""
    path = site.put(f"{ROOT}/{BUCKET}/{key}", content)
    site.wait_for("file_uploaded", BUCKET=BUCKET, KEY=key, after=after)
    assert site.s3.objects(BUCKET)[key] == content
    assert not path.exists()


def _held(site: TowpathMachine, key: str, content: bytes) -> tuple[Path, Gate]:
    """Put a file in place, and hold its upload back until the gate is opened."""
    held = Gate()
    site.s3.faults.add(Fault(Wait(held), operation="PutObject"))
    path = site.put(f"{ROOT}/{BUCKET}/{key}", content)
    held.reached_blocking()
    return path, held


def test_what_was_installed_runs_now_and_after_the_next_boot(site: TowpathMachine) -> None:
    """`units install` is the only step between a configuration and a daemon that stays."""
    assert site.systemctl("is-active", UNIT, "towpath.target").stdout == "active\nactive\n"
    assert site.systemctl("is-enabled", UNIT, "towpath.target").stdout == "enabled\nenabled\n"
    shown = site.machine.show(UNIT, "Type", "User", "NRestarts", "WatchdogUSec")
    assert shown == {
        "Type": "notify",
        "User": "towpath",
        "NRestarts": "0",
        "WatchdogUSec": "5min",
    }

    _arrives(site, "first.png")


def test_installing_again_changes_nothing(site: TowpathMachine) -> None:
    """It is run by user data at each boot, and by hand by those who are not sure."""
    before = site.main_pid(UNIT)

    said = site.towpath("units", "install", "uploader").stdout.splitlines()

    assert said
    assert all(line.startswith("unchanged ") for line in said), said
    assert site.main_pid(UNIT) == before


def test_systemctl_status_says_what_it_does(site: TowpathMachine) -> None:
    """The first thing anybody types."""
    _arrives(site, "status.png")

    shown = site.machine.show(UNIT, "StatusText")["StatusText"]

    assert "uploaded" in shown
    assert f'Status: "{shown[:20]}' in site.systemctl("status", UNIT).stdout


def test_the_journal_finds_a_file_by_its_fields(site: TowpathMachine) -> None:
    """Where is my file? One query answers, among a million of lines."""
    _arrives(site, "images/found me.png")
    wanted = [f"BUCKET={BUCKET}", "KEY=images/found me.png"]

    by_key = site.machine.run("journalctl", "--unit", UNIT, "--output=cat", *wanted)
    by_kind = site.machine.run(
        "journalctl", f"MESSAGE_ID={message_id('file_uploaded')}", "SERVICE=uploader", *wanted
    )
    wrapped = site.towpath("logs", "uploader")

    assert "file_uploaded" in by_key.stdout
    assert "found me.png" in by_kind.stdout
    assert "found me.png" in wrapped.stdout


def test_keys_reach_the_daemon_and_nobody_else(site: TowpathMachine) -> None:
    """Whoever reads the environment or the files of a process must not find them."""
    _arrives(site, "keys.png")
    pid = site.main_pid(UNIT)

    environ = site.machine.path(f"/proc/{pid}/environ").read_bytes()
    passed = f"/run/credentials/{UNIT}"
    refused = site.machine.run("runuser", "-u", "nobody", "--", "ls", passed, check=False)

    assert {each.access_key for each in site.s3.requests()} == {ACCESS_KEY}
    assert f"AWS_SHARED_CREDENTIALS_FILE={passed}/aws".encode() in environ.split(b"\0")
    assert ACCESS_KEY.encode() not in environ
    assert "Permission denied" in refused.stderr


def test_it_can_write_nowhere_but_in_its_folders(site: TowpathMachine) -> None:
    """A daemon that somebody got hold of changes nothing of the machine."""
    site.machine.write("/home/astronomer/thesis.tex", "secret\n")
    site.machine.write("/data/other/file", "of somebody else\n")
    inside = ("nsenter", f"--target={site.main_pid(UNIT)}", "--mount", "--")

    writes = {
        place: site.machine.run(*inside, "touch", f"{place}/probe", check=False).stderr
        for place in ("/etc", "/usr/bin", "/opt/towpath", "/data/other", "/var/lib", ROOT, STATE)
    }
    home = site.machine.run(*inside, "ls", "-A", "/home", check=False)

    assert {place for place, error in writes.items() if not error} == {ROOT, STATE}
    assert all("Read-only file system" in error for error in writes.values() if error)
    assert "astronomer" not in home.stdout
    site.machine.run("rm", f"{ROOT}/probe")


def test_a_good_configuration_is_taken_over_by_reload(site: TowpathMachine) -> None:
    """Without a restart, and without a file that waits for one."""
    mark, pid = site.machine.journal.mark(), site.main_pid(UNIT)
    _configure(site, aliases={"my_shots": BUCKET}, log_level="debug")

    site.systemctl("reload", UNIT)

    site.wait_for("reload_done", after=mark)
    site.put(f"{ROOT}/my_shots/renamed.png", b"picture")
    site.wait_for("file_uploaded", after=mark, BUCKET=BUCKET, KEY="renamed.png")
    assert site.main_pid(UNIT) == pid
    assert site.systemctl("is-active", UNIT).stdout == "active\n"


def test_a_bad_configuration_is_refused_and_the_old_one_stays(site: TowpathMachine) -> None:
    """A typing error at three in the afternoon must not end the uploads of the night."""
    mark, pid = site.machine.journal.mark(), site.main_pid(UNIT)
    _configure(site, interval_seconds="soon")

    site.systemctl("reload", UNIT)

    refused = site.wait_for("reload_refused", after=mark)
    assert "interval_seconds" in refused["MESSAGE"]
    assert "soon" in refused["MESSAGE"]
    _arrives(site, "after-refusal.png", after=mark)
    assert site.main_pid(UNIT) == pid
    assert site.machine.show(UNIT, "ActiveState", "SubState") == {
        "ActiveState": "active",
        "SubState": "running",
    }
    _configure(site)


def test_it_is_started_again_after_a_crash(site: TowpathMachine) -> None:
    """Out of memory at night: a person finds out from the journal, not from missing files."""
    mark = site.machine.journal.mark()

    site.systemctl("kill", "--signal=KILL", UNIT)

    site.machine.journal.wait_for(restarting(UNIT), after=mark)
    site.machine.journal.wait_for(started(UNIT), after=mark)
    _arrives(site, "after-crash.png", after=mark)


def test_a_hung_daemon_is_killed_and_started_again(site: TowpathMachine) -> None:
    """It looks alive in every list of processes, and does nothing for months."""
    site.override(UNIT, QUICK, "WatchdogSec=2")
    site.systemctl("restart", UNIT)
    mark = site.machine.journal.mark()

    site.systemctl("kill", "--kill-whom=main", "--signal=STOP", UNIT)

    site.machine.journal.wait_for({"UNIT": UNIT, "UNIT_RESULT": "watchdog"}, after=mark)
    site.machine.journal.wait_for(started(UNIT), after=mark)
    _arrives(site, "after-hang.png", after=mark)
    site.override(UNIT, QUICK)


def test_a_wrong_configuration_is_not_tried_again_and_again(site: TowpathMachine) -> None:
    """It fills the journal and changes nothing; a person has to look."""
    mark = site.machine.journal.mark()
    _configure(site, interval_seconds="soon")

    site.systemctl("restart", UNIT, check=False)

    shown = site.machine.show(UNIT, "ActiveState", "Result", "ExecMainStatus", "NRestarts")
    assert shown == {
        "ActiveState": "failed",
        "Result": "exit-code",
        "ExecMainStatus": "2",
        "NRestarts": "0",
    }
    assert not site.machine.journal.entries(restarting(UNIT), after=mark)
    status = site.systemctl("status", UNIT, check=False).stdout
    assert "interval_seconds" in status, "the reason is in sight"


def test_what_is_under_way_at_a_stop_is_finished(site: TowpathMachine) -> None:
    """An update of the program, a shut-down: the last picture goes out first."""
    mark = site.machine.journal.mark()
    path, held = _held(site, "last.png", b"the last one")

    site.systemctl("stop", "--no-block", UNIT)
    site.wait_for("stopping", after=mark)
    held.open()

    site.machine.journal.wait_for(stopped(UNIT), after=mark)
    assert site.machine.show(UNIT, "Result")["Result"] == "success"
    assert site.s3.objects(BUCKET)["last.png"] == b"the last one"
    assert not path.exists()


def test_a_stop_does_not_wait_for_an_answer_that_never_comes(site: TowpathMachine) -> None:
    """After its grace it lets go, and the file stays for the next start."""
    mark = site.machine.journal.mark()
    path, held = _held(site, "stuck.png", b"stuck")

    site.systemctl("stop", UNIT)

    assert site.machine.show(UNIT, "Result")["Result"] == "success"
    assert path.read_bytes() == b"stuck"
    assert "stuck.png" not in site.s3.keys(BUCKET)
    site.s3.faults.clear()
    held.open()
    site.systemctl("start", UNIT)
    site.wait_for("file_uploaded", after=mark, KEY="stuck.png")
    assert not path.exists()


def test_it_goes_on_after_a_power_cut(site: TowpathMachine) -> None:
    """Nobody is there to start it, or to say what it was doing."""
    _, held = _held(site, "dark.png", b"in the dark")
    site.machine.cut_power()
    site.s3.faults.clear()
    held.open()

    site.machine.boot()

    site.wait_for("ready")
    site.machine.journal.wait_for(started(UNIT))
    path = site.machine.path(f"{ROOT}/{BUCKET}/dark.png")
    site.wait_for("pass_finished", count=2)
    assert not path.exists()
    assert site.s3.objects(BUCKET)["dark.png"] == b"in the dark"
    _arrives(site, "after-boot.png")


def test_removing_leaves_everything_that_people_own(site: TowpathMachine) -> None:
    """Uninstalling a program is no reason to lose a picture, or the configuration of the next."""
    site.systemctl("stop", UNIT)
    waiting = site.put(f"{ROOT}/{BUCKET}/waiting.png", b"not sent yet")
    state = sorted(site.machine.run("ls", "-A", STATE).stdout.split())

    site.towpath("units", "remove", "uploader")

    assert site.machine.show(UNIT, "LoadState")["LoadState"] != "loaded"
    listed = site.machine.run("find", "/etc/systemd/system", "-name", "towpath*").stdout
    assert listed.splitlines() == [f"/etc/systemd/system/{UNIT}.d"], "the drop-in is not ours"
    assert waiting.read_bytes() == b"not sent yet"
    assert state
    assert sorted(site.machine.run("ls", "-A", STATE).stdout.split()) == state
    site.machine.run("test", "-s", "/etc/towpath/uploader.toml")
    site.machine.run("test", "-s", "/etc/towpath/credentials/aws")
    site.machine.run("id", "towpath")
