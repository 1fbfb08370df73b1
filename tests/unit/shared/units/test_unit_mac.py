import os
import plistlib
from pathlib import Path

import pytest

from shared.cli import run_command
from shared.units.mac import run_on_mac
from shared.units.request import Request

LAUNCHCTL = """#!/bin/sh
echo "$@" >> "{log}"
"""


class Mac:
    """A home with a configuration, and a launchctl that writes down what it is asked."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.home = folder / "home"
        self.log = folder / "asked"
        self.prefix = folder / "towpath"
        self.agents = self.home / "Library" / "LaunchAgents"
        config = self.home / ".config" / "towpath"
        config.mkdir(parents=True)
        (config / "uploader.toml").write_text(f'directory = "{self.home}/output/s3"\n')
        (self.prefix / "bin").mkdir(parents=True)
        (self.prefix / "bin" / "towpath").symlink_to("/bin/true")
        tool = folder / "tools" / "launchctl"
        tool.parent.mkdir()
        tool.write_text(LAUNCHCTL.format(log=self.log))
        tool.chmod(0o755)
        patch.setenv("HOME", str(self.home))
        patch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")

    def call(self, action: str, *, per_user: bool = True, dry_run: bool = False) -> int:
        """Run `towpath units ACTION --user` as it is on macOS."""
        request = Request((), per_user=per_user, prefix=self.prefix)
        return run_command(
            "units", lambda _: run_on_mac(action, request, dry_run=dry_run, start=True), []
        )

    def asked(self) -> list[str]:
        """Return what launchctl was asked."""
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mac:
    """A machine that has launchd."""
    return Mac(tmp_path, monkeypatch)


def test_an_agent_is_written_once_and_handed_to_launchd(
    mac: Mac, capsys: pytest.CaptureFixture[str]
) -> None:
    """The manager refuses to load what it has already."""
    assert mac.call("install") == 0
    assert mac.call("install") == 0

    plist = mac.agents / "towpath.uploader.plist"
    domain = f"gui/{os.getuid()}"
    assert mac.asked() == [f"bootout {domain}/towpath.uploader", f"bootstrap {domain} {plist}"]
    assert capsys.readouterr().out.splitlines() == [
        f"wrote {plist}",
        "started towpath.uploader",
        f"unchanged {plist}",
    ]
    log = plistlib.loads(plist.read_bytes())["StandardErrorPath"]
    assert Path(log).parent.is_dir()


def test_a_dry_run_writes_no_agent(mac: Mac) -> None:
    """The same promise as with systemd."""
    assert mac.call("install", dry_run=True) == 0
    assert not mac.agents.exists()
    assert not mac.asked()


def test_only_agents_of_ours_are_removed(mac: Mac) -> None:
    """The folder belongs to every program of that person."""
    mac.call("install")
    stranger = mac.agents / "towpath.own.plist"
    stranger.write_text("<plist/>")

    assert mac.call("remove") == 0

    assert list(mac.agents.iterdir()) == [stranger]


def test_an_agent_of_somebody_else_is_not_overwritten(
    mac: Mac, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its first lines alone a file is known as ours."""
    mac.agents.mkdir(parents=True)
    (mac.agents / "towpath.uploader.plist").write_text("<plist/>")

    assert mac.call("install") == 2
    assert "was not written by" in capsys.readouterr().err


def test_units_of_the_system_are_not_offered(mac: Mac, capsys: pytest.CaptureFixture[str]) -> None:
    """A daemon of root's would be another design."""
    assert mac.call("install", per_user=False) == 2
    assert "say --user" in capsys.readouterr().err
