"""The steps of user data on a machine that has daemons already: what those are told.

Everything but the script itself stands in: the release is made before, and `systemctl` notes what
it is asked for. Rule of the steps: a run that fails half way owes its daemons the
same as before; the next one pays.
"""

import hashlib
import subprocess
from pathlib import Path

import pytest

from infra.user_data import Asset, Installation, render_user_data

STEPS = (Path(__file__).resolve().parents[3] / "infra" / "user_data.sh").read_text()
RESTART = "try-restart towpath.target"
RELOAD = "try-reload-or-restart --no-block towpath-uploader.service"
SETTINGS = "interval_seconds = 60\n"


class Box:
    """A folder that the script takes for a machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told = folder / "told"
        self._refuses = folder / "units-refuse"
        self._command("aws", f'[[ $1 != s3 ]] || cp "{folder}/$(basename "$4")" "$5"')
        self._command("logger", ":")
        self._command("systemctl", f'[[ $1 == is-active ]] || echo "$*" >> {self._told}')
        self._command("python3.11", ":", below="usr")

    def install(self, note: str, settings: str = SETTINGS, *, units_refuse: bool = False) -> None:
        """Run the script with the asset `note`; it fails where the units are refused."""
        (self._folder / note).write_text(note)
        digest = hashlib.sha256(note.encode()).hexdigest()
        self._refuses.unlink(missing_ok=True)
        if units_refuse:
            self._refuses.touch()
        self._release(digest)
        told = Installation(
            "uploader", "eu-west-1", Asset("assets", note, digest), {"uploader.toml": settings}
        )
        script = render_user_data(told, STEPS)
        for place in ("/etc/towpath", "/var/lib/towpath-install", "/opt/towpath"):
            script = script.replace(place, f"{self._folder}{place}")
        done = subprocess.run(
            ["bash"],
            input=script.replace("/usr/bin/$candidate", f"{self._folder}/usr/$candidate"),
            env={"PATH": f"{self._folder}/bin:/usr/bin:/bin", "HOME": str(self._folder)},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert (done.returncode == 0) is not units_refuse, done.stdout + done.stderr
        assert ("FAILED at 'units'" in done.stdout) is units_refuse

    def told(self) -> list[str]:
        """Return what the service manager was asked for since the last time."""
        lines = self._told.read_text().splitlines() if self._told.exists() else []
        self._told.unlink(missing_ok=True)
        return lines

    def releases(self) -> int:
        """Return how many releases there are."""
        return len(list((self._folder / "opt/towpath/releases").iterdir()))

    def _release(self, digest: str) -> None:
        below = f"opt/towpath/releases/{digest[:16]}"
        self._command("towpath", f"[[ ! -e {self._refuses} ]]", below=f"{below}/bin")
        (self._folder / below / ".complete").touch()

    def _command(self, name: str, text: str, *, below: str = "bin") -> None:
        path = self._folder / below / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """Have a machine on which the first release has been installed."""
    for name in ("var/lib", "etc"):
        (tmp_path / name).mkdir(parents=True)
    made = Box(tmp_path)
    made.install("first")
    assert made.told() == [], "`towpath units install` has started it"
    return made


def test_running_it_again_tells_nobody_anything(box: Box) -> None:
    """It is the first thing to try on a machine that does not work."""
    box.install("first")

    assert box.told() == []


def test_another_release_restarts_what_runs(box: Box) -> None:
    """The units are the same, so that nothing else would."""
    box.install("second")

    assert box.told() == [RESTART]
    assert box.releases() == 1


def test_an_upgrade_that_failed_half_way_is_finished_by_the_next_run(box: Box) -> None:
    """The link leads to the new release already, and the daemons still run from the old one."""
    box.install("second", units_refuse=True)
    assert box.told() == []
    assert box.releases() == 2, "daemons run from the first one"

    box.install("second")

    assert box.told() == [RESTART]
    assert box.releases() == 1
    box.install("second")
    assert box.told() == []


def test_other_settings_reach_the_daemons_that_run(box: Box) -> None:
    """Their units are unchanged, and the file alone tells a running daemon nothing."""
    box.install("first", "interval_seconds = 7\n")

    assert box.told() == [RELOAD]
    box.install("first", "interval_seconds = 7\n")
    assert box.told() == []


def test_other_settings_are_not_forgotten_by_a_run_that_fails(box: Box) -> None:
    """The file is in place by then, and the next run finds it as it has to be."""
    box.install("first", "interval_seconds = 7\n", units_refuse=True)
    assert box.told() == []

    box.install("first", "interval_seconds = 7\n")

    assert box.told() == [RELOAD]


def test_a_restart_brings_the_settings_too(box: Box) -> None:
    """Once is enough: a watcher would finish its CID for nothing."""
    box.install("second", "interval_seconds = 7\n")

    assert box.told() == [RESTART]
    box.install("second", "interval_seconds = 7\n")
    assert box.told() == []
