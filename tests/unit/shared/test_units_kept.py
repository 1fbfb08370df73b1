import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from shared.cli import run_command
from shared.units import request
from shared.units.context import UnitContext
from shared.units.needs import UnitNeeds
from shared.units.render import unit_set
from shared.units_command import main

SOMEBODY = "daemon"
GROUP = "daemon"
WATCHER = 'bucket = "a-bucket"\nroot = "/srv/no-such-folder"\n'


class Site:
    """A machine with system units that were installed with options."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.units = folder / "units"
        self._prefix = folder / "towpath"
        (self._prefix / "bin").mkdir(parents=True)
        (self._prefix / "bin" / "towpath").symlink_to("/bin/true")
        configuration = folder / "configuration"
        configuration.mkdir()
        (configuration / "watcher.toml").write_text(WATCHER)
        (configuration / "uploader.toml").write_text('directory = "/srv/no-such-folder/s3"\n')
        systemctl = folder / "tools" / "systemctl"
        systemctl.parent.mkdir()
        systemctl.write_text("#!/bin/sh\n")
        systemctl.chmod(0o755)
        patch.setenv("PATH", f"{systemctl.parent}:/usr/bin:/bin")
        patch.setattr(request, "SYSTEM_UNITS", self.units)
        patch.setattr(request, "_SYSTEM", configuration)

    def stand(self, service: str, context: UnitContext) -> None:
        """Have a service installed."""
        needs = UnitNeeds(service, "", 1, several=context.instances > 1)
        made = unit_set(needs, context)
        wants = self.units / "towpath.target.wants"
        wants.mkdir(parents=True, exist_ok=True)
        for file in made.files:
            path = self.units / file.name
            path.parent.mkdir(exist_ok=True)
            path.write_text(file.text)
        for unit in made.units:
            (wants / unit).symlink_to(self.units / made.files[0].name)

    def call(self, *words: str) -> int:
        """Run `towpath units`."""
        return run_command("units", main, [*words, "--prefix", str(self._prefix)])


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A watcher four times as somebody else, and an uploader as by default."""
    if sys.platform == "darwin":
        pytest.skip("there are no system units here")
    made = Site(tmp_path, monkeypatch)
    made.stand("watcher", UnitContext(user=SOMEBODY, groups=(GROUP,), instances=4))
    made.stand("uploader", UnitContext())
    return made


def shown(text: str, name: str) -> Sequence[str]:
    """Return the lines of a file that `units show` printed."""
    parts = text.split("# --- ")
    return next(part for part in parts if part.partition("\n")[0].endswith(name)).splitlines()


def test_options_that_are_not_said_again_stay(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """An upgrade would hand the data to another user, and end three of four watchers."""
    assert site.call("show") == 0

    text = capsys.readouterr().out
    watcher = shown(text, "towpath-watcher@.service.d/needs.conf")
    assert {f"User={SOMEBODY}", f"SupplementaryGroups={GROUP}", "MemoryMax=22%"} <= set(watcher)
    assert "User=towpath" in shown(text, "towpath-uploader.service.d/needs.conf")


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ((), f"--run-as {SOMEBODY} --group {GROUP} --instances 4"),
        (("--instances", "2"), f"--run-as {SOMEBODY} --group {GROUP}"),
        (("--run-as", "bin", "--instances", "3"), f"--group {GROUP}"),
        (("--group", ""), f"--run-as {SOMEBODY} --instances 4"),
    ],
)
def test_what_stays_is_said(
    site: Site, capsys: pytest.CaptureFixture[str], words: Sequence[str], kept: str
) -> None:
    """Who forgot an option sees it, and who wants it gone knows which."""
    assert site.call("install", "watcher", "--dry-run", *words) == 0

    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"would keep watcher as it was installed: {kept}"


def test_an_option_that_is_said_counts(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise there would be no way back but to remove everything."""
    words = ["--run-as", "towpath", "--group", "", "--instances", "1"]

    assert site.call("show", "watcher", *words) == 0

    watcher = shown(capsys.readouterr().out, "towpath-watcher.service.d/needs.conf")
    assert "User=towpath" in watcher
    assert not any(line.startswith("SupplementaryGroups=") for line in watcher)


def test_a_user_who_is_gone_is_not_kept(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """The unit would fail with 217/USER at the next boot."""
    drop_in = site.units / "towpath-uploader.service.d" / "needs.conf"
    drop_in.write_text(drop_in.read_text().replace("User=towpath", "User=gone-for-good"))

    assert site.call("install", "--dry-run") == 2
    assert "--run-as 'gone-for-good' is no user of this machine" in capsys.readouterr().err


def test_a_number_that_nobody_knows_has_to_be_said(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """All are disabled: to start one in another folder is no answer."""
    for link in (site.units / "towpath.target.wants").glob("*watcher*"):
        link.unlink()

    assert site.call("install", "watcher", "--dry-run") == 2
    assert "say with --instances how many" in capsys.readouterr().err
    assert site.call("install", "watcher", "--dry-run", "--instances", "2") == 0
