"""Units where files belong to people: in a home folder, of other users, on a volume that stays."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gate import Gate
from tests.support.machine_boot import Bind
from tests.support.machine_journal import started
from tests.support.machine_towpath import (
    CREDENTIALS,
    PROGRAM,
    Cloud,
    TowpathMachine,
    open_cloud,
    open_towpath,
)
from tests.support.strict_s3.faults import Fault, Wait

pytestmark = pytest.mark.timeout(600)  # the first one installs the program

UNIT = "towpath-uploader.service"
BUCKET = "colony-shots"
HOME = "/home/astronomer"


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """Have a network with an empty S3 on it."""
    with open_cloud([BUCKET]) as opened:
        yield opened


def _configure(site: TowpathMachine, root: str) -> None:
    site.configure("uploader", directory=root, interval_seconds=0.5, stability_seconds=1)


def _inside(site: TowpathMachine) -> tuple[str, ...]:
    return ("nsenter", f"--target={site.main_pid(UNIT)}", "--mount", "--")


def test_a_root_in_a_home_folder_is_all_of_it_that_a_unit_sees(
    towpath_program: Path, cloud: Cloud
) -> None:
    """On the workstation everything is in somebody's home, the private keys too."""
    root = f"{HOME}/project/output/s3"
    with open_towpath(towpath_program, cloud) as site:
        site.machine.run("useradd", "--create-home", "astronomer")
        site.machine.write(f"{HOME}/.ssh/id_ed25519", "private\n")
        site.machine.write(f"{HOME}/project/thesis.tex", "private\n")
        site.machine.run("mkdir", "--parents", f"{root}/{BUCKET}")
        site.machine.run("chown", "--recursive", "astronomer:astronomer", HOME)
        _configure(site, root)

        site.towpath("units", "install", "uploader", "--run-as", "astronomer")

        written = ("runuser", "-u", "astronomer", "--", "touch", f"{root}/{BUCKET}/night.fits")
        site.machine.run(*written)
        site.wait_for("file_uploaded", KEY="night.fits")
        seen = site.machine.run(*_inside(site), "find", "/home", "-type", "f").stdout
        outside = site.machine.run(*_inside(site), "ls", "-A", f"{HOME}/project").stdout
        user = site.machine.show(UNIT, "User")["User"]

    assert seen == ""
    assert outside == "output\n"
    assert user == "astronomer"


def test_files_of_another_user_leave_the_disk(towpath_program: Path, cloud: Cloud) -> None:
    """The simulation that writes them is not the daemon, and must not be."""
    root = "/data/output/s3"
    with open_towpath(towpath_program, cloud) as site:
        _configure(site, root)
        site.towpath("units", "install")
        site.machine.run("useradd", "--system", "--groups", "towpath", "simulation")
        write = f"umask 002; mkdir -p {root}/{BUCKET}/run-1; echo x > {root}/{BUCKET}/run-1/a.dat"

        site.machine.run("runuser", "-u", "simulation", "--", "sh", "-c", write)

        site.wait_for("file_uploaded", KEY="run-1/a.dat")
        left = site.machine.run("find", root, "-type", "f").stdout
        kept = site.s3.objects(BUCKET)

    assert left == ""
    assert kept == {"run-1/a.dat": b"x\n"}


def test_a_person_without_root_has_units_too(towpath_program: Path, cloud: Cloud) -> None:
    """On a laptop: started by a person's own manager, which lingers when nobody is logged in."""
    root = f"{HOME}/output/s3"
    with open_towpath(towpath_program, cloud) as site:
        machine = site.machine
        machine.run("useradd", "--create-home", "astronomer")
        machine.run("systemctl", "start", "dbus.socket", "systemd-logind.service")
        machine.run("loginctl", "enable-linger", "astronomer")
        number = machine.run("id", "--user", "astronomer").stdout.strip()
        machine.journal.wait_for(started(f"user@{number}.service"))
        settings = f'directory = "{root}"\nendpoint_url = "{cloud.s3.url}"\n'
        machine.write(f"{HOME}/.config/towpath/uploader.toml", settings)
        machine.write(f"{HOME}/.aws/credentials", machine.path(CREDENTIALS).read_text())
        machine.run("chown", "--recursive", "astronomer:astronomer", HOME)
        person = ("runuser", "-u", "astronomer", "--", "env", f"XDG_RUNTIME_DIR=/run/user/{number}")
        environment = (f"HOME={HOME}", "LANG=C.UTF-8")

        machine.run(*person, *environment, PROGRAM, "units", "install", "--user", "uploader")

        site.put(f"{root}/{BUCKET}/laptop.fits", b"stars")
        entry = site.wait_for("file_uploaded", KEY="laptop.fits")
        machine.run(*person, *environment, PROGRAM, "units", "remove", "--user")
        after = machine.run(*person, "systemctl", "--user", "is-active", UNIT, check=False)
        system = machine.run("find", "/etc/systemd/system", "-name", "towpath*").stdout

    assert entry["_UID"] == number
    assert after.stdout == "inactive\n"
    assert system == ""


def test_a_new_machine_goes_on_with_the_volume_of_the_last(
    towpath_program: Path, cloud: Cloud, tmp_path: Path
) -> None:
    """A spot instance is gone within two minutes; its volume is given to the next."""
    root = "/data/output/s3"
    volume, state = tmp_path / "volume", tmp_path / "state"
    for folder in (volume, state):
        folder.mkdir()
    binds = [
        Bind(str(volume), "/data", writable=True),
        Bind(str(state), "/var/lib/towpath", writable=True),
    ]
    held = Gate()
    cloud.s3.faults.add(Fault(Wait(held), operation="CompleteMultipartUpload"))
    cube = bytes(range(256)) * 4 * 1024 * 24
    with open_towpath(towpath_program, cloud, binds) as site:
        _configure(site, root)
        site.towpath("units", "install")
        site.put(f"{root}/{BUCKET}/cube.dat", cube)
        held.reached_blocking()
        site.machine.cut_power()
    cloud.s3.faults.clear()
    held.open()

    with open_towpath(towpath_program, cloud, binds) as site:
        _configure(site, root)
        site.towpath("units", "install")
        site.wait_for("pass_finished", count=2)

    assert cloud.s3.objects(BUCKET) == {"cube.dat": cube}
    assert cloud.s3.open_uploads(BUCKET) == []
    assert not [path for path in volume.rglob("*") if path.is_file()]
